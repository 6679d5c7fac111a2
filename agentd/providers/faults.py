"""Translates a model server's error into one of three decisions (retry, shorten, refuse), and a sentence for the
person.

The servers agree on the HTTP status at best, so their own words are read as well: which parameter they did not like,
whether the prompt was too long, whether the credit ran out. Nothing of a key, a header or the prompt comes out.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import msgspec

from agentd.providers.errors import ContextTooLong, ProviderError, ProviderRefused, ProviderRetryable

__all__ = ["Fault", "Server", "build_error", "clean_text", "parse_fault", "parse_fault_tree", "parse_retry_after"]

QUOTED_CHARACTERS = 200
"""How much of a server's own words is shown to a person."""

_RETRYABLE = frozenset({408, 409, 425, 429})

_STATUS_OF = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "invalid_api_key": 401,
    "billing_error": 402,
    "permission_error": 403,
    "model_not_found": 404,
    "not_found_error": 404,
    "insufficient_quota": 429,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "request_too_large": 413,
}
"""The status that error names within a stream stand for; any other error there is the server's fault."""

_NO_CREDIT = "credit balance is too low"
"""Anthropic's words, under a status that does not tell."""

# One alternative per family of wordings, with some of the servers that use it.
_TOO_LONG = re.compile(
    r"context_(?:length|window)_exceeded|exceed_context_size|tokens_limit_reached|string_above_max_length"  # codes
    r"|max(?:imum)? (?:allowed )?(?:context|model|prompt|input) length"  # OpenAI, OpenRouter, DeepSeek, vLLM, xAI
    r"|context (?:length|window|size) (?:of|is) only|configured context size"  # vLLM, LM Studio
    r"|(?:exceed\w*|greater|longer|larger)\b.{0,40}\b(?:context|model token limit|maximum number of (?:input )?tokens)"
    # llama.cpp, Ollama, LM Studio, Moonshot, Gemini
    r"|context (?:length|window|size)\b.{0,30}\bexceed"  # MiniMax
    r"|(?:prompt|input|request|messages?) (?:(?:is|are|was) )?too (?:long|large)"  # Anthropic, Bedrock, older llama.cpp
    r"|too many (?:input |prompt )?tokens|reduce the length of"  # Cohere, Groq, Cerebras
    r"|range of input length|prompt token count of|\binputs\W tokens",  # Qwen, Copilot, text-generation-inference
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Server:
    """The server that was asked: `host` with any port, `base_url` fit to be shown, and the key, which must not be
    shown.

    `section` is its section in the settings, which messages name for changes.
    """

    host: str
    base_url: str
    model: str
    key: str = field(default="", repr=False)
    section: str = "provider"


@dataclass(frozen=True, slots=True)
class Fault:
    """A server's error: status, error names (lower case), its words, the parameter it names."""

    status: int
    names: frozenset[str]
    message: str
    parameter: str = ""
    retry_after_seconds: float | None = None


def parse_fault(status: int, body: bytes, retry_after_seconds: float | None = None) -> Fault:
    """Parse the body of an error response: JSON of any known shape, or plain text; a web page is ignored."""
    try:
        tree: object = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        text = body.decode("utf-8", "replace").strip()
        return Fault(status, frozenset(), "" if text.startswith("<") else text, "", retry_after_seconds)
    return parse_fault_tree(tree, status, retry_after_seconds)


def parse_fault_tree(tree: object, status: int | None = None, retry_after_seconds: float | None = None) -> Fault:
    """Parse a decoded error; without a status (it came inside a 200) the error's own code counts, else 500."""
    if isinstance(tree, list) and tree:
        tree = tree[0]  # Gemini wraps it so
    inner = tree.get("error") if isinstance(tree, dict) else None
    marked: object = inner if isinstance(inner, dict) else tree
    values = [marked.get("code"), marked.get("type")] if isinstance(marked, dict) else []
    names = frozenset(value.lower() for value in values if isinstance(value, str))
    parameter = marked.get("param") if isinstance(marked, dict) else None
    return Fault(
        _own_status(values, names) if status is None else status,
        names,
        " ".join(_texts(tree)),
        parameter if isinstance(parameter, str) else "",
        retry_after_seconds,
    )


def parse_retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return the seconds that Retry-After asks for, never negative; None if it is missing or unreadable."""
    for name, unit_seconds in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        value = headers.get(name, "").strip()
        seconds = _parse_number(value) * unit_seconds
        if not math.isfinite(seconds) and name == "retry-after":
            seconds = _seconds_until(value, now)
        if math.isfinite(seconds):
            return max(0.0, seconds)
    return None


def build_error(fault: Fault, server: Server) -> ProviderError:
    """Return the error that tells what to do about a fault."""
    the_server = f"the model's server at {server.host}"
    status, key = fault.status, f"{server.section}.api_key"
    if _is_too_long(fault):
        return ContextTooLong(f"the conversation is too long for {server.model} at {server.host}: shorten it")
    if status == 402 or "insufficient_quota" in fault.names or _NO_CREDIT in fault.message.lower():
        return ProviderRefused(
            f"the account at {server.host} has no credit left: add credit there, or set another {key}"
        )
    if status == 429:
        return ProviderRetryable(f"{the_server} gets too many requests: try again later", fault.retry_after_seconds)
    if status in _RETRYABLE or status >= 500:
        return ProviderRetryable(
            f"{the_server} cannot answer at the moment (HTTP {status}): try again later", fault.retry_after_seconds
        )
    return ProviderRefused(f"{the_server} {_refusal(fault, server)}")


def clean_text(text: str, key: str) -> str:
    """Return a server's words as one short line without control characters and without the key.

    Servers that quote a key mask its middle with asterisks: such words are removed too.
    """
    line = "".join(character for character in " ".join(text.split()) if character.isprintable())
    line = re.sub(re.escape(key), "[key]", line, flags=re.IGNORECASE) if key else line
    # Cut before the search, whose time grows with the square of a word's length.
    line = re.sub(r"\S*\*{3,}\S*", "[key]", line[: 2 * QUOTED_CHARACTERS])
    return line if len(line) <= QUOTED_CHARACTERS else line[: QUOTED_CHARACTERS - 1] + "…"


def _refusal(fault: Fault, server: Server) -> str:
    said = clean_text(fault.message, server.key)
    section = server.section
    quoted = f" (it said: {said})" if said else ""
    match fault.status:
        case 401:
            return f"refused the key: set {section}.api_key"  # without its words, which often quote the key
        case 403:
            return f"refused the key: set {section}.api_key{quoted}"
        case 404:
            return (
                f"knows no model {server.model} under {server.base_url}: "
                f"check {section}.model and {section}.base_url{quoted}"
            )
        case status if status < 400:
            return f"has moved (HTTP {status}): check {section}.base_url"
        case status:
            return f"refused the request (HTTP {status}): {said or f'check {section}.model and {section}.base_url'}"


def _is_too_long(fault: Fault) -> bool:
    if fault.status in {401, 402, 403, 404}:
        return False
    if fault.status == 413:
        return True
    if fault.status == 429:  # a request over the whole minute's allowance (OpenAI) fits no later either
        return "request too large" in fault.message.lower()
    return _TOO_LONG.search(" ".join((*fault.names, fault.message))) is not None


def _own_status(values: list[object], names: frozenset[str]) -> int:
    for value in values:
        if isinstance(value, int | str) and str(value).isdecimal() and 400 <= int(str(value)[:4]) < 600:
            return int(str(value)[:4])
    return next((_STATUS_OF[name] for name in sorted(names) if name in _STATUS_OF), 500)


def _texts(tree: object, depth: int = 8) -> Iterator[str]:
    if depth == 0:
        return
    if isinstance(tree, str):
        yield tree
    elif isinstance(tree, list):
        for item in tree[:8]:
            yield from _texts(item, depth - 1)
    elif isinstance(tree, dict):
        # `detail`, `loc` and `msg` are FastAPI's; `metadata.raw` is what OpenRouter heard from the server behind it.
        for name in ("error", "message", "detail", "loc", "msg", "metadata", "raw"):
            yield from _texts(tree.get(name), depth - 1)


def _parse_number(value: str) -> float:
    try:
        return float(value)
    except ValueError:
        return math.nan


def _seconds_until(value: str, now: datetime) -> float:
    try:
        when = parsedate_to_datetime(value)
        return ((when if when.tzinfo else when.replace(tzinfo=UTC)) - now).total_seconds()
    except (ValueError, OverflowError):
        return math.nan
