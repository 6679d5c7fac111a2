"""These tests check the whole daemon as a process: pipes, signals, exit codes, bad input."""

from __future__ import annotations

import asyncio
import resource
import signal
import stat
from contextlib import suppress
from pathlib import Path

import pytest

from tests.flow.process import AGENTD, SECRET, environment, records, started, talk, write_config
from tests.flow.stage import until
from tests.platforms.openai_behaviours import failing, hang, slow
from tests.platforms.openai_server import OpenAIServer


async def test_each_line_gets_one_answer_and_the_end_of_input_ends_the_process(tmp_path: Path) -> None:
    async with OpenAIServer() as server:
        code, output, _ = await talk(write_config(tmp_path, server.base_url), "one", "two")

    assert code == 0
    assert output.splitlines() == ["You said: one", "You said: two"]


async def test_a_last_line_without_its_newline_counts(tmp_path: Path) -> None:
    async with OpenAIServer() as server, started(write_config(tmp_path, server.base_url)) as process:
        output, _ = await process.communicate(b"one\ntwo")

    assert output.decode().splitlines() == ["You said: one", "You said: two"]


async def test_the_conversation_goes_on_after_a_restart(tmp_path: Path) -> None:
    async with OpenAIServer() as server:
        config = write_config(tmp_path, server.base_url)
        await talk(config, "My name is Ada.", "What is the capital of France?")
        await talk(config, "What did I say my name was?")
        asked = [(message.role, message.content) for message in server.requests[-1].body.messages]

    assert asked[1:] == [
        ("user", "My name is Ada."),
        ("assistant", "You said: My name is Ada."),
        ("user", "What is the capital of France?"),
        ("assistant", "You said: What is the capital of France?"),
        ("user", "What did I say my name was?"),
    ]


async def test_the_same_words_after_a_restart_are_a_new_message(tmp_path: Path) -> None:
    async with OpenAIServer() as server:
        config = write_config(tmp_path, server.base_url)
        outputs = [(await talk(config, "hello"))[1] for _ in range(2)]

    assert outputs == ["You said: hello\n"] * 2


async def test_files_are_for_their_owner_only(tmp_path: Path) -> None:
    async with OpenAIServer() as server:
        await talk(write_config(tmp_path, server.base_url), "one")
    workspace = tmp_path / "workspace"
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in (workspace, *workspace.rglob("*"))}

    assert {mode for path, mode in modes.items() if path.is_dir()} == {0o700}
    assert {mode for path, mode in modes.items() if path.is_file()} == {0o600}


async def test_the_trace_of_a_message_is_in_its_record_and_along_its_way_in_the_log(tmp_path: Path) -> None:
    async with OpenAIServer() as server:
        config = write_config(tmp_path, server.base_url)
        _, _, errors = await talk(config, "one")
    trace = records(config)[1]["trace"]
    events = [line for line in errors.splitlines() if trace in line]

    assert [
        name
        for name in ("message_accepted", "turn_started", "reply_delivered", "turn_finished")
        if not any(name in line for line in events)
    ] == []
    assert SECRET not in errors
    assert "You said" not in errors


async def test_sigterm_lets_the_running_reply_end_and_exits_0(tmp_path: Path) -> None:
    gate = asyncio.Event()
    async with OpenAIServer() as server:
        server.enqueue(slow(["slow ", "but whole"], gate))
        async with started(write_config(tmp_path, server.base_url)) as process:
            assert process.stdin
            assert process.stderr
            process.stdin.write(b"one\n")
            await until(lambda: bool(server.requests))
            process.send_signal(signal.SIGHUP)
            process.send_signal(signal.SIGTERM)
            while b"daemon_stopping" not in await process.stderr.readline():
                pass
            gate.set()
            output, _ = await process.communicate()

    assert (process.returncode, output) == (0, b"slow but whole\n")


async def test_a_reply_that_outlasts_the_drain_is_given_by_the_next_run(tmp_path: Path) -> None:
    async with OpenAIServer() as server:
        server.enqueue(hang())
        config = write_config(tmp_path, server.base_url, "[service]\ndrain_seconds = 0.1")
        async with started(config) as process:
            assert process.stdin
            process.stdin.write(b"one\n")
            await until(lambda: bool(server.requests))
            process.send_signal(signal.SIGINT)
            await process.communicate()
        code, output, _ = await talk(config, "two")

    assert process.returncode == 0
    assert (code, output.splitlines()) == (0, ["You said: one", "You said: two"])


async def test_a_second_signal_ends_without_waiting_for_the_reply(tmp_path: Path) -> None:
    async with OpenAIServer() as server:
        server.enqueue(hang())
        config = write_config(tmp_path, server.base_url)
        async with started(config) as process:
            assert process.stdin
            assert process.stderr
            process.stdin.write(b"one\n")
            await until(lambda: bool(server.requests))
            process.send_signal(signal.SIGTERM)
            while b"daemon_stopping" not in await process.stderr.readline():
                pass
            process.send_signal(signal.SIGTERM)
            await process.communicate()

    assert process.returncode == 0
    assert [record["type"] for record in records(config)] == ["session", "message"]


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("gap_seconds", [0, 0.03, 0.06])
async def test_a_second_signal_while_the_process_ends_changes_nothing(
    tmp_path: Path, second: signal.Signals, gap_seconds: float
) -> None:
    async with started(write_config(tmp_path, "http://127.0.0.1:9/v1")) as process:
        assert process.stderr
        while b"channels_receiving" not in await process.stderr.readline():
            pass
        process.send_signal(signal.SIGTERM)
        await asyncio.sleep(gap_seconds)  # the moment is what is tried
        with suppress(ProcessLookupError):
            process.send_signal(second)
        await process.communicate()

    assert process.returncode == 0


async def test_a_full_disk_at_the_start_is_one_line_about_the_session(tmp_path: Path) -> None:
    async with OpenAIServer() as server:
        config = write_config(tmp_path, server.base_url)
        # A measuring of branches would want to write a file of its own, and say that it cannot.
        async with started(config, extra={"COVERAGE_PROCESS_CONFIG": ""}) as process:
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
            output, errors = await process.communicate(b"one\n")

    assert process.returncode == 0
    assert output.startswith(b"I could not take your message")
    assert b"Traceback" not in errors


async def test_a_folder_of_other_things_is_not_closed_to_others(tmp_path: Path) -> None:
    workspace = tmp_path / "workspace"
    workspace.mkdir(mode=0o755)
    (workspace / "other").write_text("thing")
    async with OpenAIServer() as server:
        _, _, errors = await talk(write_config(tmp_path, server.base_url), "one")

    assert stat.S_IMODE(workspace.stat().st_mode) == 0o755
    assert "workspace_open_to_others" in errors
    assert stat.S_IMODE((workspace / "sessions").stat().st_mode) == 0o700


async def test_a_second_daemon_on_the_workspace_is_refused_with_75(tmp_path: Path) -> None:
    async with OpenAIServer() as server:
        config = write_config(tmp_path, server.base_url)
        async with started(config) as first:
            assert first.stderr
            while b"daemon_started" not in await first.stderr.readline():
                pass
            code, output, errors = await talk(config, "one")

    assert (code, output) == (75, "")
    assert errors.count("\n") == 1
    assert f"process {first.pid}" in errors


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("[agent]\nmax_context_token = 9", "agent.max_context_token: unknown key; did you mean max_context_tokens?"),
        ("[agent]\nmailbox_size = 0", "agent.mailbox_size"),
        ("[agent", "TOML"),
        ('[channels_config.telegram]\ntoken = "abc"', "channels_config.telegram.token"),
    ],
)
async def test_a_configuration_fault_is_one_line_and_78(tmp_path: Path, line: str, fault: str) -> None:
    code, output, errors = await talk(write_config(tmp_path, "http://127.0.0.1:9/v1", line), "one")

    assert (code, output, errors.count("\n")) == (78, "", 1)
    assert fault in errors


async def test_a_workspace_that_cannot_be_written_is_one_line_and_78(tmp_path: Path) -> None:
    config = write_config(tmp_path, "http://127.0.0.1:9/v1")
    (tmp_path / "workspace").write_text("a file stands here")
    code, output, errors = await talk(config, "one")

    assert (code, output, errors.count("\n")) == (78, "", 1)
    assert "workspace" in errors


async def test_a_provider_that_cannot_be_reached_is_a_sentence_for_each_message(tmp_path: Path) -> None:
    async with OpenAIServer() as server:
        gone = server.base_url
    code, output, errors = await talk(write_config(tmp_path, gone), "one")

    assert code == 0
    assert "refused" in output
    assert "trace" in output
    assert "Traceback" not in errors


async def test_a_provider_that_fails_once_is_asked_again(tmp_path: Path) -> None:
    async with OpenAIServer() as server:
        server.enqueue(failing(500))
        _, output, _ = await talk(write_config(tmp_path, server.base_url), "one")

    assert output == "You said: one\n"


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        (b"", "There is nothing in that message to answer."),
        (b"   \t", "There is nothing in that message to answer."),
        (b"a\x00b\x07c", "You said: a\ufffdbc"),
        (b"\xff\xfe caf\xc3\xa9", "You said: \ufffd\ufffd café"),
        (b"\xed\xa0\x80 lone", "You said: \ufffd\ufffd\ufffd lone"),
        ("שלום \u202eעולם 👩‍👩‍👧‍👦".encode(), "You said: שלום \u202eעולם 👩‍👩‍👧‍👦"),
        (b"\x1b[31mred", "You said: [31mred"),
    ],
)
async def test_hostile_text_is_answered_and_the_file_stays_valid(tmp_path: Path, line: bytes, answer: str) -> None:
    async with OpenAIServer() as server:
        config = write_config(tmp_path, server.base_url)
        code, output, errors = await talk(config, line, "next")

    assert (code, output.splitlines()) == (0, [answer, "You said: next"])
    assert "Traceback" not in errors
    assert [record["seq"] for record in records(config)] == list(range(len(records(config))))


async def test_a_megabyte_is_kept_and_answered_and_more_than_eight_is_refused(tmp_path: Path) -> None:
    async with OpenAIServer() as server:
        config = write_config(tmp_path, server.base_url)
        code, output, _ = await talk(config, b"x " * 500_000, b"y" * 9_000_000, "next")
        lengths = [len(record["content"]) for record in records(config) if record.get("role") == "user"]

    assert code == 0
    assert lengths == [1_000_000, 4]
    assert output.splitlines()[1:] == [
        "That line is longer than 8 MiB and was not taken. Send it in parts.",
        "You said: next",
    ]


async def test_a_disk_that_takes_no_more_is_told_and_nothing_is_half_written(tmp_path: Path) -> None:
    async with OpenAIServer() as server:
        config = write_config(tmp_path, server.base_url)
        await talk(config, "one")
        [path] = (tmp_path / "workspace" / "sessions").glob("*.jsonl")
        before = path.read_bytes()
        async with started(config) as process:
            assert process.stdin
            assert process.stdout
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (len(before) + 100, resource.RLIM_INFINITY))
            process.stdin.write(b"two\n")
            told = await process.stdout.readline()
            after = path.read_bytes()
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            output, _ = await process.communicate(b"three\n")

    assert told.startswith(b"I could not take your message")
    assert after == before
    assert output == b"You said: three\n"
    assert [record["content"] for record in records(config) if record.get("role") == "user"] == ["one", "three"]


async def test_whoever_stops_reading_the_output_ends_the_process(tmp_path: Path) -> None:
    async with OpenAIServer() as server:
        config = write_config(tmp_path, server.base_url)
        shell = await asyncio.create_subprocess_shell(
            f"yes hello | {AGENTD} --config {config} run | head -n 2", env=environment(), stdout=-1, stderr=-1
        )
        async with asyncio.timeout(30):
            output, errors = await shell.communicate()

    assert output.decode().splitlines() == ["You said: hello"] * 2
    assert b"Traceback" not in errors


async def test_version_prints_one_line(tmp_path: Path) -> None:
    code, output, errors = await talk(tmp_path / "none.toml", words=("version",))

    assert (code, errors) == (0, "")
    assert output.startswith("agentd 0.")


async def test_an_unknown_command_is_a_usage_error(tmp_path: Path) -> None:
    code, _, errors = await talk(tmp_path / "none.toml", words=("rnu",))

    assert code == 2
    assert "rnu" in errors


async def test_without_the_embedded_model_one_message_names_three_ways_to_get_an_answer(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.modules['xllamacpp'] = None")
    extra = {"PYTHONPATH": str(tmp_path), "AGENTD_WORKSPACE": str(tmp_path / "workspace")}
    process = await asyncio.create_subprocess_exec(
        AGENTD, "run", stdin=-3, stdout=-1, stderr=-1, env=environment(extra), cwd=tmp_path
    )
    output, errors = await process.communicate()

    assert (process.returncode, output) == (78, b"")
    assert [f"{number}." in errors.decode() for number in (1, 2, 3)] == [True] * 3
    assert b"Traceback" not in errors
