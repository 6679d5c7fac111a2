"""These tests check standard streams that are closed, missing, full or never read, and signals at any moment."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.flow.process import AGENTD, environment, journal, records, started, talk, write_config
from tests.flow.stage import until
from tests.platforms.openai_behaviours import whole
from tests.platforms.openai_server import OpenAIServer

NOWHERE = "http://127.0.0.1:9/v1"
LONG = "word " * 99_999 + "word"
"""More than a pipe or a socket holds."""


@contextmanager
def pipe() -> Iterator[tuple[int, int]]:
    """Give both ends of a pipe; a test may close either itself."""
    ends = os.pipe()
    try:
        yield ends
    finally:
        for end in ends:
            with open(os.devnull) as nothing:
                os.dup2(nothing.fileno(), end)
            os.close(end)


def fill(writer: int) -> None:
    """Write to a pipe until it takes no more."""
    os.set_blocking(writer, False)
    with suppress(BlockingIOError):
        while os.write(writer, b"x" * 4096):
            pass
    os.set_blocking(writer, True)


async def see(stream: asyncio.StreamReader | None, text: bytes) -> None:
    """Read lines until one holds the text."""
    assert stream
    while text not in (line := await stream.readline()):
        assert line, f"the output ended without {text!r}"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_while_nobody_writes_ends_the_daemon_in_order(tmp_path: Path, number: signal.Signals) -> None:
    async with started(write_config(tmp_path, NOWHERE)) as process:
        await see(process.stderr, b"channels_receiving")
        process.send_signal(number)
        assert process.stderr
        errors = await process.stderr.read()
        code = await process.wait()

    assert code == 0
    assert b"daemon_stopped" in errors
    assert b"Fatal" not in errors


async def test_an_answer_that_nobody_reads_does_not_hold_up_the_end_and_is_given_by_the_next_run(
    tmp_path: Path,
) -> None:
    async with OpenAIServer() as server:
        server.enqueue(whole(LONG))
        config = write_config(tmp_path, server.base_url, "[service]\ndrain_seconds = 0.2")
        with pipe() as (_, full):
            async with started(config, stdout=full) as process:
                assert process.stdin
                process.stdin.write(b"one\n")
                await until(lambda: b'"draft"' in journal(config))
                process.send_signal(signal.SIGTERM)
                _, errors = await process.communicate()
        undelivered = [record["type"] for record in records(config)]
        _, output, _ = await talk(config)

    assert process.returncode == 0
    assert b"turn_parked" in errors
    assert "delivery" not in undelivered
    assert output.endswith(LONG + "\n")


async def test_a_log_that_nobody_takes_ends_nothing(tmp_path: Path) -> None:
    async with OpenAIServer() as server:
        with pipe() as (reader, closed):
            os.dup2(os.open(os.devnull, os.O_RDONLY), reader)
            async with started(write_config(tmp_path, server.base_url), stderr=closed) as process:
                output, _ = await process.communicate(b"one\n")

    assert (process.returncode, output) == (0, b"You said: one\n")


async def test_a_log_that_nobody_reads_holds_up_nothing(tmp_path: Path) -> None:
    async with OpenAIServer() as server:
        with pipe() as (_, full):
            fill(full)
            async with started(write_config(tmp_path, server.base_url), stderr=full) as process:
                output, _ = await process.communicate(b"one\n")

    assert (process.returncode, output) == (0, b"You said: one\n")


async def test_a_configuration_fault_is_78_even_if_nobody_can_be_told(tmp_path: Path) -> None:
    with pipe() as (reader, closed):
        os.dup2(os.open(os.devnull, os.O_RDONLY), reader)
        async with started(write_config(tmp_path, NOWHERE, "nonsense = 1"), stderr=closed) as process:
            await process.communicate()

    assert process.returncode == 78


@pytest.mark.parametrize(("missing", "told"), [("<&-", b""), (">&-", b""), ("2>&-", b"You said: one\n")])
async def test_a_stream_that_is_missing_is_an_empty_one(tmp_path: Path, missing: str, told: bytes) -> None:
    async with OpenAIServer() as server:
        config = write_config(tmp_path, server.base_url)
        shell = await asyncio.create_subprocess_shell(
            f"exec {AGENTD} --config {config} run {missing}", env=environment(), stdin=-1, stdout=-1, stderr=-1
        )
        async with asyncio.timeout(30):
            output, errors = await shell.communicate(b"one\n")

    assert (shell.returncode, output) == (0, told)
    assert b"Traceback" not in errors


async def test_an_input_that_cannot_be_read_is_told_in_a_line_and_ends_the_daemon(tmp_path: Path) -> None:
    unreadable = os.open(tmp_path / "file", os.O_WRONLY | os.O_CREAT)
    async with started(write_config(tmp_path, NOWHERE), stdin=unreadable) as process:
        os.close(unreadable)
        _, errors = await process.communicate()

    assert process.returncode == 0
    assert len([line for line in errors.splitlines() if b"console_input_failed" in line and b"Bad file" in line]) == 1
    assert b"Traceback" not in errors


async def test_streams_that_do_not_block_are_waited_for(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    async with OpenAIServer() as server:
        server.enqueue(whole(LONG))
        number = theirs.fileno()
        async with started(write_config(tmp_path, server.base_url), stdin=number, stdout=number) as process:
            theirs.close()
            await see(process.stderr, b"channels_receiving")
            reader, writer = await asyncio.open_unix_connection(sock=ours, limit=1 << 20)
            writer.write(LONG.encode() + b"\n")
            answer = await reader.readline()
            writer.write_eof()
            await process.communicate()
            writer.close()

    assert process.returncode == 0
    assert [record["content"] for record in records(tmp_path / "config.toml") if record.get("role") == "user"] == [LONG]
    assert answer == LONG.encode() + b"\n"


INTERRUPTER = """
import os, signal, sys

class Interrupter:
    def find_spec(self, name, path=None, target=None):
        if name == os.environ["INTERRUPTED_IMPORT"]:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupter())
"""


@pytest.mark.parametrize("module", ["typer", "agentd.app", "uvloop"])
async def test_ctrl_c_while_the_daemon_starts_ends_it_without_a_word(tmp_path: Path, module: str) -> None:
    (tmp_path / "sitecustomize.py").write_text(INTERRUPTER)
    extra = {"PYTHONPATH": str(tmp_path), "INTERRUPTED_IMPORT": module}
    async with started(write_config(tmp_path, NOWHERE), extra=extra) as process:
        output, errors = await process.communicate()

    assert (process.returncode, output, errors) == (130, b"", b"")


async def test_answers_that_are_lost_are_said_and_are_a_failure(tmp_path: Path) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    async with OpenAIServer() as server, started(write_config(tmp_path, server.base_url), stdout=full) as process:
        os.close(full)
        _, errors = await process.communicate(b"one\ntwo\n")
    told = errors.splitlines()

    assert process.returncode == 1
    assert (
        len([line for line in told if b"console_output_failed" in line and b"warning" in line and b"No space" in line])
        == 1
    )
    assert told[-1].startswith(b"agentd: ")
    assert b"Traceback" not in errors
    assert len(server.requests) == 1


async def test_an_output_that_is_closed_is_said_and_is_no_failure(tmp_path: Path) -> None:
    async with OpenAIServer() as server:
        with pipe() as (reader, closed):
            os.dup2(os.open(os.devnull, os.O_RDONLY), reader)
            async with started(write_config(tmp_path, server.base_url), stdout=closed) as process:
                _, errors = await process.communicate(b"one\ntwo\n")

    assert process.returncode == 0
    assert (
        len([line for line in errors.splitlines() if b"console_output_failed" in line and b"Broken pipe" in line]) == 1
    )


@pytest.mark.parametrize("command", [["version"], ["check", "--offline"], ["check", "--offline", "--json"]])
async def test_what_cannot_be_printed_is_said_in_a_sentence(tmp_path: Path, command: list[str]) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    async with started(write_config(tmp_path, NOWHERE), *command, stdout=full) as process:
        os.close(full)
        _, errors = await process.communicate()

    assert process.returncode == 1
    assert errors == b"agentd: the output cannot be written: No space left on device\n"
