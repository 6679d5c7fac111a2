"""This module is the Embeddings route of `OpenAIServer`, as strict as the real one.

A vector has a place for each word, found by its digest: texts with words in common are near each other.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec
from aiohttp import web

from tests.platforms.model_server import json_answer

__all__ = ["Behaviour", "EmbeddingBody", "Embeddings", "answer", "embed", "refuse_texts_with"]

MOST_TOKENS = 8_192
MOST_NUMBERS = 3_072


class EmbeddingBody(msgspec.Struct, forbid_unknown_fields=True):
    """The parameters that this server knows; any other is refused, as by the real one."""

    model: Annotated[str, msgspec.Meta(min_length=1)]
    input: str | Annotated[list[str], msgspec.Meta(min_length=1, max_length=2048)]
    encoding_format: Literal["float"] | None = None
    dimensions: Annotated[int, msgspec.Meta(gt=0, le=MOST_NUMBERS)] | None = None
    user: str | None = None

    @property
    def texts(self) -> list[str]:
        """What vectors are asked of."""
        return [self.input] if isinstance(self.input, str) else self.input


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as it came; header names are in lower case."""

    body: EmbeddingBody
    headers: Mapping[str, str]


Behaviour = Callable[[Asked], Awaitable[web.Response]]


class Embeddings:
    """The route: what it was asked, and what it does instead of answering."""

    def __init__(self, refuse: Callable[..., web.Response]) -> None:
        """Build error answers with `refuse`."""
        self.requests: list[Asked] = []
        self.always: Behaviour | None = None
        """Answers all requests for which nothing is enqueued."""
        self._refuse = refuse
        self._script: deque[Behaviour] = deque()

    def enqueue(self, *behaviours: Behaviour) -> None:
        """Answer the next requests so, one behaviour each."""
        self._script.extend(behaviours)

    async def handle(self, request: web.Request) -> web.Response:
        """Answer a request."""
        try:
            body = msgspec.json.decode(await request.read(), type=EmbeddingBody)
        except (ValueError, RecursionError) as exc:
            return self._refuse(400, f"Invalid request: {exc}")
        if fault := _fault(body.texts):
            return self._refuse(400, fault, parameter="input")
        asked = Asked(body, {name.lower(): value for name, value in request.headers.items()})
        self.requests.append(asked)
        behave = self._script.popleft() if self._script else self.always or answer
        return await behave(asked)


async def answer(asked: Asked) -> web.Response:
    """Answer with the vector of each text."""
    size = asked.body.dimensions or 64
    vectors = [
        {"object": "embedding", "index": number, "embedding": embed(text, size)}
        for number, text in enumerate(asked.body.texts)
    ]
    count = sum(len(text.split()) for text in asked.body.texts)
    usage = {"prompt_tokens": count, "total_tokens": count}
    return json_answer(200, {"object": "list", "data": vectors, "model": asked.body.model, "usage": usage})


def refuse_texts_with(word: str, refuse: Callable[[int, str], web.Response]) -> Behaviour:
    """Refuse each request of which a text holds this word, and quote it."""

    async def behave(asked: Asked) -> web.Response:
        found = next((text for text in asked.body.texts if word in text), None)
        return await answer(asked) if found is None else refuse(400, f"'$.input' is invalid: {found}")

    return behave


def embed(text: str, size: int = 64) -> list[float]:
    """Return a text's vector, of length one."""
    numbers = [0.01] * size
    for word in re.findall(r"\w+", text.lower()):
        numbers[int.from_bytes(hashlib.sha256(word.encode()).digest()[:4]) % size] += 1
    length = math.hypot(*numbers)
    return [number / length for number in numbers]


def _fault(texts: list[str]) -> str | None:
    if any(not text for text in texts):
        return "'$.input' is invalid. Please check the API reference: https://platform.openai.com/docs/api-reference."
    most = max(len(text) / 4 for text in texts)
    if most > MOST_TOKENS:
        return f"This model's maximum context length is {MOST_TOKENS} tokens, however you requested {most:.0f} tokens."
    return None
