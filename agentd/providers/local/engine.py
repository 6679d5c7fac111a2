"""One loaded model on a thread of its own: load, ask, free."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from agentd.providers.errors import ProviderRefused
from agentd.providers.local.llama import NATIVE_ERRORS, ChatServer, load_server, read_ahead
from agentd.providers.local.reply import Reply

__all__ = ["Engine"]


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
        read_ahead(path, self._leaving)
        if not self._leaving.is_set():
            self._server = load_server(path, context_tokens)

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
