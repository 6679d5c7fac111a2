"""This module parses every module of the project once, and gives the architecture tests their syntax trees."""

from __future__ import annotations

import ast
import gc
from functools import cache
from pathlib import Path

__all__ = ["tree_of"]


@cache
def tree_of(path: Path) -> ast.Module:
    """Read a module, without a collection of garbage in the middle.

    CPython 3.11 keeps the depth of what it builds in one place: what a finaliser prints is a traceback, whose carets it
    finds by parsing a line, and the outer tree ends with a SystemError for another depth than its own.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        return ast.parse(path.read_text("utf-8"))
    finally:
        if was_enabled:
            gc.enable()
