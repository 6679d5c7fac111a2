"""These tests check what Telegram's refusals mean, the pauses, and what is remembered about chats."""

from __future__ import annotations

import pytest
from telegram.error import BadRequest, Forbidden, InvalidToken, NetworkError, TelegramError, TimedOut

from channels.errors import NotSent, RateLimited, SendFailed, Unreachable
from channels.telegram.chats import MOST_CHATS, Chats
from channels.telegram.faults import ChatClosed, TokenRefused, translate
from channels.telegram.requests import TooMany
from channels.telegram.waits import Growing


@pytest.mark.parametrize(
    ("fault", "meaning"),
    [
        (BadRequest("Bad Request: chat not found"), SendFailed),
        (Forbidden("Forbidden: bot was kicked"), ChatClosed),
        (InvalidToken(), TokenRefused),
        (TooMany("Too Many Requests", 3), RateLimited),
        (TimedOut(), Unreachable),
        (NetworkError("Bad Gateway"), Unreachable),
        (TelegramError("Invalid server response"), Unreachable),
    ],
)
def test_every_refusal_is_one_decision(fault: TelegramError, meaning: type[Exception]) -> None:
    assert type(translate(fault, str)) is meaning


def test_only_what_surely_did_not_leave_is_not_sent() -> None:
    assert not isinstance(translate(TimedOut(), str), NotSent)
    assert isinstance(translate(TooMany("", 3), str), NotSent)


def test_a_text_is_cleaned() -> None:
    assert str(translate(BadRequest("Bad Request: no 1:secret"), lambda text: text.replace("secret", "x"))) == "No 1:x"


def test_a_pause_doubles_up_to_its_end() -> None:
    growing = Growing(1, 60)

    assert [growing.after(tries) for tries in (0, 1, 2, 5, 6, 10_000)] == [1, 2, 4, 32, 60, 60]


def test_a_closed_chat_stays_closed_until_it_is_opened_and_not_too_many_are_remembered() -> None:
    chats = Chats()
    chats.close("7", "blocked")
    with pytest.raises(ChatClosed, match="blocked"):
        chats.check("7")
    for number in range(MOST_CHATS):
        chats.close(f"-{number}", "blocked")
    chats.check("7")
    chats.open("-9")
    chats.check("-9")

    with pytest.raises(ChatClosed):
        chats.check("-10")


def test_chats_with_topics_are_remembered() -> None:
    chats = Chats()
    chats.note_forum("-5")

    assert (chats.is_forum("-5"), chats.is_forum("7")) == (True, False)
