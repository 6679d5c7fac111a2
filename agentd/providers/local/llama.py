"""Wraps llama.cpp's xllamacpp: how the model is loaded, and the two calls that are used.

The calls release the interpreter's lock (GIL) and stop when their callback returns True. Loading holds the lock, for
0.2 s with the packaged weights; so the file is read once beforehand, without the lock, and what then holds it is
computing, not the disk. This version of xllamacpp leaves signals and the locale alone.
"""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Protocol

__all__ = ["NATIVE_ERRORS", "ChatServer", "count_cores", "load_server", "read_ahead"]

NATIVE_ERRORS = (ArithmeticError, LookupError, MemoryError, OSError, RuntimeError, TypeError, ValueError)
"""What Cython makes of C++ exceptions; llama.cpp's other errors come as a chunk."""

_MOST_THREADS = 8  # with more, a small model's threads wait for each other
_SPIN_COUNT = "1000"
_BATCH_TOKENS = 128  # a prompt can be left after each batch: about half a second on two cores, for 6 % of its speed
_PROMPT_CACHE_MIB = 96  # one full context (23 kB a token): a chat interrupted by other work is not read again
_READ_BYTES = 1 << 22


class ChatServer(Protocol):
    """The calls of `xllamacpp.Server` that are used."""

    def handle_chat_completions(self, prompt: bytes, callback: Callable[[bytes], bool]) -> None:
        """Answer, passing each chunk to the callback until it returns True."""
        ...

    def handle_metrics(self) -> str:
        """Make the server's own loop report what it has done."""
        ...


def count_cores() -> int:
    """Count the physical cores that this process may use, at most eight: two threads on one core slow each other."""
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


def read_ahead(path: Path, leaving: threading.Event) -> None:
    """Read the file into the page cache, unless `leaving` is set."""
    block = bytearray(_READ_BYTES)
    with path.open("rb", buffering=0) as file:
        while not leaving.is_set() and file.readinto(block):
            pass


def load_server(path: Path, context_tokens: int) -> ChatServer:
    """Load the model, and see its loop run. Raises one of `NATIVE_ERRORS`, or ImportError without xllamacpp.

    xllamacpp reports readiness just before its loop begins, and the loop begins by forgetting any request to end. A
    server freed in between waits for its loop for ever, holding the interpreter's lock: no time limit of ours would
    work. So the loop is asked for something that only it can answer, which releases the lock.
    """
    xllamacpp = _import_xllamacpp()
    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.n_ctx = context_tokens
    params.n_parallel = 1
    params.n_batch = _BATCH_TOKENS
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = count_cores()
    params.cache_ram_mib = _PROMPT_CACHE_MIB
    params.ctx_shift = False  # never drop a part of the conversation silently
    params.fit_params = False  # would load everything twice to learn what fits in a graphics card
    params.warmup = False  # the first answer is as quick without it
    params.verbosity = -1  # standard output belongs to the chat
    params.n_threads_http = 1
    params.ui = False
    params.endpoint_metrics = True  # for the question below
    with tempfile.TemporaryDirectory(prefix="agentd-") as directory:
        # It insists on listening. A socket file that is removed once the model is loaded admits nobody.
        params.hostnames = [f"{directory}/llama.sock"]
        server: ChatServer = xllamacpp.Server(params)
    server.handle_metrics()
    return server


def _import_xllamacpp() -> ModuleType:
    """Import it here, so that importing agentd does not cost its 100 MB, and with threads that do not busy-wait for
    long.

    libgomp reads how long a thread spins for the others when it is first loaded. By default that is so long that one
    other busy process on two cores slows the model from 90 tokens a second to 2 to 20; with libgomp's own figure for a
    crowded machine it keeps 30, and loses nothing on an idle one.
    """
    ours = not os.environ.keys() & {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"}
    if ours:
        os.environ["GOMP_SPINCOUNT"] = _SPIN_COUNT
    try:
        import xllamacpp
    finally:
        if ours:
            os.environ.pop("GOMP_SPINCOUNT", None)
    module: ModuleType = xllamacpp
    return module
