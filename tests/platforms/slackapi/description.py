"""This module checks Web API calls against a description: the methods of Slack's own Python client.

What they do not know is outside the description. A method is named after the client's, with dots for underscores.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, Final, Union, get_args, get_origin, get_type_hints

from slack_sdk.web.async_client import AsyncWebClient

from tests.platforms.slackapi.answers import Outside, Params

TOKENS: Final = frozenset({"token", "app_token"})
"""Arguments of the client that become the header `Authorization`."""
EVERYWHERE: Final = frozenset({"team_id"})
"""Arguments that a client may add to each call: bolt names the workspace that an event came from."""
TRUTHS: Final = {"1": True, "true": True, "0": False, "false": False}


@dataclass(frozen=True, slots=True)
class Method:
    """One method: what it takes, and how the client sends it."""

    name: str
    kinds: Mapping[str, frozenset[type]]
    """Of each argument, the types that it may have: str, int, float, bool, list or dict."""
    required: frozenset[str]


@cache
def method_of(name: str) -> Method:
    """Return a method by its name; raises Outside."""
    found = getattr(AsyncWebClient, name.replace(".", "_"), None) if re.fullmatch(r"[\w.]+", name) else None
    if found is None or "." not in name or name.startswith("_"):
        raise Outside("unknown_method", f"there is no method {name}", {"req_method": name})
    if f'"{name}"' not in inspect.getsource(found):
        raise Outside("unknown_method", f"there is no method {name}", {"req_method": name})
    hints = get_type_hints(found)
    taken = [
        parameter
        for parameter in inspect.signature(found).parameters.values()
        if parameter.name not in TOKENS | {"self"} and parameter.kind is not inspect.Parameter.VAR_KEYWORD
    ]
    return Method(
        name,
        {parameter.name: frozenset(_kinds(hints[parameter.name])) for parameter in taken},
        frozenset(parameter.name for parameter in taken if parameter.default is inspect.Parameter.empty),
    )


def read_params(method: Method, sent: Mapping[str, Any]) -> Params:
    """Return the arguments of a call, each of its type; raises Outside."""
    sent = {name: value for name, value in sent.items() if name not in EVERYWHERE}
    for name in sent:
        if name not in method.kinds:
            raise Outside("invalid_arguments", f"{method.name} has no argument {name}")
    if missing := sorted(method.required - sent.keys()):
        raise Outside("invalid_arguments", f"missing required field: {missing[0]}")
    return {name: _read(name, method.kinds[name], value) for name, value in sent.items()}


def _kinds(annotation: object) -> set[type]:
    origin = get_origin(annotation)
    if origin in (Union, UnionType):
        return set[type]().union(*(_kinds(part) for part in get_args(annotation)))
    if annotation is NoneType:
        return set()
    found = origin or annotation
    if not isinstance(found, type):
        return {dict}
    if found in (str, int, float, bool, dict):
        return {found}
    return {list} if issubclass(found, Sequence) else {dict}


def _read(name: str, kinds: frozenset[type], value: object) -> object:
    if not isinstance(value, str):
        if type(value) in kinds:
            return value
        raise Outside("invalid_arguments", f"{name} must not be {json.dumps(value)[:40]}")
    for kind in (dict, list, bool, int, float):
        if kind in kinds and (decoded := _decode(kind, value)) is not None:
            return decoded
    if str in kinds and not (kinds & {list, dict} and value.startswith(("[", "{"))):
        return value
    raise Outside("invalid_arguments", f"{name} must not be {value[:40]!r}")


def _decode(kind: type, value: str) -> object:
    """Return a value that came as text and is to be something else; None where it is not that."""
    if kind is bool:
        return TRUTHS.get(value.lower())
    try:
        decoded: object = json.loads(value)
    except ValueError:
        return None
    return decoded if type(decoded) is kind else None
