"""Reads many session files in parallel, one process per core, and yields the results in the order of the files.

Each process is a fork of this one (it starts in milliseconds), takes every n-th piece of the files, and writes into a
pipe of its own. The pipes are read in turn, which keeps the order, and a process that is ahead waits for its reader:
memory stays bounded. When the reader ends, for whatever reason, the processes end too.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from struct import Struct
from typing import BinaryIO, NoReturn

__all__ = ["count_cores", "read_on_cores"]

PIECE_FILES = 16

FRAME_CHARACTERS = 64 * 1024

MOST_PROCESSES = 8

_HEAD = Struct("<IB")
_MORE, _END, _FAULT = range(3)

Work = Callable[[Path], Iterable[str]]
"""Reads one file, and yields its result as whole lines. May raise OSError."""


def count_cores() -> int:
    """Return how many processes are worth starting."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    return min(allowed, MOST_PROCESSES)


def read_on_cores(work: Work, files: Sequence[Path], processes: int) -> Iterator[str]:
    """Yield what `work` yields for each file, in the order of files. Raises OSError where `work` does."""
    pieces = [files[start : start + PIECE_FILES] for start in range(0, len(files), PIECE_FILES)]
    processes = min(processes, len(pieces))
    if processes < 2:
        for path in files:
            yield from work(path)
        return
    with ExitStack() as stack:
        pipes: list[BinaryIO] = []
        for number in range(processes):
            pipes.append(stack.enter_context(_started(work, pieces[number::processes], pipes)))
        for index in range(len(pieces)):
            yield from _receive(pipes[index % processes])


def _receive(pipe: BinaryIO) -> Iterator[str]:
    """Yield the result of one piece."""
    kind = _MORE
    while kind == _MORE:
        head = pipe.read(_HEAD.size)
        length, kind = _HEAD.unpack(head) if len(head) == _HEAD.size else (0, _FAULT)
        content = pipe.read(length)
        if kind == _FAULT:
            if not content:
                raise RuntimeError("a process that read files ended before its work")
            raise OSError(*json.loads(content))
        yield content.decode("utf-8", "surrogatepass")


@contextmanager
def _started(work: Work, pieces: Sequence[Sequence[Path]], others: Sequence[BinaryIO]) -> Iterator[BinaryIO]:
    """Start a process on these pieces, and kill it at the end; interrupts are blocked until it is set up."""
    reader, writer = os.pipe()
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    child = os.fork()
    if child == 0:
        _run(work, pieces, writer, (reader, *(other.fileno() for other in others)))
    try:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        os.close(writer)
        with os.fdopen(reader, "rb") as pipe:
            yield pipe
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def _run(work: Work, pieces: Sequence[Sequence[Path]], writer: int, foreign: Iterable[int]) -> NoReturn:
    """The child process: an unexpected fault is printed here, and seen by the reader as an early end."""
    try:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        for fd in foreign:  # a writer learns that its reader is gone only once nobody else holds that end
            os.close(fd)
        pipe = os.fdopen(writer, "wb")
        for piece in pieces:
            _send(pipe, work, piece)
    finally:
        # The pipe is still open here; its reader kills this process as soon as it is closed.
        if not isinstance(sys.exception(), BrokenPipeError | None):
            traceback.print_exc()
        os._exit(0)


def _send(pipe: BinaryIO, work: Work, piece: Sequence[Path]) -> None:
    waiting: list[str] = []
    length = 0
    try:
        for path in piece:
            for lines in work(path):
                waiting.append(lines)
                length += len(lines)
                if length >= FRAME_CHARACTERS:
                    _put(pipe, "".join(waiting), _MORE)
                    waiting, length = [], 0
        _put(pipe, "".join(waiting), _END)
    except BrokenPipeError:
        raise
    except OSError as fault:
        _put(pipe, "".join(waiting), _MORE)
        _put(pipe, json.dumps([fault.errno, fault.strerror, fault.filename and str(fault.filename)]), _FAULT)


def _put(pipe: BinaryIO, text: str, kind: int) -> None:
    content = text.encode("utf-8", "surrogatepass")
    pipe.write(_HEAD.pack(len(content), kind))
    pipe.write(content)
    if kind != _MORE:
        pipe.flush()
