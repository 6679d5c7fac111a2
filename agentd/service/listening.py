"""Resolves the address of the metrics port, and tells whether other machines can reach it."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from ipaddress import ip_address

__all__ = ["Place", "find_place"]


@dataclass(frozen=True, slots=True)
class Place:
    """An address that a server can bind."""

    family: int
    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Tell whether only this machine can reach it."""
        return ip_address(self.host).is_loopback


def find_place(listen: str) -> Place:
    """Return the first address that `HOST:PORT` resolves to. Raises OSError and UnicodeError."""
    host, _, port = listen.rpartition(":")
    found = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, *_, address = found[0]
    return Place(family, str(address[0]), int(address[1]))
