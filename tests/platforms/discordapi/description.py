"""This module checks payloads against a third party's description, the types in discord.py (`discord.types`).

What they do not know is outside the description, whether the bot sends it or this server does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from types import NoneType, UnionType
from typing import Any, Final, Literal, Never, NotRequired, Required, Union, get_args, get_origin, get_type_hints

import typing_extensions

from tests.platforms.discordapi.library import described

EVENTS: Final[Mapping[str, Any]] = {
    "READY": described("gateway.ReadyEvent"),
    "GUILD_CREATE": described("guild.Guild"),
    "GUILD_DELETE": described("guild.UnavailableGuild"),
    "CHANNEL_CREATE": described("channel.TextChannel"),
    "CHANNEL_UPDATE": described("channel.TextChannel"),
    "CHANNEL_DELETE": described("channel.TextChannel"),
    "THREAD_CREATE": described("gateway.ThreadCreateEvent"),
    "THREAD_UPDATE": described("threads.Thread"),
    "THREAD_DELETE": described("gateway.ThreadDeleteEvent"),
    "MESSAGE_CREATE": described("message.Message"),
    "MESSAGE_UPDATE": described("message.Message"),
    "MESSAGE_DELETE": described("gateway.MessageDeleteEvent"),
    "MESSAGE_DELETE_BULK": described("gateway.MessageDeleteBulkEvent"),
    "INTERACTION_CREATE": described("interactions.ApplicationCommandInteraction"),
}
"""What an event of each kind holds."""

WITHOUT_NAME: Final = {"DMChannel": {"name"}, "InteractionDMChannel": {"name"}}
"""Fields that the types ask for, and that no such channel has (https://discord.com/developers/docs/resources/channel)."""

BESIDES: Final[Mapping[str, Mapping[str, Any]]] = {
    "ApplicationCommandInteraction": {
        "user": described("user.User"),
        "member": described("member.MemberWithUser"),
    },
    "_StringApplicationCommandOption": {"required": bool},
}
"""Fields that the types leave out, and that discord.py reads all the same."""

ALSO: Final[Mapping[tuple[str, str], Any]] = {
    ("ApplicationCommandInteraction", "channel"): described("threads.Thread"),
}
"""What a field may hold too, though the types leave it out: commands are used in threads."""


class NotDescribed(Exception):
    """This server was about to send something that the description does not know."""


def check(shape: Any, value: object, what: str) -> None:
    """Compare what this server is about to send with its description; raises NotDescribed."""
    for fault in faults(shape, value):
        raise NotDescribed(f"{what}: {fault}")


def check_event(kind: str, content: object) -> None:
    """Compare an event with its description; raises NotDescribed."""
    if kind in EVENTS:
        check(EVENTS[kind], content, kind)


def faults(shape: Any, value: object, path: str = "") -> Iterator[str]:
    """Yield what is wrong with a value, each fault with the place where it is."""
    origin, parts = get_origin(shape), get_args(shape)
    if shape is Any or shape is object:
        return
    if typing_extensions.is_typeddict(shape):
        yield from _faults_of_fields(shape, value, path)
    elif origin is list:
        yield from _faults_of_items(parts[0], value, path)
    elif origin is dict:
        yield from _faults_of_mapping(parts, value, path)
    elif origin is Literal:
        if not any(value == allowed and type(value) is type(allowed) for allowed in parts):
            yield _fault(path, f"{value!r} is none of {', '.join(map(repr, parts))}")
    elif origin in (Union, UnionType):
        found = [list(faults(part, value, path)) for part in parts]
        yield from min(found, key=len)
    elif not _is_a(shape, value):
        yield _fault(path, f"{_name(value)} is no {getattr(shape, '__name__', shape)}")


def _faults_of_items(shape: Any, value: object, path: str) -> Iterator[str]:
    if not isinstance(value, list):
        yield _fault(path, f"{_name(value)} is no list")
        return
    for number, item in enumerate(value):
        yield from faults(shape, item, f"{path}.{number}")


def _faults_of_fields(shape: Any, value: object, path: str) -> Iterator[str]:
    if not isinstance(value, Mapping):
        yield _fault(path, f"{_name(value)} is no object")
        return
    fields, required = _read_fields(shape)
    for name in sorted(value.keys() - fields.keys()):
        yield _fault(f"{path}.{name}", "unknown field")
    for name in sorted(required - value.keys()):
        yield _fault(f"{path}.{name}", "required")
    for name in sorted(fields.keys() & value.keys()):
        yield from faults(fields[name], value[name], f"{path}.{name}")


def _faults_of_mapping(parts: tuple[Any, ...], value: object, path: str) -> Iterator[str]:
    if not isinstance(value, Mapping):
        yield _fault(path, f"{_name(value)} is no object")
        return
    for name, item in value.items():
        yield from faults(parts[0], name, f"{path}.{name}")
        yield from faults(parts[1], item, f"{path}.{name}")


@cache
def _read_fields(shape: Any) -> tuple[dict[str, Any], frozenset[str]]:
    """Return the types of a description's fields, and the names of those that must be there."""
    hints = get_type_hints(shape, include_extras=True)
    fields: dict[str, Any] = dict(BESIDES.get(shape.__name__, {}))
    required: set[str] = set()
    for name, hint in hints.items():
        origin = get_origin(hint)
        is_marked = origin in (Required, NotRequired, typing_extensions.Required, typing_extensions.NotRequired)
        fields[name] = get_args(hint)[0] if is_marked else hint
        if (shape.__name__, name) in ALSO:
            fields[name] |= ALSO[shape.__name__, name]
        is_required = name in shape.__required_keys__
        if is_marked:
            is_required = origin in (Required, typing_extensions.Required)
        if is_required:
            required.add(name)
    return fields, frozenset(required - WITHOUT_NAME.get(shape.__name__, set()))


def _is_a(shape: Any, value: object) -> bool:
    if shape is Never:
        return False
    if shape is None or shape is NoneType:
        return value is None
    if shape is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if shape is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, shape)


def _fault(path: str, words: str) -> str:
    return f"{path.lstrip('.') or 'it'}: {words}"


def _name(value: object) -> str:
    return "null" if value is None else type(value).__name__
