"""These tests check the gate between a fake platform and a fake router: who is let in, and what others are told."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from structlog.testing import capture_logs

from agentd.admission.allowing import parse_allowed
from agentd.admission.gate import Gate, GateWiring, Outcome, pairing_text, too_fast_text
from agentd.admission.settings import GateSettings
from agentd.errors import StorageError
from channels.base import (
    Address,
    Author,
    FromPerson,
    Inbound,
    InboundDelete,
    InboundEdit,
    InboundMessage,
    InboundMove,
    Receipt,
)
from channels.errors import NotAccepted

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
ADA, BOB, EVE = Author("1", "Ada"), Author("2", "Bob"), Author("3", "Eve", "eve")
DM = Address("fake", "bot", "dm")
CODE = "ABCDEFGH"


class Pending:
    """A receipt whose message is never settled."""

    async def settled(self) -> None:
        await asyncio.Event().wait()


RECEIPT: Receipt = Pending()


@dataclass
class Around:
    """What stands around the gate; Ada is allowed, Bob is paired, and Eve is nobody."""

    settings: GateSettings = field(default_factory=GateSettings)
    passed: list[FromPerson] = field(default_factory=list)
    told: list[tuple[Address, str]] = field(default_factory=list)
    counted: Counter[tuple[str, str]] = field(default_factory=Counter)
    arrives: bool = True
    fault: Exception | None = None
    state_fault: StorageError | None = None
    shown: bool = False
    telling: asyncio.Event = field(default_factory=asyncio.Event)
    may_arrive: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.may_arrive.set()
        self.gate = Gate(
            GateWiring(
                settings=self.settings,
                allowed={"fake": parse_allowed(["1"]), "console": parse_allowed(["*"])},
                unlimited=frozenset({"console"}),
                pairings=self,
                forward=self.forward,
                tell=self.tell,
                count=self.count,
                monotonic=lambda: 0.0,
            )
        )

    def is_paired(self, channel: str, sender: str) -> bool:
        return (channel, sender) == ("fake", BOB.id)

    async def request(self, address: Address, author: Author) -> str | None:
        del address, author
        if self.state_fault is not None:
            raise self.state_fault
        return None if self.shown else CODE

    async def note_shown(self, code: str) -> None:
        self.shown = code == CODE

    async def forward(self, inbound: Inbound) -> Receipt:
        assert not isinstance(inbound, InboundMove)
        if self.fault is not None:
            raise self.fault
        self.passed.append(inbound)
        return RECEIPT

    async def tell(self, to: Address, text: str) -> bool:
        self.telling.set()
        await self.may_arrive.wait()
        if self.arrives:
            self.told.append((to, text))
        return self.arrives

    def count(self, channel: str, outcome: Outcome) -> None:
        self.counted[channel, outcome] += 1

    async def post(
        self, author: Author, number: int = 0, text: str = "hello", *, is_direct: bool = True, to: Address = DM
    ) -> Receipt:
        sent_at = NOW + timedelta(seconds=number)
        return await self.gate.accept(InboundMessage(to, author, str(number), sent_at, text, is_direct=is_direct))


@pytest.mark.parametrize("author", [ADA, BOB], ids=["allowed", "paired"])
async def test_who_may_talk_gets_the_routers_receipt(author: Author) -> None:
    around = Around()
    receipt = await around.post(author)

    assert receipt is RECEIPT
    assert [inbound.author for inbound in around.passed] == [author]
    assert around.told == []
    assert around.counted == {("fake", "accepted"): 1}


async def test_a_stranger_is_shown_a_code_once_and_gets_a_settled_receipt() -> None:
    around = Around()
    for number in range(3):
        async with asyncio.timeout(1):
            await (await around.post(EVE, number)).settled()

    assert around.passed == []
    assert around.told == [(DM, pairing_text(CODE))]
    assert around.counted == {("fake", "refused"): 3}


async def test_a_code_that_did_not_arrive_is_shown_at_the_next_message() -> None:
    around = Around(arrives=False)
    await around.post(EVE)
    around.arrives = True
    await around.post(EVE, 1)
    await around.post(EVE, 2)

    assert around.told == [(DM, pairing_text(CODE))]


async def test_two_messages_of_a_stranger_at_once_show_one_code() -> None:
    around = Around()
    around.may_arrive.clear()
    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        tasks.create_task(around.post(EVE), name="first")
        await around.telling.wait()
        await (await around.post(EVE, 1)).settled()
        around.may_arrive.set()

    assert around.told == [(DM, pairing_text(CODE))]


@pytest.mark.parametrize(("pairing", "is_direct"), [(False, True), (True, False)], ids=["no pairing", "in a group"])
async def test_elsewhere_a_stranger_is_told_nothing(pairing: bool, is_direct: bool) -> None:
    around = Around(GateSettings(pairing=pairing))
    await (await around.post(EVE, is_direct=is_direct)).settled()

    assert (around.passed, around.told) == ([], [])
    assert around.counted == {("fake", "refused"): 1}


async def test_a_strangers_changes_are_dropped_uncounted() -> None:
    around = Around()
    await (await around.gate.accept(InboundEdit(DM, EVE, "1", NOW, "hi"))).settled()
    await (await around.gate.accept(InboundDelete(DM, EVE, "1", NOW))).settled()

    assert (around.passed, around.told, around.counted) == ([], [], {})


async def test_changes_of_who_may_talk_pass() -> None:
    around = Around()
    edit, delete = InboundEdit(DM, ADA, "1", NOW, "hi"), InboundDelete(DM, BOB, "1", NOW)

    assert await around.gate.accept(edit) is RECEIPT
    assert await around.gate.accept(delete) is RECEIPT
    assert around.passed == [edit, delete]


async def test_where_the_state_keeps_nothing_no_code_is_shown_and_the_message_is_dropped() -> None:
    around = Around(state_fault=StorageError("the disk is full"))
    with capture_logs() as logs:
        await (await around.post(EVE, text="a secret")).settled()

    assert (around.passed, around.told) == ([], [])
    assert [(log["event"], log["log_level"]) for log in logs] == [
        ("message_refused", "info"),
        ("pairing_not_kept", "error"),
    ]
    assert "a secret" not in str(logs)


async def test_a_channel_without_a_list_lets_nobody_in() -> None:
    around = Around()
    await (await around.post(ADA, to=Address("other", "bot", "dm"))).settled()

    assert around.passed == []


async def test_too_many_messages_are_told_once_dropped_and_counted() -> None:
    around = Around(GateSettings(messages_per_minute=2))
    for number in range(5):
        await around.post(ADA, number)
    stop = await around.post(ADA, 5, "/stop")

    assert [inbound.message_id for inbound in around.passed] == ["0", "1", "5"]
    assert around.told == [(DM, too_fast_text(2))]
    assert around.counted == {("fake", "accepted"): 3, ("fake", "limited"): 3}
    assert stop is RECEIPT


async def test_a_dropped_message_is_settled_at_once() -> None:
    around = Around(GateSettings(messages_per_minute=1))
    await around.post(ADA)
    async with asyncio.timeout(1):
        await (await around.post(ADA, 1)).settled()
        await (await around.post(ADA, 2)).settled()


async def test_a_warning_that_did_not_arrive_is_given_with_the_next_drop() -> None:
    around = Around(GateSettings(messages_per_minute=1), arrives=False)
    await around.post(ADA)
    await around.post(ADA, 1)
    around.arrives = True
    await around.post(ADA, 2)
    await around.post(ADA, 3)

    assert around.told == [(DM, too_fast_text(1))]


async def test_what_the_disk_refused_is_offered_again_and_counts_once() -> None:
    around = Around(GateSettings(messages_per_minute=1), fault=NotAccepted("the disk is full"))
    with pytest.raises(NotAccepted):
        await around.post(ADA)
    around.fault = None

    assert await around.post(ADA) is RECEIPT
    assert around.counted == {("fake", "accepted"): 1}


async def test_a_console_writes_as_fast_as_it_likes() -> None:
    around = Around(GateSettings(messages_per_minute=1))
    for number in range(10):
        await around.post(EVE, number, to=Address("console", "local", "terminal"))

    assert around.counted == {("console", "accepted"): 10}
