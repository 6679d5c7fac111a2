"""This module builds aiogram's types lazily, each when it is first used.

At its import it builds all of them, which takes two seconds of a processor in every process that imports it; a test
uses few.
"""

from __future__ import annotations

import sys

from pydantic import BaseModel

__all__ = ["load"]


def load() -> None:
    """Import them; what of them is asked for later, pydantic then builds with all that it holds."""
    original = vars(BaseModel)["model_rebuild"]
    BaseModel.model_rebuild = _build_nothing  # type: ignore[method-assign]
    try:
        import aiogram.types as described
    finally:
        BaseModel.model_rebuild = original  # type: ignore[method-assign]
    named = {name: getattr(described, name) for name in described.__all__}
    for found in named.values():
        # Where a type is built, the names in it are looked up among those of its module, which imports few of them.
        module = vars(sys.modules.get(getattr(found, "__module__", ""), described))
        for name, value in named.items():
            module.setdefault(name, value)


def _build_nothing(**_: object) -> None:
    """Stand in for `model_rebuild` where it is not wanted yet."""
