"""These tests check a reply of several parts: what is on disk and on the screen at every step."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from agentd.delivery.reply import COPY_NOTE, Destination, Known, Reply
from channels.base import Address
from channels.errors import NotSent, RateLimited, SendFailed, Unreachable
from channels.markup.rich import RichText, plain
from tests.fakes.channel import FakeChannel
from tests.unit.agentd.delivery.growing import grow

HERE = Address("fake", "bot", "dm")


@dataclass
class MemoryJournal:
    """The port, in a list."""

    lines: list[str] = field(default_factory=list)

    async def sending(self, part: int) -> None:
        self.lines.append(f"sending {part}")

    async def sent(self, part: int, message_id: str) -> None:
        self.lines.append(f"sent {part} {message_id}")


class FaultyChannel(FakeChannel):
    """A platform whose next calls fail as the test says; a lost answer's message has arrived."""

    def __init__(self, most_units: int | None = None) -> None:
        super().__init__(most_units=most_units)
        self.sending: list[Exception | None] = []
        self.editing: list[Exception | None] = []
        self.nonces: list[str] = []

    async def send(self, to: Address, text: RichText, nonce: str) -> str:
        self.nonces.append(nonce)
        fault = self.sending.pop(0) if self.sending else None
        if fault is not None and not isinstance(fault, Unreachable):
            raise fault
        if isinstance(fault, NotSent):
            raise fault
        message_id = await super().send(to, text, nonce)
        if fault is not None:
            raise fault
        return message_id

    async def edit(self, to: Address, message_id: str, text: RichText) -> None:
        fault = self.editing.pop(0) if self.editing else None
        if fault is not None:
            raise fault
        await super().edit(to, message_id, text)


class Unpaced:
    """A budget without end."""

    async def turn(self, chat: str) -> None:
        del chat

    def draft(self, chat: str, *, reply: object = None, looks_only: bool = False) -> float:
        del chat, reply, looks_only
        return 0.0

    def ended(self, reply: object) -> None:
        del reply

    def is_resting(self, chat: str) -> bool:
        del chat
        return False

    def rest(self, chat: str, seconds: float) -> None:
        raise AssertionError(f"nobody asked to leave {chat} alone for {seconds} s")

    def refused(self, chat: str, seconds: float) -> None:
        raise AssertionError(f"nobody refused a call in {chat} for {seconds} s")


def reply_on(
    channel: FakeChannel, journal: MemoryJournal, known: dict[int, Known] | None = None, *, grows: bool = True
) -> Reply:
    ticks = iter(range(1_000))
    return Reply(
        Destination(channel, HERE, Unpaced(), grows),
        journal,
        nonce="n",
        monotonic=lambda: float(next(ticks)),
        known=known or {},
    )


async def test_a_long_reply_becomes_parts_each_journalled_before_and_after() -> None:
    channel, journal = FaultyChannel(most_units=10), MemoryJournal()
    outcome = await reply_on(channel, journal).finish("one two three four five six")

    assert channel.texts == ["one two", "three four", "five six"]
    assert journal.lines == ["sending 0", "sent 0 m0", "sending 1", "sent 1 m1", "sending 2", "sent 2 m2"]
    assert (outcome.state, outcome.message_ids) == ("sent", ("m0", "m1", "m2"))
    assert len(set(channel.nonces)) == 3


async def test_a_growing_reply_fills_one_part_after_the_other_by_edits() -> None:
    channel, journal = FaultyChannel(most_units=10), MemoryJournal()
    reply = reply_on(channel, journal)
    for text in ("one", "one two", "one two three", "one two three four"):
        await grow(reply, text)
    await reply.finish("one two three four five")

    assert channel.texts == ["one two", "three four", "five"]
    assert [sent.edits for sent in channel.sent] == [1, 1, 0]


async def test_the_parts_that_a_shorter_text_leaves_over_are_removed() -> None:
    channel, journal = FaultyChannel(most_units=10), MemoryJournal()
    reply = reply_on(channel, journal)
    await grow(reply, "one two three four five six")
    outcome = await reply.finish("short")

    assert channel.texts == ["short"]
    assert (outcome.state, outcome.message_ids) == ("sent", ("m0",))


async def test_parts_of_an_earlier_run_are_completed_by_edits_and_followed_by_the_missing_ones() -> None:
    channel, journal = FaultyChannel(most_units=10), MemoryJournal()
    await channel.send(HERE, plain("one"), "")
    outcome = await reply_on(channel, journal, {0: Known("m0")}).finish("one two three")

    assert channel.texts == ["one two", "three"]
    assert journal.lines == ["sending 1", "sent 1 m1"]
    assert outcome.state == "sent"


async def test_a_part_that_may_have_arrived_is_sent_again_with_a_mark_and_the_others_are_not() -> None:
    channel, journal = FaultyChannel(most_units=100), MemoryJournal()
    await channel.send(HERE, plain("x" * 90), "")
    text = "x" * 100 + "y" * 40
    outcome = await reply_on(channel, journal, {0: Known("m0"), 1: Known(None)}).finish(text)

    assert channel.texts[0] == "x" * 100
    assert channel.texts[1:] == [COPY_NOTE + "y" * 40]
    assert outcome.state == "uncertain"
    assert journal.lines[0] == "sending 1"


async def test_a_copy_stays_marked_when_it_is_completed_by_another_run() -> None:
    channel, journal = FaultyChannel(), MemoryJournal()
    await channel.send(HERE, plain(f"{COPY_NOTE}one"), "")
    outcome = await reply_on(channel, journal, {0: Known("m0", tries=2)}).finish("one")

    assert channel.texts == [f"{COPY_NOTE}one"]
    assert outcome.state == "uncertain"


async def test_a_send_whose_answer_was_lost_is_repeated_as_a_marked_copy() -> None:
    channel, journal = FaultyChannel(), MemoryJournal()
    channel.sending = [Unreachable("reset by peer")]
    reply = reply_on(channel, journal)
    with pytest.raises(Unreachable):
        await reply.finish("one")
    outcome = await reply.finish("one")

    assert channel.texts == ["one", f"{COPY_NOTE}one"]
    assert journal.lines == ["sending 0", "sending 0", "sent 0 m1"]
    assert outcome.state == "uncertain"


async def test_a_send_that_is_known_not_to_have_arrived_is_repeated_as_it_is() -> None:
    channel, journal = FaultyChannel(), MemoryJournal()
    channel.sending = [NotSent("no route")]
    reply = reply_on(channel, journal)
    with pytest.raises(NotSent):
        await reply.finish("one")
    outcome = await reply.finish("one")

    assert channel.texts == ["one"]
    assert journal.lines == ["sending 0", "sent 0 m0"]
    assert outcome.state == "sent"


class RecognisingChannel(FaultyChannel):
    """A platform that knows a nonce again: a second send with it shows nothing new."""

    nonce_seconds = 60.0

    def __init__(self) -> None:
        super().__init__()
        self._ids_by_nonce: dict[str, str] = {}
        self.refusing: list[Exception | None] = []
        """What the next calls raise before the platform looks at them."""

    async def send(self, to: Address, text: RichText, nonce: str) -> str:
        if self.refusing and (fault := self.refusing.pop(0)):
            raise fault
        if nonce not in self._ids_by_nonce:
            self._ids_by_nonce[nonce] = f"m{len(self.sent)}"
            return await super().send(to, text, nonce)
        return self._ids_by_nonce[nonce]


async def test_where_the_nonce_is_recognised_a_lost_answer_makes_no_copy_and_the_text_is_brought_up_to_date() -> None:
    channel, journal = RecognisingChannel(), MemoryJournal()
    channel.sending = [Unreachable("reset by peer")]
    reply = reply_on(channel, journal)
    await grow(reply, "one")
    outcome = await reply.finish("one two")

    assert channel.texts == ["one two"]
    assert journal.lines == ["sending 0", "sent 0 m0"]
    assert outcome.state == "sent"


@pytest.mark.parametrize(("age_seconds", "texts"), [(30, ["one"]), (300, ["one", f"{COPY_NOTE}one"])])
async def test_a_nonce_of_an_earlier_run_is_relied_on_only_while_it_is_recognised(
    age_seconds: float, texts: list[str]
) -> None:
    channel = RecognisingChannel()
    channel.sending = [Unreachable("killed before the answer came")]
    with pytest.raises(Unreachable):
        await reply_on(channel, MemoryJournal()).finish("one")
    await reply_on(channel, MemoryJournal(), {0: Known(None, 1, age_seconds)}).finish("one")

    assert channel.texts == texts


class Busy(Unpaced):
    """A budget that has room only after some seconds."""

    def __init__(self, wait_seconds: float) -> None:
        self.now = 0.0
        self._wait_seconds = wait_seconds

    async def turn(self, chat: str) -> None:
        del chat
        self.now += self._wait_seconds

    def refused(self, chat: str, seconds: float) -> None:
        del chat
        self.now += seconds


@pytest.mark.parametrize(
    ("wait_seconds", "sending", "is_copy"),
    [
        (1, [], False),
        (50, [], True),
        (1, [RateLimited("slow down", 5)], False),
        (1, [RateLimited("slow down", 50)], True),
    ],
)
async def test_a_nonce_that_is_forgotten_while_the_reply_waits_for_room_is_not_relied_on(
    wait_seconds: float, sending: list[Exception | None], is_copy: bool
) -> None:
    channel, pace = RecognisingChannel(), Busy(wait_seconds)
    channel.sending = [Unreachable("killed before the answer came")]
    with pytest.raises(Unreachable):
        await reply_on(channel, MemoryJournal()).finish("one")
    channel.refusing = sending
    to = Destination(channel, HERE, pace, grows=False)
    known = {0: Known(None, 1, 30.0)}
    outcome = await Reply(to, MemoryJournal(), nonce="n", monotonic=lambda: pace.now, known=known).finish("one")

    assert channel.texts == (["one", f"{COPY_NOTE}one"] if is_copy else ["one"])
    assert outcome.state == ("uncertain" if is_copy else "sent")


async def test_a_message_that_can_no_longer_be_changed_is_followed_by_a_marked_one() -> None:
    channel, journal = FaultyChannel(), MemoryJournal()
    await channel.send(HERE, plain("half of"), "")
    channel.editing = [SendFailed("too old to be edited")]
    outcome = await reply_on(channel, journal, {0: Known("m0")}).finish("half of it")

    assert channel.texts == ["half of", f"{COPY_NOTE}half of it"]
    assert outcome.message_ids == ("m1",)


async def test_a_platform_that_refuses_the_second_part_leaves_the_first_and_says_so() -> None:
    channel, journal = FaultyChannel(most_units=10), MemoryJournal()
    channel.sending = [None, SendFailed("blocked")]
    outcome = await reply_on(channel, journal).finish("one two three four")

    assert (outcome.state, outcome.message_ids, outcome.fault) == ("failed", ("m0",), "blocked")


async def test_a_refusal_while_it_grows_ends_the_growing_and_not_the_reply() -> None:
    channel, journal = FaultyChannel(), MemoryJournal()
    channel.editing = [SendFailed("too many edits")]
    reply = reply_on(channel, journal)
    for text in ("one", "one two", "one two three"):
        await grow(reply, text)

    assert channel.texts == ["one"]
    assert (await reply.finish("one two three four")).state == "sent"
    assert channel.texts == ["one two three four"]
