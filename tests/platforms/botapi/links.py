"""This module decides which addresses a link may have, as the Bot API's server does."""

from __future__ import annotations

import re
from typing import Final

HOST: Final = re.compile(r"(?:[\w.\-!$,~*'();&+=]|[^\x00-\x7f]|%[0-9A-Fa-f]{2})*", re.ASCII)
USER: Final = re.compile(r"(?:[\w.\-!$,~*'();&+=:]|[^\x00-\x7f]|%[0-9A-Fa-f]{2})*", re.ASCII)
OWN: Final = re.compile(r"(tg|ton|tonsite):(?://)?", re.IGNORECASE)
"""The schemes of Telegram's own."""
PORT: Final = re.compile(r":([^:@\]]*)\Z")


class WrongLink(Exception):
    """No link can have this address."""


def read_link(address: str) -> str:
    """Return an address as the server keeps it; raises WrongLink with the server's words."""
    own = OWN.match(address)
    rest = address[own.end() :] if own else address
    try:
        scheme, user, host, port, path = _take_apart(rest)
        if own:
            return _own_link(own[1].lower(), scheme, host, path, is_plain=not (user or port))
        _check_web_host(host)
    except WrongLink as fault:
        raise WrongLink(f"URL '{address}' is invalid: {fault}") from fault
    return f"{scheme or 'http'}://{user}{'@' if user else ''}{host}{f':{port}' if port else ''}{path}"


def _take_apart(address: str) -> tuple[str, str, str, int, str]:
    scheme, separator, rest = address.partition("://")
    if not separator or re.search(r"[:/?#@\[\]]", scheme):
        scheme, rest = "", address
    elif scheme.lower() not in ("http", "https"):
        raise WrongLink("Unsupported URL protocol")
    end = re.search(r"[/?#]", rest)
    where, path = (rest[: end.start()], rest[end.start() :]) if end else (rest, "")
    port = 0
    if (found := PORT.search(where)) and found.start():
        where, port = where[: found.start()], _read_port(found[1])
    user, _, host = where.rpartition("@")
    _check_host(host)
    if not USER.fullmatch(user):
        raise WrongLink("Disallowed character in URL userinfo")
    return scheme.lower(), user, host.lower(), port, _read_path(path)


def _read_port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 1 << 16):
        raise WrongLink("Wrong port number specified in the URL")
    return int(text)


def _check_host(host: str) -> None:
    if not host:
        raise WrongLink("URL host is empty")
    if host == ".":
        raise WrongLink("Host is invalid")
    if host.startswith("[") and host.endswith("]"):
        if not re.fullmatch(r"[0-9a-fA-F:.]*:[0-9a-fA-F:.]*", host[1:-1]):
            raise WrongLink("Wrong IPv6 address specified in the URL")
    elif not HOST.fullmatch(host):
        wrong = "Wrong percent-encoded symbol" if "%" in host else "Disallowed character"
        raise WrongLink(f"{wrong} in URL host")


def _check_web_host(host: str) -> None:
    if "." not in host and not host.startswith("["):
        raise WrongLink("Wrong HTTP URL")


def _read_path(path: str) -> str:
    path = path.rstrip(" \t\r\n\v\f\0") or "/"
    written = "".join(f"%{ord(character):02X}" if character <= " " else character for character in path)
    return written if written.startswith("/") else f"/{written}"


def _own_link(own: str, scheme: str, host: str, path: str, *, is_plain: bool) -> str:
    if scheme or not is_plain or host.startswith("["):
        raise WrongLink(f"Wrong {'tg' if own == 'tg' else 'ton'} URL")
    if not re.fullmatch(r"[\w.-]+" if own == "tonsite" else r"[\w-]+", host, re.ASCII):
        raise WrongLink("Unallowed characters in URL host")
    return f"{own}://{host}{path[1:] if path.startswith('/?') else path}"
