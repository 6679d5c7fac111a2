"""These tests run the embedded model in its own process: its timeouts, its end, and what cannot be waited for."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE

import pytest

from agentd.providers.local import local_model_missing

MISSING = local_model_missing()

pytestmark = [
    pytest.mark.skipif(MISSING is not None, reason=f"the extra `local` is not installed: {MISSING}"),
    pytest.mark.xdist_group("local-model"),
]

LIMIT_SECONDS = 60.0


SCRIPT = """
import asyncio, contextlib, signal, sys
import agentd.providers.local as local
from agentd.providers.base import CompletionRequest, PromptMessage
from agentd.providers.errors import ProviderError
from agentd.providers.settings import ModelSettings

assert "xllamacpp" not in sys.modules, "importing the adapter loads llama.cpp"

async def main():
    loop, stopped = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stopped.set)
    with contextlib.suppress(ProviderError):
        async with local.open_local(ModelSettings.model_validate({'model': sys.executable})): pass
    async with local.open_local(ModelSettings.model_validate({})) as provider:
        for text in ("Hello", "word " * 5000):
            request = CompletionRequest((PromptMessage("user", text),), 4, 0.0)
            with contextlib.suppress(ProviderError):
                async for _ in provider.stream(request): pass
        signal.raise_signal(signal.SIGTERM)
        await stopped.wait()

asyncio.run(main())
assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
try:
    signal.raise_signal(signal.SIGINT)
except KeyboardInterrupt:
    sys.exit(7)
"""


UNCLOSED = """
import asyncio, sys
from agentd.providers.base import CompletionRequest, PromptMessage
from agentd.providers.local import open_local
from agentd.providers.settings import ModelSettings

async def main():
    context = open_local(ModelSettings.model_validate({}))
    provider = await context.__aenter__()
    stream = provider.stream(CompletionRequest((PromptMessage("user", "Tell me a long story."),), 3000, 0.0))
    await anext(stream)
    return context, provider, stream

loop = asyncio.new_event_loop()
left_open = loop.run_until_complete(main())
sys.exit(7)
"""


async def run(script: str, *arguments: str) -> tuple[bytes, bytes, int | None]:
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", script, *arguments, stdout=PIPE, stderr=PIPE)
    try:
        async with asyncio.timeout(LIMIT_SECONDS):
            stdout, stderr = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return stdout, stderr, process.returncode


async def test_it_prints_nothing_and_leaves_the_signals_to_the_daemon() -> None:
    assert await run(SCRIPT) == (b"", b"", 7)


async def test_a_process_that_closes_nothing_ends_all_the_same() -> None:
    assert await run(UNCLOSED) == (b"", b"", 7)


FREED_AT_ONCE = """
from agentd.providers.local.llama import load_server
from agentd.providers.local.weights import find_weights

path = find_weights("").path
for _ in range(6):
    server = load_server(path, 512)
    del server
server = load_server(path, 512)
assert "llamacpp:" in server.handle_metrics(), "answered without its loop"
"""


async def test_a_model_can_be_freed_as_soon_as_it_is_loaded_on_a_busy_machine() -> None:
    busy = [await asyncio.create_subprocess_exec(sys.executable, "-c", "while True: pass") for _ in range(2)]
    try:
        outcome = await run(FREED_AT_ONCE)
    finally:
        for process in busy:
            process.kill()
            await process.wait()

    assert outcome == (b"", b"", 0)


STUCK = """
import asyncio, sys, threading
from pathlib import Path
import agentd.providers.local.engine as module

class Stuck:
    def handle_chat_completions(self, prompt, callback): threading.Event().wait()
    def handle_metrics(self): return ""

def load(path, context_tokens):
    if sys.argv[1] == "loading": threading.Event().wait()
    return Stuck()

module.load_server = load

async def main():
    engine = module.Engine(give_up_seconds=0.2)
    try:
        async with asyncio.timeout(0.2):
            await engine.load(Path("/dev/null"), 1)
            engine.ask(b"")
            await asyncio.sleep(0.1)
    except TimeoutError:
        pass
    if sys.argv[1] != "unclosed":
        await engine.close()

asyncio.run(main())
sys.exit(7)
"""


@pytest.mark.parametrize("when", ["loading", "answering", "unclosed"])
async def test_a_thread_that_never_comes_back_is_given_up(when: str) -> None:
    stdout, stderr, code = await run(STUCK, when)

    assert (stdout + stderr).count(b"local_model_given_up") == 1
    assert (stdout + stderr).count(b"\n") == 1
    assert code == 7
