"""This module imports discord.py's payload types, which are for type checkers and import each other in a circle."""

from __future__ import annotations

import importlib
import sys
from functools import cache
from types import ModuleType
from typing import Any, Final

PACKAGE: Final = "discord.types"
HALF_WAY: Final = "message"
"""The module that the circle is opened at."""


class Later:
    """Stands for a name of the module until that is there."""


class Promise(ModuleType):
    """Stands for the module until it is there: it has every name."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Later


@cache
def described(path: str) -> Any:
    """Return a description by its module and name, as in `message.Message`."""
    _open_circle()
    module, _, name = path.partition(".")
    return getattr(importlib.import_module(f"{PACKAGE}.{module}"), name)


@cache
def _open_circle() -> None:
    """Import the modules that need each other, and give them the names that they could not have at first."""
    whole = f"{PACKAGE}.{HALF_WAY}"
    importlib.import_module(PACKAGE)
    sys.modules[whole] = Promise(whole)
    try:
        importlib.import_module(f"{PACKAGE}.interactions")
    finally:
        del sys.modules[whole]
    real = importlib.import_module(whole)
    for path, module in list(sys.modules.items()):
        if path.startswith(f"{PACKAGE}."):
            for name in [name for name, value in vars(module).items() if value is Later]:
                setattr(module, name, getattr(real, name))
    interactions = sys.modules[f"{PACKAGE}.interactions"]
    interactions.Message = real.Message  # type: ignore[attr-defined]  # imported there for a type checker only
