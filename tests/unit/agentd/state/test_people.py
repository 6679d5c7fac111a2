from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentd.errors import StorageError
from agentd.state.people import Burnt, People, Redeemed
from agentd.state.state import open_state
from channels.base import Address
from tests.unit.agentd.transcript.building import CALM

START = datetime(2026, 1, 1, 12, tzinfo=UTC)
A, B, C, D = "telegram:1", "slack:2", "discord:3", "telegram:4"


class Days:
    """One `state.db` over several runs, and its clock."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "state.db"
        self.now = START

    @asynccontextmanager
    async def run(self) -> AsyncIterator[People]:
        async with open_state(self.path, "1", lambda: self.now) as state:
            yield state.people


@pytest.fixture
def days(tmp_path: Path) -> Days:
    return Days(tmp_path)


async def test_linking_merges_two_groups_and_the_next_run_knows(days: Days) -> None:
    async with days.run() as people:
        await people.link(A, B)
        await people.link(C, D)
        merged = await people.link(B, C)
        again = await people.link(A, D)
    async with days.run() as people:
        known = [people.senders_of(sender) for sender in (A, B, C, D)]

    assert merged == again == {A, B, C, D}
    assert known == [{A, B, C, D}] * 4
    assert people.linked == {frozenset((A, B, C, D))}


async def test_who_leaves_stands_alone_and_so_does_the_last_one_left(days: Days) -> None:
    async with days.run() as people:
        await people.link(A, B)
        await people.link(B, C)
        left = await people.unlink(A)
        rest = people.senders_of(C)
        await people.unlink(B)
        alone = people.senders_of(C)
        nothing = await people.unlink(B)

    assert left == {B, C}
    assert rest == {B, C}
    assert alone == {C}
    assert nothing == frozenset()
    assert people.linked == frozenset()


async def test_the_place_where_a_code_was_asked_for_comes_with_its_first_use(days: Days) -> None:
    place = Address("telegram", "bot", "1", "9")
    async with days.run() as people:
        code = await people.offer(A, place)
        first = await people.redeem(B, code)
        second = await people.redeem(B, code)

    assert first == Redeemed(frozenset((A, B)), A, place, is_news=True)
    assert second == Redeemed(frozenset((A, B)), A, place, is_news=False)


async def test_what_is_done_twice_does_not_link_again_what_was_taken_apart_meanwhile(days: Days) -> None:
    async with days.run() as people:
        code = await people.offer(A)
        await people.redeem(B, code)
        await people.unlink(A)
        again = await people.redeem(B, code)

    assert again == Redeemed(frozenset((B,)), A, None, is_news=False)
    assert people.senders_of(A) == {A}


async def test_a_code_ends_after_an_hour_and_a_clock_that_went_back_far_keeps_none(days: Days) -> None:
    async with days.run() as people:
        code = await people.offer(A)
        days.now += timedelta(minutes=59)
        same = await people.offer(A)
        days.now -= timedelta(hours=5)
        early = await people.redeem(B, code)
        days.now += timedelta(hours=5, minutes=1)
        late = await people.redeem(B, code)
        newer = await people.offer(A)

    assert code == same != newer
    assert early == late == Burnt()


async def test_forgetting_leaves_nothing_of_the_senders_and_the_others_together(days: Days) -> None:
    async with days.run() as people:
        await people.link(A, B)
        await people.link(B, C)
        await people.offer(A, Address("telegram", "bot", "1"))
        await people.redeem(D, await people.offer(A))
        await people.redeem(A, "WRONG")
        await people.forget(frozenset((A, D)))
        rest = people.senders_of(B)
        new = await people.offer(A)

    assert rest == {B, C}
    assert new
    assert A not in rest


async def test_without_a_disk_nothing_is_linked_and_that_is_said(tmp_path: Path) -> None:
    (tmp_path / "state.db").mkdir()
    async with open_state(tmp_path / "state.db" / "missing" / "state.db", "1", lambda: START) as state:
        with pytest.raises(StorageError):
            await state.people.link(A, B)

        assert state.people.senders_of(A) == {A}


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["link", "unlink", "code"]), st.sampled_from([A, B, C, D]), st.sampled_from([A, B, C, D])
    ),
    max_size=12,
)


@CALM
@given(STEPS)
def test_people_are_always_a_partition_and_the_next_run_has_the_same(steps: list[tuple[str, str, str]]) -> None:
    async def run() -> None:
        with TemporaryDirectory() as folder:
            days = Days(Path(folder))
            async with days.run() as people:
                groups = {sender: {sender} for sender in (A, B, C, D)}
                for what, a, b in steps:
                    await take(people, what, a, b)
                    expect(groups, what, a, b)
                seen = {sender: set(people.senders_of(sender)) for sender in groups}
            async with days.run() as people:
                later = {sender: set(people.senders_of(sender)) for sender in groups}

            assert seen == later == groups

    asyncio.run(run())


async def take(people: People, what: str, a: str, b: str) -> None:
    if what == "link":
        await people.link(a, b)
    elif what == "unlink":
        await people.unlink(a)
    else:
        await people.redeem(b, await people.offer(a))


def expect(groups: dict[str, set[str]], what: str, a: str, b: str) -> None:
    if what == "unlink":
        for member in groups[a] - {a}:
            groups[member] = groups[a] - {a}
        groups[a] = {a}
        return
    merged = groups[a] | groups[b]
    for member, _ in itertools.product(merged, (0,)):
        groups[member] = merged
