"""Lists the configuration keys that the models declare, and tells which are secret."""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args, get_origin

from pydantic import BaseModel, SecretStr

__all__ = ["Key", "Table", "dotted", "is_secret", "leaves", "table_at"]

Key = tuple[str | int, ...]
"""A path into the configuration; an int is an index in an array."""

Table = type[BaseModel]


def dotted(key: Key) -> str:
    """Write a key as people do: `provider.fallbacks[0].model`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in key).removeprefix(".")


def leaves(table: Table, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every key that holds a value; an array of tables counts as one value."""
    for name, field in table.model_fields.items():
        below = _as_table(field.annotation)
        if below is None:
            yield (*above, name)
        else:
            yield from leaves(below, (*above, name))


def table_at(root: Table, key: Key) -> Table | None:
    """The model that declares the keys below `key`; None where `key` is a value or unknown."""
    return _as_table(_annotation_at(root, key))


def is_secret(root: Table, key: Key) -> bool:
    """Whether a value at `key` must never be shown."""
    return _annotation_at(root, key) is SecretStr


def _annotation_at(root: Table, key: Key) -> object:
    annotation: object = root
    for part in key:
        if isinstance(part, int):
            annotation = next(iter(get_args(annotation)), None)
            continue
        table = _as_table(annotation)
        field = table.model_fields.get(part) if table else None
        annotation = field.annotation if field else None
    return annotation


def _as_table(annotation: object) -> Table | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) is tuple:
        return None
    return next((table for part in get_args(annotation) if (table := _as_table(part))), None)
