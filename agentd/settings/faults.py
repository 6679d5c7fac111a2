"""Describes faults in the configuration, each in one line that an operator can act on.

No line shows a value, except a number under a key that is no secret: a token may stand under any key by mistake.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from pydantic_core import ErrorDetails

from agentd.settings.model import Settings
from agentd.settings.shape import Key, Table, dotted, is_secret, leaves, table_at
from agentd.settings.sources import Source

__all__ = ["describe_invalid", "describe_unknown", "describe_wrong", "report"]

SENTENCES = {
    "greater_than": "must be greater than {gt:g}",
    "greater_than_equal": "must be at least {ge:g}",
    "less_than": "must be less than {lt:g}",
    "less_than_equal": "must be at most {le:g}",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "string_type": "must be text",
    "string_unicode": "must be text",
    "string_too_short": "must not be empty",
    "path_type": "must be text",
    "tuple_type": 'must be a list, for example ["a", "b"]',
    "literal_error": "must be one of {expected}",
    "model_type": "must be a section of keys",
    "model_attributes_type": "must be a section of keys",
    "value_error": "{error}",
}
NUMBER = re.compile(r"[+-]?(nan|inf|\d[\d.e+-]{0,30})")


def report(lines: Sequence[str]) -> str:
    """Return the first line, and how many more there are; always one line, whatever a key contains."""
    more = f" (and {len(lines) - 1} more)" if len(lines) > 1 else ""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in lines[0] + more)


def describe_invalid(details: ErrorDetails, sources: Iterable[Source]) -> str:
    """Describe one fault that validation found."""
    key = details["loc"]
    source = _holder(key, sources)
    if source and details["type"] == "extra_forbidden":
        sentence = _unknown_in_table(source, key)
    else:
        sentence = SENTENCES.get(details["type"], "cannot be used").format(**details.get("ctx", {}))
    return _line(source.where(key) if source else "", key, sentence + _instead(key, details))


def describe_unknown(name: str, source: Source) -> str:
    """Describe a variable or credential file whose name is no key."""
    key = source.unknown[name]
    depth = max(length for length in range(len(key) + 1) if table_at(Settings, key[:length]))
    inside = {_words(leaf[depth:]): leaf for leaf in leaves(Settings) if leaf[:depth] == key[:depth]}
    if depth == len(key):
        example = source.spell(next(iter(inside.values())))
        return _line(name, key, f"is a section; set its keys one by one, for example {example}")
    near = _near(_words(key[depth:]), inside)
    hint = f"did you mean {source.spell(inside[near[0]])}?" if near else _known(table_at(Settings, key[:depth]))
    return _line(name, key, f"unknown key; {hint}")


def describe_wrong(keys: Sequence[Key], sentence: str, sources: Sequence[Source]) -> str:
    """Describe a contradiction between valid keys: it is about the first, at the place where any of them is set."""
    places = (source.where(key) for key in keys if (source := _holder(key, sources)))
    return _line(next(places, ""), keys[0], sentence)


def _line(where: str, key: Key, sentence: str) -> str:
    return ": ".join(filter(None, (where, dotted(key), sentence)))


def _holder(key: Key, sources: Iterable[Source]) -> Source | None:
    return next((source for source in sources if _holds(source.values, key)), None)


def _holds(values: Any, key: Key) -> bool:
    for part in key:
        try:
            values = values[part]
        except (KeyError, IndexError, TypeError):
            return False
    return True


def _unknown_in_table(source: Source, key: Key) -> str:
    table = table_at(Settings, key[:-1])
    near = _near(str(key[-1]), table.model_fields if table else ())
    hint = f"did you mean {source.spell((*key[:-1], near[0]))}?" if near else _known(table)
    return f"unknown key; {hint}"


def _known(table: Table | None) -> str:
    return f"known here: {', '.join(table.model_fields)}" if table else "no keys are known here"


def _words(key: Key) -> str:
    return "__".join(str(part) for part in key)


def _instead(key: Key, details: ErrorDetails) -> str:
    given = str(details["input"])
    is_bound = details["type"].startswith(("greater_", "less_"))
    return f", not {given}" if is_bound and not is_secret(Settings, key) and NUMBER.fullmatch(given) else ""


def _near(word: str, known: Iterable[str]) -> list[str]:
    """Return the known word that is most similar, if one is similar enough."""
    from difflib import get_close_matches  # imported here, since it is needed only for a faulty configuration

    return get_close_matches(word, list(known), n=1)
