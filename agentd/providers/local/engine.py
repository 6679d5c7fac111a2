"""Runs one loaded model on a thread of its own: loads it, answers requests, frees it.

The thread is a daemon thread and not an executor's, since the interpreter waits for those at its exit without a limit:
native code that never returns must not keep the process. Closing waits for the thread, but not for long. The model is
freed on that thread only, and only if `load_server` has seen it at work.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import queue
import threading
from concurrent.futures import Future, InvalidStateError
from pathlib import Path

import structlog

from agentd.providers.errors import ProviderRefused, ProviderRetryable
from agentd.providers.local.llama import NATIVE_ERRORS, ChatServer, load_server, read_ahead
from agentd.providers.local.reply import Reply

__all__ = ["GIVE_UP_SECONDS", "Engine"]

GIVE_UP_SECONDS = 5.0
"""Ten batches of a prompt on two cores: a thread that has not returned by then is not going to."""

_REQUESTS_WAITING = 64  # one runs at a time; the others have been stopped, which the thread has yet to notice

_log = structlog.get_logger()


class Engine:
    """One loaded model and its thread, which handles one request at a time, in order."""

    def __init__(self, give_up_seconds: float = GIVE_UP_SECONDS) -> None:
        """Start nothing yet; `give_up_seconds` is the longest wait for the thread when closing."""
        self._give_up_seconds = give_up_seconds
        self._thread: threading.Thread | None = None
        self._requests: queue.Queue[tuple[bytes, Reply] | None] = queue.Queue(_REQUESTS_WAITING)
        self._leaving = threading.Event()
        self._loaded: Future[None] = Future()
        self._freed: Future[None] = Future()
        self._freed.set_running_or_notify_cancel()  # from here on no waiter can cancel it
        self._server: ChatServer | None = None
        self._reply: Reply | None = None

    async def load(self, path: Path, context_tokens: int) -> None:
        """Load the model; raises one of `NATIVE_ERRORS` if llama.cpp does not accept the file. Called once."""
        self._thread = threading.Thread(target=self._work, args=(path, context_tokens), name="local-model", daemon=True)
        atexit.register(self._leave_at_exit)  # for a process that closes nothing
        self._thread.start()
        await asyncio.wrap_future(self._loaded)

    def ask(self, request: bytes) -> Reply:
        """Queue a request; it begins once the previous one is done or has noticed that it was stopped."""
        if self._leaving.is_set():
            raise ProviderRefused("The embedded model is closed.")
        reply = Reply()
        try:
            self._requests.put_nowait((request, reply))
        except queue.Full as error:
            raise ProviderRetryable("The embedded model is still busy with requests that were given up.") from error
        self._reply = reply
        return reply

    async def close(self) -> None:
        """Stop the running request, and wait for the model to be freed, or give the thread up."""
        self._leave()
        if self._thread is None:
            return
        try:
            async with asyncio.timeout(self._give_up_seconds):
                await asyncio.wrap_future(self._freed)
        except TimeoutError:
            self._give_up()
        atexit.unregister(self._leave_at_exit)

    def _leave(self) -> None:
        self._leaving.set()
        if self._reply is not None:
            self._reply.stop()
        with contextlib.suppress(queue.Full):  # then the thread does not sleep
            self._requests.put_nowait(None)

    def _leave_at_exit(self) -> None:
        self._leave()
        try:
            self._freed.result(self._give_up_seconds)
        except TimeoutError:
            self._give_up()

    def _give_up(self) -> None:
        _log.warning("local_model_given_up", waited_seconds=self._give_up_seconds)

    def _work(self, path: Path, context_tokens: int) -> None:
        try:
            if self._loaded.set_running_or_notify_cancel():
                self._load(path, context_tokens)
            while not self._leaving.is_set():
                self._answer_next()
        finally:
            self._leaving.set()
            self._end_waiting()
            self._server = None
            with contextlib.suppress(InvalidStateError):
                self._loaded.set_exception(RuntimeError("the model was not loaded"))
            self._freed.set_result(None)

    def _load(self, path: Path, context_tokens: int) -> None:
        try:
            read_ahead(path, self._leaving)
            if not self._leaving.is_set():
                self._server = load_server(path, context_tokens)
        except (ImportError, *NATIVE_ERRORS) as error:
            self._leaving.set()
            self._loaded.set_exception(error)
        else:
            self._loaded.set_result(None)

    def _answer_next(self) -> None:
        asked = self._requests.get()
        if asked is None:
            return
        request, reply = asked
        failure: BaseException | None = None
        try:
            if self._server is not None and not reply.stopped:
                # Through self, not a local name: a traceback that outlives this call must not keep the model alive.
                self._server.handle_chat_completions(request, reply.put)
        except NATIVE_ERRORS as error:
            failure = error
        finally:
            reply.end(failure)

    def _end_waiting(self) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                if (asked := self._requests.get_nowait()) is not None:
                    asked[1].end(None)
