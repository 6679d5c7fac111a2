"""This module checks the Bot API's calls and objects against a third party's description, aiogram's classes.

What they do not know is outside the description, whether the bot sends it or this server does.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final, get_args

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from tests.platforms.botapi import described_types
from tests.platforms.botapi.answers import Outside, Params

described_types.load()

import aiogram.methods  # noqa: E402 - it would build all types at its import
from aiogram.methods import TelegramMethod  # noqa: E402
from aiogram.types import Update  # noqa: E402

UPDATE_KINDS: Final = frozenset(Update.model_fields) - {"update_id"}
"""The names that `allowed_updates` may hold."""

Method = type[TelegramMethod[Any]]


def _read_methods() -> Iterator[tuple[str, Method]]:
    for name in aiogram.methods.__all__:
        found = getattr(aiogram.methods, name)
        if isinstance(found, type) and issubclass(found, TelegramMethod) and found is not TelegramMethod:
            yield str(found.__api_method__).lower(), found


METHODS: Final = dict(_read_methods())
"""By their names in lower case: the API does not distinguish case (https://core.telegram.org/bots/api#making-requests)."""


class NotDescribed(Exception):
    """This server was about to send something that the description does not know."""


def method_name(name: str) -> str:
    """Return a method's name as it is written; raises Outside."""
    if name.lower() not in METHODS:
        raise Outside(404, "Not Found: method not found")
    return str(METHODS[name.lower()].__api_method__)


def read_params(method: str, sent: Mapping[str, Any]) -> Params:
    """Return the parameters of a call, each of its type; raises Outside."""
    described = METHODS[method.lower()]
    for name, value in sent.items():
        if name not in described.model_fields:
            raise Outside(400, f"Bad Request: {method} has no parameter {name}")
        if _is_deprecated(described.model_fields[name]):
            raise Outside(400, f"Bad Request: {method} had a parameter {name}, which is deprecated")
        if value is None:
            raise Outside(400, f"Bad Request: null is no value of {name}")
    values = {name: _decode(described.model_fields[name], value) for name, value in sent.items()}
    try:
        read = described.model_validate({name: value for name, value in values.items() if value is not None})
    except ValidationError as fault:
        raise Outside(400, f"Bad Request: {_first_fault(fault)}") from fault
    if strangers := list(_strangers(read)):
        raise Outside(400, f"Bad Request: unknown field {strangers[0]}")
    return read.model_dump(mode="json", exclude_unset=True)


def check_result(method: str, result: object) -> None:
    """Compare what a method is about to return with its description; raises NotDescribed."""
    _check(_returned_by(method), result)


def check_update(update: Mapping[str, Any]) -> None:
    """Compare an update with its description; raises NotDescribed."""
    _check(_updates(), update)


@cache
def _returned_by(method: str) -> TypeAdapter[Any]:
    return TypeAdapter(METHODS[method.lower()].__returning__)


@cache
def _updates() -> TypeAdapter[Any]:
    return TypeAdapter(Update)


def _check(described: TypeAdapter[Any], value: object) -> None:
    try:
        read = described.validate_python(value)
    except ValidationError as fault:
        raise NotDescribed(_first_fault(fault)) from fault
    if strangers := list(_strangers(read)):
        raise NotDescribed(f"unknown field {strangers[0]}")


def _is_deprecated(field: FieldInfo) -> bool:
    extra = field.json_schema_extra
    return isinstance(extra, dict) and bool(extra.get("deprecated"))


def _decode(field: FieldInfo, value: object) -> object:
    """Decode a value that came as text and is to be something else; nothing at all means that it was not sent."""
    if not isinstance(value, str) or field.annotation is str or str in get_args(field.annotation):
        return value
    if not value:
        return None
    try:
        decoded: object = json.loads(value)
    except ValueError:
        return value
    return value if decoded is None else decoded


def _first_fault(fault: ValidationError) -> str:
    first = fault.errors(include_url=False)[0]
    return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"


def _strangers(value: object, path: str = "") -> Iterator[str]:
    """Yield the paths of the fields that their types do not have."""
    if isinstance(value, list):
        for number, item in enumerate(value):
            yield from _strangers(item, f"{path}.{number}")
    elif isinstance(value, BaseModel):
        for name in value.model_extra or ():
            yield f"{path}.{name}".lstrip(".")
        for name in type(value).model_fields:
            yield from _strangers(getattr(value, name), f"{path}.{name}")
