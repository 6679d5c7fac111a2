"""This benchmark measures how many turns a second the daemon makes with an instant model, against a bare loop.

Some hundred people on Slack write at the same moment, in new chats and then in known ones. The bare loop does only what
must be done: slack_sdk's connection and calls, the provider's stream, and one line for each message that is appended
and flushed; it makes as many turns at once as the daemon. Slack and the model run in one process, which may be the
slower part for the bare loop; the CPU time of a turn, of the daemon's or the loop's process alone, does not depend on
them.

    python -m benchmarks.throughput [PEOPLE]
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
from slack_sdk.socket_mode.aiohttp import SocketModeClient
from slack_sdk.socket_mode.async_client import AsyncBaseSocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.socket_mode.response import SocketModeResponse
from slack_sdk.web.async_client import AsyncWebClient

from benchmarks.idle import AGENTD
from benchmarks.measuring.busy import CountingSlack, InstantModel, Rig, Spent, daemon_config, open_rig
from benchmarks.measuring.table import Table, handing_over
from tests.platforms.slack_server import APP_TOKEN, BOT_TOKEN

TITLE = "Turns a second"
FLOOR = (
    "The floor is a bare loop: slack_sdk's line and calls, the provider's stream, one line a message that is appended "
    "and flushed, and as many turns at once as the daemon makes. Slack and the model are one process beside it, "
    "which may be the slower part; the processor's time is that of the daemon's or the loop's process alone."
)
PEOPLE, SHORT_PEOPLE = 300, 60
ROUNDS, SHORT_ROUNDS = 3, 2
AT_ONCE = 16
"""The default of `agent.max_concurrent_turns`."""


async def measure(table: Table, people: int, rounds: int) -> None:
    """Let new people write, and then the same people again."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        rigs = [await _open(stack, name, folder) for name in ("daemon", "bare")]
        for rig in rigs:
            await rig.talk(range(10_000, 10_010))  # so that everything is loaded
        spent: dict[str, tuple[list[Spent], list[Spent]]] = {"new chats": ([], []), "known chats": ([], [])}
        for number in range(rounds):
            asking = range(number * people, (number + 1) * people)
            for chats in spent.values():
                for which, rig in enumerate(rigs):
                    chats[which].append(await rig.talk(asking))
    for what, (ours, theirs) in spent.items():
        _add(table, f"{what}, {people} people at once", ours, theirs)


async def _open(stack: AsyncExitStack, name: str, folder: Path) -> Rig:
    """Start the daemon or the bare loop, with a Slack and a model of its own."""
    slack = await stack.enter_async_context(CountingSlack())
    model = await stack.enter_async_context(InstantModel())
    config = folder / "config.toml"
    config.write_text(daemon_config(folder / "workspace", slack, model))
    command = {
        "daemon": [str(AGENTD), "--config", str(config), "run"],
        "bare": [sys.executable, __file__, "--bare", slack.base_url, model.base_url, str(folder / "bare.jsonl")],
    }[name]
    return await stack.enter_async_context(open_rig(command, slack, folder / f"{name}.log"))


def _add(table: Table, what: str, ours: list[Spent], theirs: list[Spent]) -> None:
    """Add the medians of the rounds to the table."""
    [calls, floor_calls] = (sum(one.calls for one in some) / sum(one.turns for one in some) for some in (ours, theirs))
    [rate, floor_rate] = (statistics.median(one.turns_a_second for one in some) for some in (ours, theirs))
    [cpu, floor_cpu] = (statistics.median(one.cpu_ms for one in some) for some in (ours, theirs))
    table.add(f"{what}: turns a second", rate, "/s", floor_rate)
    table.add(f"{what}: processor a turn", cpu, "ms", floor_cpu)
    table.add(f"{what}: calls of Slack a turn", calls, "calls", floor_calls)


class BareLoop:
    """Answers messages, `AT_ONCE` at the same time, until killed."""

    def __init__(self, client: httpx.AsyncClient, web: AsyncWebClient, model: str, path: Path) -> None:
        """Append messages to `path`."""
        self._client = client
        self._web = web
        self._model = model
        self._file = path.open("ab", buffering=0)
        self._free = asyncio.Semaphore(AT_ONCE)

    async def take(self, line: AsyncBaseSocketModeClient, request: SocketModeRequest) -> None:
        """Append a message, flush it, ack it, and answer."""
        event: Mapping[str, Any] = request.payload["event"]
        self._file.write(json.dumps({"user": event["user"], "ts": event["ts"], "text": event["text"]}).encode() + b"\n")
        os.fsync(self._file.fileno())
        await line.send_socket_mode_response(SocketModeResponse(envelope_id=request.envelope_id))
        async with self._free:
            await self._web.chat_postMessage(channel=event["channel"], text=await self._ask(event["text"]))

    async def _ask(self, asked: str) -> str:
        messages = [{"role": "user", "content": asked}]
        body = {"model": "test", "messages": messages, "stream": True, "stream_options": {"include_usage": True}}
        text = ""
        async with self._client.stream("POST", f"{self._model}/chat/completions", json=body) as response:
            async for line in response.aiter_lines():
                if line.startswith("data: {") and (choices := json.loads(line[6:])["choices"]):
                    text += choices[0]["delta"].get("content") or ""
        return text


async def bare_loop(slack: str, model: str, path: Path) -> None:
    """Run the bare loop on Slack until killed."""
    async with httpx.AsyncClient(trust_env=False, timeout=120) as client:
        web = AsyncWebClient(token=BOT_TOKEN, base_url=slack)
        line = SocketModeClient(app_token=APP_TOKEN, web_client=AsyncWebClient(token=BOT_TOKEN, base_url=slack))
        line.socket_mode_request_listeners.append(BareLoop(client, web, model, path).take)
        await line.connect()  # type: ignore[no-untyped-call]
        await asyncio.Event().wait()


def main() -> None:
    """Measure, or with `--bare` run the bare loop."""
    if sys.argv[1:2] == ["--bare"]:
        slack, model, path = sys.argv[2:]
        asyncio.run(bare_loop(slack, model, Path(path)))
        return
    with handing_over(TITLE, FLOOR) as (given, table):
        asyncio.run(measure(table, given.size(SHORT_PEOPLE, PEOPLE), SHORT_ROUNDS if given.short else ROUNDS))


if __name__ == "__main__":
    main()
