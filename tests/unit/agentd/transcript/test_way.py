"""These tests check how one message is followed through the records of its session."""

from __future__ import annotations

import msgspec
import pytest

from agentd.transcript.key import SessionKey
from agentd.transcript.records import (
    AssistantMessage,
    Author,
    Command,
    Damaged,
    Delete,
    Delivery,
    Draft,
    Edit,
    Failure,
    FileAttachment,
    Record,
    Reset,
    SessionHeader,
    Source,
    Unknown,
    UserMessage,
)
from agentd.transcript.way import Hop, Way, follow, numbered, seqs_for

KEY = SessionKey("telegram", "bot", "7", None, "7")
HEADER = SessionHeader(version=1, key=KEY, ts="2026-01-01T12:00:00.000Z")


def said(message_id: str, trace: str = "", chat: str = "7") -> UserMessage:
    source = Source(chat=chat, message_id=message_id, sent_at="2026-01-01T12:00:01.000Z", author=Author(id="7"))
    return UserMessage(content="words", source=source, trace=trace or f"t{message_id}", ts="2026-01-01T12:00:02.000Z")


def command(message_id: str, name: str) -> Command:
    source = said(message_id).source
    assert source is not None
    return Command(name=name, source=source, trace=f"t{message_id}")


def way(seq: int, *records: Record) -> Way:
    found = follow(numbered((HEADER, *records)), seq)
    assert found is not None
    return found


def names(found: Way) -> list[str]:
    return [hop.name for hop in found.hops]


def test_an_answered_message_has_every_hop_in_order_with_its_time_and_record() -> None:
    found = way(
        1,
        said("10"),
        Draft(answers=(1,), part=0, state="sending", ts="2026-01-01T12:00:03.000Z"),
        Draft(answers=(1,), part=0, state="sent", message_id="11"),
        AssistantMessage(content="hello", answers=(1,), model="m", trace="t10"),
        Delivery(of=4, message_ids=("11",), state="sent"),
    )

    assert names(found) == ["sent", "accepted", "sending", "shown", "replied", "delivered"]
    assert [hop.seq for hop in found.hops] == [None, 1, 2, 3, 4, 5]
    assert [hop.at[17:19] for hop in found.hops[:3]] == ["01", "02", "03"]
    assert (found.outcome, found.is_delivered, found.key, found.began) == ("answered", True, KEY, HEADER.ts)
    assert "hello" not in str([hop.what for hop in found.hops])


def test_what_was_answered_together_names_the_others_and_the_trace_under_which_the_log_went_on() -> None:
    answer = AssistantMessage(content="both", answers=(1, 2), trace="t11")
    first, second = (way(seq, said("10"), said("11"), answer) for seq in (1, 2))

    assert first.hops[-1].what == "reply on disk, together with #2 (trace t11)"
    assert second.hops[-1].what == "reply on disk, together with #1"
    assert not first.is_delivered


@pytest.mark.parametrize(
    ("reason", "notice", "says"),
    [
        ("stopped", "Stopped.", "stopped by /stop"),
        ("stale", "you sent “my secret”", "found too long after it was sent"),
        ("superseded", "", "ended by /new before there was a reply"),
        ("budget", "You have used 5 tokens today.", "the day's tokens are used up ([limits]): You have used 5"),
        ("provider", "the server refused the key", "could not be asked, or broke off: the server refused the key"),
        ("timeout", "It took too long.", "agent.turn_timeout_seconds"),
        ("of a later version", "", "of a later version"),
    ],
)
def test_a_failure_is_told_in_plain_words_and_quotes_nobody(reason: str, notice: str, says: str) -> None:
    found = way(1, said("10"), Failure(answers=(1,), reason=reason, told=bool(notice), notice=notice, trace="t10"))

    assert found.outcome == "failed"
    assert says in found.hops[-1].what
    assert "my secret" not in found.hops[-1].what
    assert found.is_delivered == (not notice)


def test_a_message_that_waits_knows_what_waits_before_it() -> None:
    found = way(3, said("10"), said("11"), said("12"), AssistantMessage(content="a", answers=(1,)))

    assert (found.outcome, found.waits_behind) == ("pending", (2,))


def test_a_deleted_message_and_an_edited_one_say_so() -> None:
    deleted = way(1, said("10"), Delete(of=1))
    edited = way(
        1,
        said("10"),
        Edit(of=1, content="other words", edited_at=""),
        AssistantMessage(content="a", answers=(1,)),
        Delete(of=1),
    )

    assert (deleted.outcome, deleted.hops[-1].what) == ("deleted", "deleted by its author")
    assert names(edited)[2:] == ["edited", "replied", "deleted"]
    assert edited.hops[-1].what == "deleted by its author after it had been answered"
    assert edited.outcome == "answered"


def test_a_command_is_done_once_its_answer_is_delivered() -> None:
    waiting = way(1, command("10", "new"), Reset(reason="new"))
    done = way(1, command("10", "new"), Reset(reason="new"), Delivery(of=1, message_ids=("11",), state="sent"))

    assert (waiting.outcome, done.outcome) == ("pending", "done")
    assert done.hops[-1].what == "delivered as 11"


@pytest.mark.parametrize(("state", "says"), [("uncertain", "perhaps twice"), ("failed", "the platform refused it")])
def test_a_delivery_that_did_not_go_well_says_how(state: str, says: str) -> None:
    delivery = Delivery(of=2, state="uncertain" if state == "uncertain" else "failed")
    found = way(1, said("10"), AssistantMessage(content="a", answers=(1,)), delivery)

    assert says in found.hops[-1].what


def test_history_that_another_agent_wrote_is_waited_for_by_nobody() -> None:
    assert way(1, UserMessage(content="old")).outcome == "done"


def test_damage_and_records_of_a_later_version_are_passed_over() -> None:
    records = list(numbered([HEADER, Damaged(fault="x"), Unknown(seq=1, name="later"), said("10")]))

    assert [record.seq for record in records] == [0, 2]
    assert follow(records, 1) is None


def test_an_id_is_a_trace_or_a_platforms_or_that_of_a_reply() -> None:
    records = list(
        numbered(
            [
                HEADER,
                said("10"),
                said("10", "other", chat="8"),
                Draft(answers=(2,), part=0, state="sent", message_id="90"),
                Draft(answers=(99,), part=0, state="sent", message_id="91"),
            ]
        )
    )

    assert seqs_for("t10", records) == {1: "7"}
    assert seqs_for("10", records) == {1: "7", 2: "8"}
    assert seqs_for("90", records) == {2: "8"}
    assert seqs_for("91", records) == {}


def test_what_happened_to_another_message_is_no_hop_of_this_one() -> None:
    found = way(
        1,
        said("10"),
        said("11"),
        AssistantMessage(content="a", answers=(2,)),
        Delivery(of=3, message_ids=("12",), state="sent"),
        Edit(of=2, content="other words", edited_at=""),
        Delete(of=2),
    )

    assert (names(found), found.outcome) == (["sent", "accepted"], "pending")


def test_the_id_of_a_notice_or_of_a_commands_answer_leads_to_what_it_answers() -> None:
    records = list(
        numbered(
            (
                HEADER,
                said("10"),
                Failure(answers=(1,), reason="provider", told=True, trace="t10"),
                Delivery(of=2, message_ids=("90",), state="sent"),
                command("11", "status"),
                Delivery(of=4, message_ids=("91", "92"), state="sent"),
            )
        )
    )

    assert seqs_for("90", records) == {1: "7"}
    assert seqs_for("92", records) == {4: "7"}


def whats(found: Way) -> list[str]:
    return [hop.what for hop in found.hops]


def test_every_hop_is_told_in_words_that_a_person_reads() -> None:
    file = FileAttachment(name="f", media_type="text/plain", size_bytes=1)
    found = way(
        2,
        said("9"),
        msgspec.structs.replace(said("10"), attachments=(file, file)),
        said("11"),
        Draft(answers=(1, 2, 3), part=0, state="sending", ts="2026-01-01T12:00:03.000Z"),
        Draft(answers=(1, 2, 3), part=0, state="sent", message_id="20", ts="2026-01-01T12:00:04.000Z"),
        Draft(answers=(1, 2, 3), part=1, state="sending", ts="2026-01-01T12:00:05.000Z"),
        AssistantMessage(
            content="x", answers=(1, 2, 3), model="m", outcome="interrupted", trace="t10", ts="2026-01-01T12:00:06.000Z"
        ),
        Delivery(of=7, message_ids=("20", "21"), state="sent", ts="2026-01-01T12:00:07.000Z"),
        Edit(of=2, content="y", edited_at="", ts="2026-01-01T12:00:08.000Z"),
    )

    assert [(hop.at[17:19], hop.name, hop.what, hop.seq) for hop in found.hops] == [
        ("01", "sent", "sent, by the platform's clock", None),
        ("02", "accepted", "accepted, on disk, with 2 files", 2),
        ("03", "sending", "part 1 is about to be shown", 4),
        ("04", "shown", "part 1 shown as the platform's message 20", 5),
        ("05", "sending", "part 2 is about to be shown", 6),
        ("06", "replied", "reply of m on disk, broken off, together with #1, #3", 7),
        ("07", "delivered", "delivered as 20, 21", 8),
        ("08", "edited", "edited by its author after it had been answered", 9),
    ]
    assert isinstance(found.message, UserMessage)
    assert isinstance(found.end, AssistantMessage)
    assert (found.message.content, found.end.content) == ("words", "x")


def test_a_message_alone_without_files_is_told_without_either() -> None:
    found = way(1, said("10"), AssistantMessage(content="x", answers=(1,), trace="t10"), Delivery(of=2, state="sent"))

    assert whats(found)[1:] == ["accepted, on disk", "reply on disk", "delivered"]


def test_a_failure_is_a_hop_with_its_time_and_record() -> None:
    failure = Failure(answers=(1,), reason="stopped", told=True, trace="t10", ts="2026-01-01T12:00:03.000Z")
    refused = Delivery(of=2, state="failed", ts="2026-01-01T12:00:04.000Z")
    found = way(1, said("10"), failure, refused)

    assert found.hops[2:] == (
        Hop("2026-01-01T12:00:03.000Z", "failed", "no reply: stopped by /stop", 2),
        Hop("2026-01-01T12:00:04.000Z", "delivered", "the platform refused it", 3),
    )
    assert isinstance(found.end, Failure)


def test_a_command_is_told_by_its_name() -> None:
    found = way(1, command("10", "status"))

    assert whats(found)[1:] == ["/status, a command, on disk"]
    assert found.message.trace == "t10"


def test_an_answered_message_waits_behind_nothing_though_others_wait() -> None:
    found = way(2, said("10"), said("11"), AssistantMessage(content="a", answers=(2,)))

    assert (found.outcome, found.waits_behind) == ("answered", ())


def test_a_message_that_is_answered_once_more_has_the_last_answer_as_its_end() -> None:
    first, again = AssistantMessage(content="a", answers=(1,)), AssistantMessage(content="better", answers=(4, 1))
    found = way(1, said("10"), first, Delivery(of=2, state="sent"), command("11", "retry"), again)

    assert isinstance(found.end, AssistantMessage)
    assert (found.end.content, found.is_delivered) == ("better", False)
    assert names(found) == ["sent", "accepted", "replied", "delivered", "replied"]


def test_a_file_without_a_header_and_with_history_is_followed_too() -> None:
    records = list(numbered([UserMessage(content="old"), AssistantMessage(content="older"), said("10")]))
    found = follow(records, 2)

    assert found is not None
    assert (found.key, found.began, found.outcome) == (None, "", "pending")
    assert seqs_for("10", records) == {2: "7"}
