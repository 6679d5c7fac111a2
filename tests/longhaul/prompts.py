"""This module checks that a request to the model has each message once, as it was said or in the summary in force.

A prompt is the system text, the summary (no more than two messages, one of which may be the model's), the turns that
it does not cover, and the newest message. A text may be cut, visibly, where it is a large part of all that fits.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from tests.longhaul.journal import Compaction, PastTurn

__all__ = ["Expected", "Message", "PromptFaults", "common_length", "judge_prompt", "prefix_share"]

Message = tuple[str, str]
"""A role, and a text."""

MOST_HEAD_MESSAGES = 2
MOST_FRAME_CHARACTERS = 1_000
"""How much may stand around a summary."""

MOST_BETWEEN_CHARACTERS = 10
"""How much may stand around each message of a turn."""

MOST_NOTE_CHARACTERS = 300
LEAST_KEPT_CHARACTERS = 100
"""Of a text that is cut."""

LEAST_TELLING_CHARACTERS = 12
"""A shorter text may stand in a summary, or in another text, by chance."""

_NOTE = re.compile(r"left out|cut|shortened|omitted|truncated|\[\.\.\.|…", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Expected:
    """What a request should hold."""

    system: str
    compaction: Compaction | None
    live: Sequence[PastTurn]
    covered: Sequence[PastTurn]
    """The last turns that must not be there any more."""
    newest: tuple[str, ...]
    may_be_cut: Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class PromptFaults:
    """What is wrong with a request, by kind."""

    neither: tuple[str, ...] = ()
    both: tuple[str, ...] = ()
    newest: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """Return how much is wrong."""
        return len(self.neither) + len(self.both) + len(self.newest)


def judge_prompt(messages: Sequence[Message], expected: Expected) -> PromptFaults:
    """Return what is wrong with a request."""
    length = _matched(messages[1:-1], expected)
    missing = expected.live[: len(expected.live) - length]
    head = messages[1 : len(messages) - 1 - 2 * length]
    neither = [f"turn {turn.seqs} is neither there nor covered" for turn in missing]
    neither += _missing_head(messages, head, expected)
    # What was cut off from its place is missing, and not there twice.
    both = [] if missing else list(_surplus(head, expected))
    return PromptFaults(tuple(neither), tuple(both), tuple(_wrong_newest(messages, expected)))


def prefix_share(before: Sequence[Message], now: Sequence[Message]) -> float:
    """Return the share of a request's characters, as they are sent, that the one before began with too."""
    same = 0
    for old, new in zip(before, now, strict=False):
        if old != new:
            same += common_length(_serial(old), _serial(new))
            break
        same += len(_serial(new))
    return same / sum(len(_serial(message)) for message in now)


def common_length(one: str, other: str) -> int:
    """Return how many characters two texts begin with alike."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _serial(message: Message) -> str:
    return f"{message[0]}:{message[1]}\n"


def _matched(body: Sequence[Message], expected: Expected) -> int:
    """Return how many of the turns, from the last on, stand at the end."""
    end, length = len(body), 0
    for turn in reversed(expected.live):
        if end < 2 or not _is_turn(body[end - 2 : end], turn, expected.may_be_cut):
            break
        end, length = end - 2, length + 1
    return length


def _is_turn(pair: Sequence[Message], turn: PastTurn, may_be_cut: Callable[[str], bool]) -> bool:
    (asker, asked), (replier, reply) = pair
    if (asker, replier) != ("user", "assistant"):
        return False
    return _says(asked, turn.texts, may_be_cut) and (turn.reply is None or _says(reply, (turn.reply,), may_be_cut))


def _says(shown: str, texts: Sequence[str], may_be_cut: Callable[[str], bool]) -> bool:
    """Tell whether a message says exactly these texts, in their order."""
    place = 0
    for text in texts:
        found = shown.find(text, place)
        if found < 0:
            return _is_cut(shown, texts, may_be_cut)
        place = found + len(text)
    return len(shown) <= sum(len(text) + MOST_BETWEEN_CHARACTERS for text in texts)


def _is_cut(shown: str, texts: Sequence[str], may_be_cut: Callable[[str], bool]) -> bool:
    """Tell whether a message is what is left of these texts, with a note where something is missing."""
    whole = "\n\n".join(texts)
    if not may_be_cut(whole):
        return False
    start = common_length(shown, whole)
    end = common_length(shown[start:][::-1], whole[start:][::-1])
    note = shown[max(start - 5, 0) : len(shown) - end + 5]
    is_part = LEAST_KEPT_CHARACTERS <= start + end < len(whole)
    return is_part and len(note) <= MOST_NOTE_CHARACTERS and bool(_NOTE.search(note))


def _missing_head(messages: Sequence[Message], head: Sequence[Message], expected: Expected) -> Iterator[str]:
    role, system = messages[0]
    if role != "system" or not system.startswith(expected.system):
        yield "the system text does not come first"
    summary = expected.compaction.summary if expected.compaction else ""
    if sum(text.count(summary) for _, text in head) != 1 if summary else False:
        yield "the summary in force is not there once"


def _surplus(head: Sequence[Message], expected: Expected) -> Iterator[str]:
    summary = expected.compaction.summary if expected.compaction else ""
    around = "".join(text for _, text in head).replace(summary, "") if summary else ""
    for turn in expected.covered:
        if any(len(text) >= LEAST_TELLING_CHARACTERS and text in around for text in turn.texts):
            yield f"turn {turn.seqs} is covered, and there"
    if len(head) > (MOST_HEAD_MESSAGES if summary else 0):
        yield f"{len(head)} messages stand before the turns"
    elif len(around) > MOST_FRAME_CHARACTERS:
        yield f"{len(around)} characters stand around the summary"


def _wrong_newest(messages: Sequence[Message], expected: Expected) -> Iterator[str]:
    role, shown = messages[-1]
    if role != "user":
        yield "the last message is not the person's"
    if shown.endswith(expected.newest[-1]) and all(text in shown for text in expected.newest):
        return
    if not _is_cut(shown, expected.newest, expected.may_be_cut):
        yield "the newest message is not there as it was written"
