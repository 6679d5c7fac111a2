"""llama.cpp on a thread of its own: load, ask, free. The only file that knows xllamacpp.

Its calls for a chat release the interpreter's lock and stop when their callback returns True. Loading holds the
lock, for 0.2 s with the packaged weights; so the file is read once beforehand, which lets the lock go: what then
holds it is computing, not the disk.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

from agentd.providers.errors import ProviderRefused
from agentd.providers.local.reply import Reply

__all__ = ["NATIVE_ERRORS", "Engine", "count_cores"]

# What Cython makes of C++ exceptions; everything else that llama.cpp has to say comes as a chunk.
NATIVE_ERRORS = (ArithmeticError, LookupError, MemoryError, OSError, RuntimeError, TypeError, ValueError)

_MOST_THREADS = 8  # beyond it a small model's threads wait for each other
_BATCH_TOKENS = 128  # a prompt can be left after each batch: about half a second on two cores, for 6 % of its speed
_PROMPT_CACHE_MIB = 96  # one full context (23 kB a token): a chat interrupted by other work is not read again
_READ_BYTES = 1 << 22


class ChatServer(Protocol):
    """The one call of `xllamacpp.Server` that is used."""

    def handle_chat_completions(self, prompt: bytes, callback: Callable[[bytes], bool]) -> None:
        """Answer, giving each chunk to the callback until it returns True."""
        ...


class Engine:
    """One loaded model and its thread, which does one thing at a time, in the order of asking."""

    def __init__(self) -> None:
        """Start nothing yet."""
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="local-model")
        self._leaving = threading.Event()
        self._server: ChatServer | None = None
        self._reply: Reply | None = None

    async def load(self, path: Path, context_tokens: int) -> None:
        """Load the model; raises one of `NATIVE_ERRORS` when llama.cpp does not take the file."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._load, path, context_tokens)

    def ask(self, request: bytes) -> Reply:
        """Start on a request once the previous one is done or has noticed that it was stopped."""
        if self._leaving.is_set():
            raise ProviderRefused("The embedded model is closed.")
        self._reply = reply = Reply()
        self._thread.submit(self._answer, request, reply)
        return reply

    async def close(self) -> None:
        """Stop what runs, wait for it, free the model."""
        self._leaving.set()
        if self._reply is not None:
            self._reply.stop()
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._free)
        finally:
            self._thread.shutdown(wait=False)

    def _load(self, path: Path, context_tokens: int) -> None:
        _read_ahead(path, self._leaving)
        if not self._leaving.is_set():
            self._server = _load_server(path, context_tokens, count_cores())

    def _answer(self, request: bytes, reply: Reply) -> None:
        failure: BaseException | None = None
        try:
            if self._server is not None:
                # Through self, not a local name: a traceback that outlives this call must not keep the model.
                self._server.handle_chat_completions(request, reply.put)
        except NATIVE_ERRORS as error:
            failure = error
        finally:
            reply.end(failure)

    def _free(self) -> None:
        self._server = None


def count_cores() -> int:
    """Count the physical cores that this process may use, eight at most: two threads on one core slow each other."""
    try:
        cpus = os.sched_getaffinity(0)
    except AttributeError:  # macOS
        return min(os.cpu_count() or 1, _MOST_THREADS)
    return min(len({_core_of(cpu) for cpu in cpus}), _MOST_THREADS)


def _core_of(cpu: int) -> str:
    try:
        return Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list").read_text()
    except OSError:
        return str(cpu)


def _read_ahead(path: Path, leaving: threading.Event) -> None:
    block = bytearray(_READ_BYTES)
    with path.open("rb", buffering=0) as file:
        while not leaving.is_set() and file.readinto(block):
            pass


def _load_server(path: Path, context_tokens: int, threads: int) -> ChatServer:
    import xllamacpp  # here, so that importing agentd does not cost its 100 MB

    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.n_ctx = context_tokens
    params.n_parallel = 1
    params.n_batch = _BATCH_TOKENS
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    params.cache_ram_mib = _PROMPT_CACHE_MIB
    params.ctx_shift = False  # nothing is dropped from a conversation in silence
    params.fit_params = False  # would load everything twice to learn what fits in a graphics card
    params.warmup = False  # the first answer is as quick without
    params.verbosity = -1  # standard output belongs to the chat
    params.n_threads_http = 1
    params.ui = False
    with tempfile.TemporaryDirectory(prefix="agentd-") as directory:
        # It insists on listening. A socket file that is gone once the model is loaded lets nobody in.
        params.hostnames = [f"{directory}/llama.sock"]
        server: ChatServer = xllamacpp.Server(params)
    return server
