"""These tests check commands that write while a real daemon holds the workspace, and the port of its metrics."""

from __future__ import annotations

import asyncio
import json
import socket
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.flow.ledger import Workspace, said
from tests.flow.process import started, talk, write_config
from tests.platforms.openai_server import OpenAIServer
from tests.unit.agentd.transcript.damage import NAME


@asynccontextmanager
async def running(workspace: Workspace) -> AsyncIterator[Process]:
    """Run the daemon until the end of the block, ready to be asked."""
    async with started(workspace.config) as process:
        await logged(process, "channels_receiving")
        yield process
        assert process.stdin
        process.stdin.close()
        await process.communicate()
        assert process.returncode == 0


async def logged(process: Process, event: str) -> dict[str, object]:
    assert process.stderr
    async for line in process.stderr:
        entry = json.loads(line)
        if entry["event"] == event:
            return dict(entry)
    raise AssertionError(f"the daemon ended without {event}")


async def ask(process: Process, text: str) -> str:
    """Say something to the daemon, and return its answer."""
    assert process.stdin
    assert process.stdout
    process.stdin.write(text.encode() + b"\n")
    return (await process.stdout.readline()).decode().strip()


async def command(workspace: Workspace, *words: str | Path) -> tuple[int, str, str]:
    done = await asyncio.to_thread(workspace.run_raw, *words)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


async def test_the_daemon_repairs_what_it_has_open_and_says_what_the_command_says_without_it(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    async with OpenAIServer() as server:
        write_config(tmp_path, server.base_url)
        async with running(workspace) as process:
            await ask(process, "one")
            [path] = workspace.sessions.glob("*.jsonl")
            other = workspace.put(said("two") + b"garbage\n")
            before = path.read_bytes()
            with path.open("r+b") as file:  # in its place: the daemon may be writing still
                file.seek(before.index(b'"content":"one"'))
                file.write(b'"content":"o\x00e"')
            found = await command(workspace, "verify")
            repaired = await command(workspace, "repair")
            answer = await ask(process, "three")
        after = await command(workspace, "verify")

    assert found[0] == 1
    assert repaired == (
        0,
        f"{path.name}: {len(before.splitlines(keepends=True)[1])} damaged bytes moved to {path}.quarantine\n"
        f"{path.name}: 1 records stand in for those that are lost\n"
        f"{other.name}: 8 damaged bytes moved to {other}.quarantine\n",
        "",
    )
    assert answer == "You said: three"
    assert after[0] == 0


async def test_one_session_is_repaired_and_what_is_left_is_said_with_exit_1(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    async with running(workspace):
        lost = workspace.put(b"garbage\n" + said("one").split(b"\n", 1)[1], "unknown")
        workspace.put(said("two") + b"garbage\n")
        code, output, errors = await command(workspace, "repair", "unknown")

    assert (code, errors) == (1, "")
    assert f"{lost}:1: the session record is lost" in output
    assert output.endswith("(not repaired)\n")
    assert workspace.run_raw("verify", NAME).returncode == 1


async def test_an_import_goes_through_the_daemon_and_is_refused_where_there_is_a_session(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    file = tmp_path / "telegram_42.jsonl"
    texts = [f"message {number} " + "ä" * 1000 for number in range(2_000)]
    file.write_text("".join(json.dumps({"role": "user", "content": text}) + "\n" for text in texts))
    async with running(workspace):
        imported = await command(workspace, "import", file, "--account", "bot")
        again = await command(workspace, "import", file, "--account", "bot")
        empty = await command(workspace, "import", workspace.config, "--channel", "a", "--chat", "b")
        left = sorted(path.name for path in workspace.sessions.iterdir())

    target = workspace.sessions / "telegram~bot~42~~42.jsonl"
    assert imported == (0, f"messages imported: 2000 of the user, 0 of the assistant\nas {target}\n", "")
    assert again[0] == 1
    assert "exists already" in again[2]
    assert empty[0] == 1
    assert left == [target.name]
    assert target.stat().st_mode & 0o777 == 0o600
    assert [record["content"] for record in workspace.read("show", "42") if record["type"] == "message"] == texts
    assert workspace.run("verify") == ""


async def test_an_imported_conversation_is_what_the_daemon_remembers(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    async with OpenAIServer() as server:
        await talk(write_config(tmp_path, server.base_url), "/status")
        [path] = workspace.sessions.glob("*.jsonl")
        _, account, chat, _, sender = path.stem.split("~")
        path.unlink()
        file = tmp_path / f"console_{chat}.jsonl"
        file.write_text(
            '{"role":"user","content":"My name is Ada."}\n{"role":"assistant","content":"Hello Ada."}\n',
        )
        workspace.run("import", file, "--account", account, "--sender", sender)
        await talk(workspace.config, "Who am I?")
        prompt = [(message.role, message.content) for message in server.requests[-1].body.messages]

    assert prompt[-3:] == [("user", "My name is Ada."), ("assistant", "Hello Ada."), ("user", "Who am I?")]
    assert workspace.run("verify") == ""


async def test_the_socket_is_there_as_long_as_the_daemon(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    async with running(workspace):
        assert (workspace.folder / "control.sock").is_socket()
    assert not (workspace.folder / "control.sock").exists()


async def test_a_workspace_whose_path_is_longer_than_a_sockets_is_repaired_too(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 30)
    folder.mkdir()
    workspace = Workspace(folder)
    async with running(workspace):
        workspace.put(said("one") + b"garbage\n")

        assert (await command(workspace, "repair"))[0] == 0


def with_metrics(folder: Path, base_url: str, listen: str) -> Path:
    config = write_config(folder, base_url)
    config.write_text(f'{config.read_text("utf-8")}\n[service]\nmetrics_listen = "{listen}"\n', "utf-8")
    return config


async def fetch(port: int) -> str:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /metrics HTTP/1.0\r\n\r\n")
    answer = await reader.read()
    writer.close()
    return answer.decode()


async def test_each_append_is_counted_on_the_port_of_the_metrics_until_the_daemon_ends(tmp_path: Path) -> None:
    async with OpenAIServer() as server:
        config = with_metrics(tmp_path, server.base_url, "127.0.0.1:0")
        async with started(config) as process:
            port = int(str((await logged(process, "metrics_served"))["port"]))
            before = await fetch(port)
            await ask(process, "one")
            assert process.stdin
            after = await fetch(port)
            process.stdin.close()
            await process.communicate()

    assert process.returncode == 0
    assert "# TYPE agentd_append_seconds histogram" in before
    assert "agentd_append_seconds_count 0.0" in before
    count = next(line for line in after.splitlines() if line.startswith("agentd_append_seconds_count"))
    assert float(count.split()[1]) >= 2
    assert 'agentd_append_seconds_bucket{le="+Inf"} ' + count.split()[1] in after
    with pytest.raises(ConnectionRefusedError):
        await fetch(port)


@pytest.mark.parametrize("listen", ["127.0.0.1:{taken}", "[::1]x:1", "no.such.host.invalid:9464", "a..b:1"])
async def test_a_port_that_cannot_be_had_is_a_configuration_error(listen: str, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        listen = listen.format(taken=taken.getsockname()[1])
        code, _, errors = await talk(with_metrics(tmp_path, "http://127.0.0.1:9/v1", listen))

    assert code == 78
    assert f"agentd: service.metrics_listen: {listen} cannot be used" in errors
    assert "Traceback" not in errors
