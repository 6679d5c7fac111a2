"""These tests check a hostile model server: the daemon uses little memory, says one sentence, and goes on."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.flow.process import SECRET, journal, started, write_config
from tests.platforms.openai_behaviours import raw
from tests.platforms.openai_server import Behaviour, Call, OpenAIServer, failure

MOST_MORE_KB = 160 * 1024
"""By how much the daemon may grow at worst; what is sent would need many times that."""

FORGED = 'no such thing\n{"event": "forged", "level": "info"}\r\x1b[2J\u2028\u202e 12:00:00 [info     ] forged'


def one_line() -> Iterator[bytes]:
    """Yield 100 MB that never come to the end of their line."""
    yield b'data: {"choices": [{"delta": {"content": "'
    for _ in range(100):
        yield b"x" * 1_000_000


def endless() -> Iterator[bytes]:
    """Yield words without an end."""
    event = json.dumps({"choices": [{"index": 0, "delta": {"content": "word " * 2000}}]})
    while True:
        yield f"data: {event}\n\n".encode()


def deep(opening: bytes) -> Iterator[bytes]:
    """Yield JSON that is nested 400,000 deep, as one event."""
    yield b"data: " + opening * 400_000 + b"\n\n"


def redirect(to: str) -> Behaviour:
    """Send on to another place."""

    async def behave(call: Call) -> web.StreamResponse:
        del call
        return web.Response(status=307, headers={"Location": to})

    return behave


def refusing(text: str) -> Behaviour:
    """Refuse in these words."""

    async def behave(call: Call) -> web.StreamResponse:
        del call
        return failure(400, text, code=text, parameter=text)

    return behave


def peak_kb(pid: int) -> int:
    """Return the most that the process ever had in memory."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text("ascii"))
    assert found
    return int(found[1])


async def meet(config: Path, server: OpenAIServer, hostile: Mapping[str, Behaviour]) -> tuple[int, list[str], str]:
    """Have one message answered by each; return by how many kB the daemon grew, what it said and what it logged."""
    async with started(config) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(b"hello\n")
        said = [await process.stdout.readline()]
        before = peak_kb(process.pid)
        for number, behaviour in enumerate(hostile.values(), 1):
            server.enqueue(behaviour)
            process.stdin.write(b"and now?\n")
            while len(ended(config)) <= number:
                said.append(await process.stdout.readline())
        grown = peak_kb(process.pid) - before
        out, errors = await process.communicate(b"still there?\n")
    return grown, [*map(bytes.decode, said), *out.decode().splitlines()], errors.decode()


def ended(config: Path) -> list[dict[str, Any]]:
    """Return the answers and failures on record."""
    lines = journal(config).splitlines(keepends=True)
    found = [json.loads(line) for line in lines if line.endswith(b"\n")]
    return [record for record in found if "answers" in record and record["type"] in ("message", "failure")]


async def test_whatever_a_server_sends_costs_a_sentence_and_little_memory(tmp_path: Path) -> None:
    async with OpenAIServer() as server, OpenAIServer() as elsewhere:
        hostile = {
            "line": raw(one_line()),
            "words": raw(endless()),
            "arrays": raw(deep(b"[")),
            "objects": raw(deep(b'{"choices":')),
            "head": raw([b"data: [DONE]\n\n"], headers={"X-Much": "x" * 2_000_000}),
            "bomb": raw([gzip.compress(b"data: " + bytes(300_000_000), 1)], headers={"Content-Encoding": "gzip"}),
            "file": redirect("file:///etc/passwd"),
            "elsewhere": redirect(f"{elsewhere.base_url}/chat/completions"),
        }
        config = write_config(tmp_path, server.base_url, '[channels_config]\nstream = "off"')
        grown, said, log = await meet(config, server, hostile)
    endings = dict(zip(("hello", *hostile, "last"), ended(config), strict=True))
    told = {name: ending.get("notice", "") for name, ending in endings.items()}

    assert said[-1] == "You said: still there?"
    assert grown < MOST_MORE_KB, f"{grown / 1024:.0f} MB"
    assert elsewhere.requests == []
    assert "without an end" in told["line"]
    assert endings["words"]["outcome"] == "interrupted"
    assert len(endings["words"]["content"]) <= 4 * 1024 * 1024
    assert "has moved (HTTP 307)" in told["file"]
    assert "has moved (HTTP 307)" in told["elsewhere"]
    assert not any(evil in log + "".join(said) for evil in ("Traceback", "root:", SECRET))
    assert all(isinstance(json.loads(line), dict) for line in log.splitlines())


@pytest.mark.parametrize("form", ["json", "console"])
async def test_the_words_of_a_refusal_forge_no_line_of_the_log(tmp_path: Path, form: str) -> None:
    async with OpenAIServer() as server:
        config = write_config(tmp_path, server.base_url, f'[log]\nformat = "{form}"')
        _, said, log = await meet(config, server, {"forged": refusing(FORGED)})
    lines = log.splitlines()

    assert said[-1] == "You said: still there?"
    assert "no such thing" in log
    assert not {"\x1b", "\u2028", "\u202e", "\r"} & set(log)
    if form == "json":
        assert "forged" not in [json.loads(line)["event"] for line in lines]
    else:
        assert all(re.match(r"[\d:-]+ ?[\d:]* \[\w+ *\] (?!forged)", line) for line in lines), lines
