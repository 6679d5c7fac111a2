"""This module refuses what is outside the subset of JSON Schema for replies that all model servers take."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

__all__ = ["MOST_NAME", "find_faults", "is_name"]

MOST_NAME = 64
"""Characters of a schema's name."""

_TYPES = frozenset({"object", "array", "string", "number", "integer", "boolean", "null"})

_WORDS = frozenset(
    {
        "type",
        "properties",
        "required",
        "additionalProperties",
        "items",
        "enum",
        "const",
        "anyOf",
        "title",
        "description",
    }
)
"""Bounds on numbers, lengths and sizes are not among them: Anthropic takes none."""


def is_name(name: str) -> bool:
    """Tell whether a schema may be called so."""
    return re.fullmatch(rf"[a-zA-Z0-9_-]{{1,{MOST_NAME}}}", name) is not None


def find_faults(rules: Mapping[str, object]) -> Iterator[str]:
    """Say what is wrong with a schema; its root is an object."""
    if rules.get("type") != "object":
        yield f"schema must be a JSON Schema of 'type: \"object\"', got {rules.get('type')!r}."
    yield from _faults(rules, ())


def _faults(rules: object, place: Sequence[str]) -> Iterator[str]:
    where = f"In context=({', '.join(map(repr, place))}),"
    if not isinstance(rules, dict):
        yield f"{where} schema must be an object."
        return
    for word in rules.keys() - _WORDS:
        yield f"{where} '{word}' is not permitted."
    kinds = rules.get("type", [])
    for kind in [kinds] if isinstance(kinds, str) else kinds:
        if kind not in _TYPES:
            yield f"{where} {kind!r} is not a valid type."
    if kinds == "array" and "items" not in rules:
        yield f"{where} array schema missing items."
    if kinds == "object" or "properties" in rules:
        yield from _object_faults(rules, where)
    properties = rules.get("properties", {})
    for name, inner in properties.items() if isinstance(properties, dict) else ():
        yield from _faults(inner, (*place, "properties", name))
    for inner in rules.get("anyOf", []):
        yield from _faults(inner, (*place, "anyOf"))
    if "items" in rules:
        yield from _faults(rules["items"], (*place, "items"))


def _object_faults(rules: Mapping[str, object], where: str) -> Iterator[str]:
    if rules.get("additionalProperties") is not False:
        yield f"{where} 'additionalProperties' is required to be supplied and to be false."
    properties, required = rules.get("properties", {}), rules.get("required", [])
    if not isinstance(properties, dict) or not isinstance(required, list) or set(required) != set(properties):
        yield f"{where} 'required' is required to be supplied and to be an array including every key in properties."
