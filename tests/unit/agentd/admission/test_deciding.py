from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentd.admission.deciding import Verdict, decide
from agentd.admission.rate_limit import RateVerdict
from agentd.conversation.commands import parse_command
from channels.base import Address, Author, FromPerson, InboundDelete, InboundEdit, InboundMessage

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
WHERE, WHO = Address("fake", "bot", "dm"), Author("ada", "Ada")


def message(text: str = "hello", *, is_direct: bool = True) -> InboundMessage:
    return InboundMessage(WHERE, WHO, "1", NOW, text, is_direct=is_direct)


CHANGES: tuple[FromPerson, ...] = (InboundEdit(WHERE, WHO, "1", NOW, "hi"), InboundDelete(WHERE, WHO, "1", NOW))


def outcome(
    inbound: FromPerson, *, is_allowed: bool = True, offers_codes: bool = True, rate: RateVerdict = RateVerdict.DROP
) -> Verdict:
    return decide(inbound, is_allowed=is_allowed, offers_codes=offers_codes, judge=lambda _: rate)


@pytest.mark.parametrize(
    ("is_direct", "offers_codes", "verdict"),
    [
        (True, True, Verdict.OFFER),
        (True, False, Verdict.REFUSE),
        (False, True, Verdict.REFUSE),
        (False, False, Verdict.REFUSE),
    ],
)
def test_a_stranger_is_offered_a_code_in_private_only_and_only_with_pairing(
    is_direct: bool, offers_codes: bool, verdict: Verdict
) -> None:
    assert outcome(message(is_direct=is_direct), is_allowed=False, offers_codes=offers_codes) is verdict


@pytest.mark.parametrize("change", CHANGES, ids=["edit", "delete"])
def test_a_strangers_change_is_refused_without_a_word(change: FromPerson) -> None:
    assert outcome(change, is_allowed=False) is Verdict.REFUSE


@pytest.mark.parametrize("text", ["/stop", "/STOP", " /stop ", "/stop@a_bot", "/stop now\nplease"])
def test_a_strangers_stop_is_refused_like_anything_else(text: str) -> None:
    assert outcome(message(text, is_direct=False), is_allowed=False) is Verdict.REFUSE


@pytest.mark.parametrize("text", ["/stop", "/STOP", " /stop ", "/stop@a_bot", "/stop now\nplease"])
def test_a_stop_passes_whatever_the_pace(text: str) -> None:
    assert outcome(message(text)) is Verdict.ACCEPT


@pytest.mark.parametrize("text", ["stop", "/stopp", "/new", "please /stop", "/stop-it", "/stop/it"])
def test_nothing_else_passes_for_a_stop(text: str) -> None:
    assert outcome(message(text)) is Verdict.DROP


@given(
    st.from_regex(re.compile(r"\s?/(stop|stopp|new)(@\w{1,3})?(\s.{0,3})?", re.IGNORECASE | re.DOTALL), fullmatch=True)
)
def test_what_passes_for_a_stop_is_what_is_obeyed_as_one(text: str) -> None:
    command = parse_command(text)
    obeyed = command is not None and command.name == "stop"

    assert (outcome(message(text)) is Verdict.ACCEPT) == obeyed


@pytest.mark.parametrize("change", CHANGES, ids=["edit", "delete"])
def test_changes_have_no_pace(change: FromPerson) -> None:
    assert outcome(change) is Verdict.ACCEPT


@pytest.mark.parametrize(
    ("rate", "verdict"),
    [(RateVerdict.ADMIT, Verdict.ACCEPT), (RateVerdict.WARN, Verdict.WARN), (RateVerdict.DROP, Verdict.DROP)],
)
def test_a_message_goes_by_its_rate(rate: RateVerdict, verdict: Verdict) -> None:
    assert outcome(message(), rate=rate) is verdict


def test_a_strangers_message_does_not_count() -> None:
    judged: list[InboundMessage] = []

    def judge(inbound: InboundMessage) -> RateVerdict:
        judged.append(inbound)
        return RateVerdict.ADMIT

    decide(message(), is_allowed=False, offers_codes=True, judge=judge)
    decide(message("/stop"), is_allowed=True, offers_codes=True, judge=judge)

    assert judged == []
