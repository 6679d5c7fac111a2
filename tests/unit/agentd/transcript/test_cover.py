"""These tests check the digests that the store computes over what a summary covers."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentd.errors import StorageError
from agentd.transcript.coverage import Cover, Coverage, digest_lines
from agentd.transcript.lines import MAX_LINE_BYTES, cut_lines
from agentd.transcript.records import FORMAT_VERSION, Compaction, Delete, Reset, SessionHeader, Undo, encode_line
from agentd.transcript.store import Session, SessionStore
from agentd.transcript.verify import verify
from tests.fakes.disk import FakeDisk
from tests.unit.agentd.transcript.building import KEY, answer, command, put, sent, source, user
from tests.unit.agentd.transcript.stores import everything, opened, path_of


async def talk(store: SessionStore, session: Session, count: int) -> list[int]:
    """Add so many settled turns, and return the seqs of their messages."""
    seqs = []
    for _ in range(count):
        [message] = await store.append(session, user(f"m{session.view.next_seq}"))
        [reply] = await store.append(session, answer(message.seq))
        await store.append(session, sent(reply.seq))
        seqs.append(message.seq)
    return seqs


async def compact(store: SessionStore, session: Session, to: int) -> Compaction:
    start, digest = await store.cover(session, to)
    record = Compaction(covers=(start, to), digest=digest, summary="s", tokens_before=9, tokens_after=1)
    await store.append(session, record)
    session.view.forget_covered()
    return record


def expected(disk: FakeDisk, folder: Path, record: Compaction) -> str:
    lines = everything(disk, path_of(folder)).split(b"\n")
    return digest_lines(lines[record.covers[0] : record.covers[1] + 1])


def damage(disk: FakeDisk, folder: Path) -> list[str]:
    content = everything(disk, path_of(folder))
    findings = verify(KEY.file_name, lambda: cut_lines([content]))
    return [finding.text for finding in findings if finding.is_damage]


async def test_a_digest_is_that_of_the_lines_from_the_first_message_on(disk: FakeDisk, folder: Path) -> None:
    async with opened(disk, folder) as store:
        session = await store.open(KEY)
        seqs = await talk(store, session, 6)
        first = await compact(store, session, seqs[2])
        second = await compact(store, session, seqs[4])

    assert (first.covers, second.covers) == ((seqs[0], seqs[2]), (seqs[0], seqs[4]))
    assert first.digest == expected(disk, folder, first)
    assert second.digest == expected(disk, folder, second)
    assert damage(disk, folder) == []


async def test_the_next_digest_reads_only_what_was_written_since(disk: FakeDisk, folder: Path) -> None:
    async with opened(disk, folder) as store:
        session = await store.open(KEY)
        await compact(store, session, (await talk(store, session, 200))[-2])
        newer = await talk(store, session, 2)
        before = disk.bytes_read
        await compact(store, session, newer[0])

    assert disk.bytes_read - before < 3_000


async def test_another_run_reckons_it_anew(disk: FakeDisk, folder: Path) -> None:
    async with opened(disk, folder) as store:
        session = await store.open(KEY)
        await compact(store, session, (await talk(store, session, 4))[1])
    async with opened(disk, folder) as store:
        session = await store.open(KEY)
        record = await compact(store, session, (await talk(store, session, 2))[0])

    assert record.covers[0] == 1
    assert record.digest == expected(disk, folder, record)


async def test_a_conversation_begins_after_its_reset(disk: FakeDisk, folder: Path) -> None:
    async with opened(disk, folder) as store:
        session = await store.open(KEY)
        await compact(store, session, (await talk(store, session, 3))[1])
        await store.append(session, Reset(reason="new"))
        seqs = await talk(store, session, 3)
        record = await compact(store, session, seqs[1])

    assert record.covers == (seqs[0], seqs[1])
    assert record.digest == expected(disk, folder, record)
    assert damage(disk, folder) == []


async def test_a_message_that_came_between_new_and_its_reset_is_covered_too(disk: FakeDisk, folder: Path) -> None:
    async with opened(disk, folder) as store:
        session = await store.open(KEY)
        await talk(store, session, 2)
        [new] = await store.append(session, command("new", "n"))
        [early] = await store.append(session, user("early"))
        await store.append(session, Reset(reason="new", source=source("n")))
        await store.append(session, sent(new.seq))
        [reply] = await store.append(session, answer(early.seq))
        await store.append(session, sent(reply.seq))
        seqs = await talk(store, session, 3)
        record = await compact(store, session, seqs[1])

    assert record.covers == (early.seq, seqs[1])
    assert record.digest == expected(disk, folder, record)
    assert damage(disk, folder) == []


async def test_of_a_conversation_whose_start_was_not_read_back_it_is_looked_for(disk: FakeDisk, folder: Path) -> None:
    async with opened(disk, folder) as store:
        session = await store.open(KEY)
        await talk(store, session, 2)
        await store.append(session, Reset(reason="new"))
        seqs = await talk(store, session, 30)
    async with opened(disk, folder, most_characters=100) as store:
        session = await store.open(KEY)
        was_cut = session.view.is_cut
        record = await compact(store, session, session.view.turns[0].messages[-1].seq)

    assert (was_cut, session.view.is_cut) == (True, False)
    assert record.covers[0] == seqs[0]
    assert record.digest == expected(disk, folder, record)


@pytest.mark.parametrize("gone", [False, True], ids=["all wait", "the first is deleted"])
async def test_a_message_between_new_and_its_reset_begins_a_conversation_whose_start_was_not_read_back(
    disk: FakeDisk, folder: Path, gone: bool
) -> None:
    async with opened(disk, folder) as store:
        session = await store.open(KEY)
        await talk(store, session, 2)
        await store.append(session, command("new", "n"))
        [first] = await store.append(session, user("first"))
        [second] = await store.append(session, user("second"))
        if gone:
            await store.append(session, Delete(of=first.seq, source=source("d")))
        await store.append(session, Reset(reason="new", source=source("n")))
        [reply] = await store.append(session, answer(first.seq, second.seq))
        await store.append(session, sent(reply.seq))
        await talk(store, session, 30)
    async with opened(disk, folder, most_characters=100) as store:
        session = await store.open(KEY)
        record = await compact(store, session, session.view.turns[0].messages[-1].seq)

    assert record.covers[0] == (second.seq if gone else first.seq)
    assert record.digest == expected(disk, folder, record)
    assert damage(disk, folder) == []


async def test_after_an_undo_a_shorter_range_can_be_covered(disk: FakeDisk, folder: Path) -> None:
    async with opened(disk, folder) as store:
        session = await store.open(KEY)
        seqs = await talk(store, session, 5)
        await compact(store, session, seqs[3])
        assert session.view.summary is not None
        await store.append(session, Undo(of=session.view.summary.seq))
        record = await compact(store, session, seqs[1])

    assert [turn.messages[0].seq for turn in session.view.live_turns] == seqs[2:]
    assert record.digest == expected(disk, folder, record)
    assert damage(disk, folder) == []


async def test_lines_that_are_no_records_do_not_count(disk: FakeDisk, folder: Path) -> None:
    async with opened(disk, folder) as store:
        session = await store.open(KEY)
        await talk(store, session, 2)
    whole = everything(disk, path_of(folder))
    other = folder / "other.jsonl"
    put(disk, other, whole.replace(b"\n", b"\n\n", 3) + b'{"torn":\n')
    async with opened(disk, folder) as store:
        session = await store.open(KEY)
        session.path, session.length = other, len(everything(disk, other))
        covered = await store.cover(session, 2)

    assert covered == (1, digest_lines(whole.split(b"\n")[1:3]))


async def test_a_file_that_cannot_be_read_is_told(disk: FakeDisk, folder: Path) -> None:
    async with opened(disk, folder) as store:
        session = await store.open(KEY)
        seqs = await talk(store, session, 2)
        disk.fail_reading(path_of(folder), 5)
        with pytest.raises(StorageError):
            await store.cover(session, seqs[0])

        assert await store.cover(session, seqs[0])


def test_a_digest_of_more_than_there_is_takes_in_all_of_it() -> None:
    lines = [encode_line(SessionHeader(version=FORMAT_VERSION, key=KEY, seq=0)), encode_line(user("m1", seq=1))]
    cover = Cover()

    digest = cover.extend(cut_lines(lines), 1_000)

    assert (digest, cover.start, cover.to) == (digest_lines([lines[1].rstrip(b"\n")]), 1, 1_000)


def test_in_a_file_of_an_older_format_lines_are_counted_and_count_from_the_first_message_on() -> None:
    old = [b'{"role":"user","content":"hi"}', b'{"role":"assistant","content":"hello"}']
    lines = [*old, *(encode_line(record).rstrip(b"\n") for record in (user("m2", seq=2), answer(2, seq=3)))]
    covers = {to: Cover() for to in range(4)}
    digests = [cover.extend(cut_lines([line + b"\n" for line in lines]), to) for to, cover in covers.items()]

    assert digests == [digest_lines(lines[: to + 1]) for to in covers]
    assert {cover.start for cover in covers.values()} == {0}


def test_where_seqs_are_missing_a_digest_ends_at_its_seq_all_the_same() -> None:
    lines = [encode_line(record) for record in (user("m1", seq=1), answer(1, seq=5), user("m6", seq=6))]
    cover = Cover()

    assert cover.extend(cut_lines(lines), 5) == digest_lines([line.rstrip(b"\n") for line in lines[:2]])
    assert cover.offset == len(lines[0] + lines[1])


def test_a_line_longer_than_any_record_does_not_count() -> None:
    lines = [encode_line(user("m1", seq=1)), encode_line(user("m2", seq=2))]
    blocks = [lines[0], b"#" * (MAX_LINE_BYTES + 1) + b"\n", lines[1]]

    assert Cover().extend(cut_lines(blocks), 2) == digest_lines([line.rstrip(b"\n") for line in lines])


def test_there_is_no_digest_of_what_was_not_reached_or_of_which_a_line_is_lost() -> None:
    coverage = Coverage([(0, 1), (0, 2), (1, 1), (2, 2), (2, 3)])
    for seq, line in enumerate((b"a", None, b"c")):
        coverage.take(seq, line)

    assert coverage.digest(2, 2) == digest_lines([b"c"])
    assert [coverage.digest(*range_) for range_ in ((0, 1), (0, 2), (1, 1), (2, 3), (7, 8))] == [None] * 5
