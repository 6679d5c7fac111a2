"""These tests check `agentd sessions` as a process: its output, its files and its exit codes."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentd.cli.sessions_mend import repair_files, report_findings
from agentd.service.workspace import hold_workspace
from agentd.transcript.key import SessionKey
from agentd.transcript.records import SessionHeader
from tests.flow.ledger import Workspace, said, snapshot
from tests.flow.process import talk, write_config
from tests.platforms.openai_server import OpenAIServer
from tests.unit.agentd.transcript.building import KEY, answer, as_file, numbered, sent, user
from tests.unit.agentd.transcript.damage import NAME, as_bytes, whole

HEADER = SessionHeader(version=1, key=KEY)


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    mask = os.umask(0o077)
    yield Workspace(tmp_path)
    os.umask(mask)


@pytest.mark.parametrize("words", [["list"], ["search", "x"], ["verify"], ["repair"]])
def test_a_missing_workspace_is_empty_and_stays_missing(words: list[str], workspace: Workspace) -> None:
    assert workspace.run(*words) == ""
    assert not workspace.folder.exists()


def test_the_list_has_the_newest_first_and_counts_messages(workspace: Workspace) -> None:
    other = SessionKey("fake", "bot", "other")
    old = workspace.put(said("one", "two"))
    new = workspace.put(said("three", key=other, day=2), other.file_name)

    assert workspace.read("list") == [
        {"key": other.file_name, "file": str(new), "messages": 2, "updated": "2026-01-02T12:00:00.000Z"},
        {"key": NAME, "file": str(old), "messages": 4, "updated": "2026-01-01T12:00:00.000Z"},
    ]
    assert [line.split()[-1] for line in workspace.run("list").splitlines()] == [other.file_name, NAME]


async def test_what_a_conversation_left_is_shown_found_and_without_damage(tmp_path: Path) -> None:
    async with OpenAIServer() as server:
        await talk(write_config(tmp_path, server.base_url), "My name is Ada.", "/status")
    workspace = Workspace(tmp_path)
    [session] = workspace.read("list")
    shown = workspace.run("show", session["key"])

    assert session["messages"] == 2
    assert all(text in shown for text in ("    My name is Ada.", "    You said: My name is Ada.", "    /status"))
    assert workspace.run("verify") == ""
    assert [hit["line"] for hit in workspace.read("search", "ADA", "name")] == [
        "My name is Ada.",
        "You said: My name is Ada.",
    ]


def test_a_session_is_found_by_its_file_name_and_by_any_part_that_only_it_has(workspace: Workspace) -> None:
    workspace.put(said("one"))
    workspace.put(said("two", key=SessionKey("fake", "bot", "chat2")), "fake~bot~chat2~~")

    assert "one" in workspace.run("show", f"{NAME}.jsonl")
    assert "one" in workspace.run("show", "chat~")
    assert "two" in workspace.run("show", "CHAT2")
    fault = workspace.run_raw("show", "chat")
    assert (fault.returncode, fault.stderr.decode().count("fake~bot~chat")) == (1, 2)
    assert workspace.run_raw("show", "../config").returncode == 1


def test_nothing_in_a_message_steers_the_terminal(workspace: Workspace) -> None:
    workspace.put(said("hunt\x1b]0;title\x07\x9b2J\r\u202e\x00\x7f"))
    printed = workspace.run("show", NAME) + workspace.run("search", "hunt") + workspace.run("show", NAME, "--json")

    assert "hunt" in printed
    assert not [char for char in printed if not char.isprintable() and char != "\n"]


def test_search_takes_all_words_of_one_message_in_any_case_and_script(workspace: Workspace) -> None:
    workspace.put(said("Die Straße\nist lang", "今天天气很好", "lang nothing"))

    assert [(hit["seq"], hit["line"]) for hit in workspace.read("search", "STRASSE", "lang")] == [
        (1, "Die Straße"),
        (2, "You said: Die Straße"),
    ]
    assert [hit["seq"] for hit in workspace.read("search", "天气")] == [3, 4]
    assert workspace.read("search", "absent") == []


def test_reading_commands_change_nothing_even_in_a_damaged_workspace(workspace: Workspace) -> None:
    workspace.put(as_bytes([*whole()[:5], b"garbage", *whole()[6:]])[:-9])
    before = snapshot(workspace.folder)
    for words in (["list"], ["show", NAME], ["search", "a"], ["export", NAME]):
        workspace.run(*words)
    workspace.run("verify", expect=1)

    assert snapshot(workspace.folder) == before


def test_verify_names_file_and_line_and_repair_makes_it_clean(workspace: Workspace) -> None:
    path = workspace.put(as_bytes([*whole()[:5], b"garbage", *whole()[6:]]))
    printed = workspace.run("verify", expect=1)

    assert printed.startswith(f"{path}:6: not a record")
    damage = [found for found in workspace.read("verify", expect=1) if found["damage"]]
    assert [(found["file"], found["line"]) for found in damage] == [(str(path), 6)]
    assert "quarantine" in workspace.run("repair")
    assert [found for found in workspace.read("verify") if found["damage"]] == []
    assert b"garbage" in path.with_name(f"{path.name}.quarantine").read_bytes()
    assert workspace.run("repair") == ""


def test_where_a_lost_answer_stood_the_conversation_says_so_after_the_repair(workspace: Workspace) -> None:
    records = numbered(HEADER, user("a"), answer(1), sent(2), user("b"), answer(4), sent(5))
    lines = as_file(records).splitlines()
    workspace.put(as_bytes([*lines[:2], b"garbage", *lines[3:]]))
    printed = workspace.run("repair").splitlines()
    shown = workspace.run("show", NAME).splitlines()

    assert printed[-1] == f"{NAME}.jsonl: 1 records count as settled, since a later turn was delivered"
    assert [line.strip() for line in shown if "#" not in line] == [
        "text of a",
        "2026-01-01 12:00:01  -- what was said here is lost",
        "text of b",
        "a reply",
    ]
    assert workspace.run("verify") == ""


def test_a_file_that_cannot_be_repaired_is_named_and_those_after_it_are_repaired(workspace: Workspace) -> None:
    keys = [SessionKey("fake", "bot", chat) for chat in ("a", "b", "c")]
    paths = [workspace.put(said("one", key=key) + b"garbage\n", key.file_name) for key in keys]
    quarantine = paths[1].with_name(f"{paths[1].name}.quarantine")
    quarantine.symlink_to(workspace.config)
    lines = workspace.run("repair", expect=1).splitlines()

    assert len(lines) == 3
    assert lines[1] == f"{paths[1]}: {quarantine}: Too many levels of symbolic links (not repaired)"
    assert [found["file"] for found in workspace.read("verify", expect=1) if found["damage"]] == [str(paths[1])]


def test_a_file_that_cannot_be_read_hides_no_damage_of_those_after_it(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    first, last = workspace.put(said("one") + b"garbage\n", "a"), workspace.put(said("one") + b"garbage\n", "z")
    unreadable, gone = workspace.sessions / "folder.jsonl", workspace.sessions / "gone.jsonl"
    unreadable.mkdir()
    count = report_findings([first, gone, unreadable, last], as_json=False)
    lines = capsys.readouterr().out.splitlines()
    report_findings([unreadable], as_json=True)

    assert count == 3
    assert lines.index(f"{unreadable}: cannot be read: not a plain file") > 0
    assert any(line.startswith(f"{last}:4: not a record") for line in lines)
    assert not any(line.startswith(str(gone)) for line in lines)
    assert json.loads(capsys.readouterr().out) == [
        {"file": str(unreadable), "line": 0, "damage": True, "text": "cannot be read: not a plain file"}
    ]
    assert repair_files([unreadable]) == 1
    assert capsys.readouterr().out == f"{unreadable}: not a plain file (not repaired)\n"


def test_a_note_is_no_damage(workspace: Workspace) -> None:
    path = workspace.put(said("one")[:-1])

    assert f"{path}:3: note:" in workspace.run("verify")


def test_what_writes_gives_way_to_a_daemon(workspace: Workspace) -> None:
    workspace.put(said("one") + b"garbage")
    source_file = workspace.config.parent / "telegram_42.jsonl"
    source_file.write_bytes(b'{"role":"user","content":"hi"}\n')
    before = snapshot(workspace.sessions)
    with hold_workspace(workspace.folder):
        codes = [workspace.run_raw(*words).returncode for words in (["repair"], ["import", source_file], ["list"])]

    assert codes == [75, 75, 0]
    assert snapshot(workspace.sessions) == before


def test_an_export_is_the_file_byte_for_byte_private_and_never_written_over_another(workspace: Workspace) -> None:
    path = workspace.put(said("one"))
    output = workspace.config.parent / "out.jsonl"
    workspace.run("export", NAME, "--output", output)

    assert workspace.run_raw("export", NAME).stdout == output.read_bytes() == path.read_bytes()
    assert stat.S_IMODE(output.stat().st_mode) == 0o600
    path.write_bytes(said("two"))
    workspace.run("export", NAME, "--output", output, expect=1)
    assert b"one" in output.read_bytes()


def test_no_text_breaks_out_of_its_place_in_markdown(workspace: Workspace) -> None:
    workspace.put(said("# no heading\n```\n````html\n</blockquote>\r~~~\n[a]: http://x"))
    lines = workspace.run("export", NAME, "--format", "markdown").splitlines()
    fences = [number for number, line in enumerate(lines) if line.startswith("`````")]

    assert len(fences) == 4
    outside = lines[: fences[0]] + lines[fences[1] + 1 : fences[2]] + lines[fences[3] + 1 :]
    assert [line for line in outside if line.startswith("#")] == [f"# {NAME}".replace("~", "\\~")]
    assert lines[fences[0] + 1] == "# no heading"


def test_an_import_comes_in_whole_and_is_not_answered(workspace: Workspace) -> None:
    file = workspace.config.parent / "telegram_42.jsonl"
    messages = [{"role": "user", "content": "My name is Ada."}, {"role": "user", "content": "Are you there?"}]
    file.write_text("".join(json.dumps(message) + "\n" for message in [{"role": "system", "content": "x"}, *messages]))
    printed = workspace.run("import", file, "--account", "bot")
    [session] = workspace.read("list")

    assert "messages imported: 2 of the user, 0 of the assistant" in printed
    assert "left out: system messages, 1" in printed
    assert session["key"] == "telegram~bot~42~~42"
    assert workspace.run("verify") == ""
    assert stat.S_IMODE(Path(session["file"]).stat().st_mode) == 0o600
    again = workspace.run_raw("import", file, "--account", "bot")
    assert (again.returncode, session["file"] in again.stderr.decode()) == (1, True)


def test_a_file_without_messages_is_refused(workspace: Workspace) -> None:
    file = workspace.config.parent / "telegram_42.jsonl"
    file.write_bytes(b"no JSON\n")
    workspace.run("import", file, expect=1)

    assert workspace.read("list") == []


def test_links_are_not_followed(workspace: Workspace) -> None:
    real = workspace.put(said("secret"))
    link = workspace.sessions / "link.jsonl"
    link.symlink_to(real)

    assert len(workspace.read("list")) == 1
    workspace.run("show", "link", expect=1)
    workspace.run("import", link, "--channel", "a", "--chat", "b", expect=1)
