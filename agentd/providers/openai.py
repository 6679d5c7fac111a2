"""The dialect of servers that speak OpenAI's Chat Completions: OpenAI, OpenRouter, Ollama, vLLM, llama.cpp and the
like.
"""

from __future__ import annotations

from agentd.providers.openai_wire import OPTIONAL, build_body, parse_piece
from agentd.providers.remote import Dialect

__all__ = ["OPENAI"]


def _build_headers(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"} if key else {}


OPENAI = Dialect(
    base_url="https://api.openai.com/v1",
    path="/chat/completions",
    build_headers=_build_headers,
    build_body=build_body,
    parse_piece=parse_piece,
    optional=OPTIONAL,
)
