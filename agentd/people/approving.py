"""Answers `agentd pair` in a running daemon, so that it knows of an approval at once and can tell the person."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict

import msgspec
import structlog

from agentd.errors import AgentdError
from agentd.service.control import Caller, Handler
from agentd.state.pairings import Approved, Pairings
from channels.base import Address

__all__ = ["APPROVED", "Approving", "say_approved", "say_revoked"]

APPROVED = "You may talk to me now. I have not kept what you wrote before: send it again."

log = structlog.get_logger()


class _List(msgspec.Struct):
    paired: bool


class _Approve(msgspec.Struct):
    code: str


class _Revoke(msgspec.Struct):
    channel: str
    sender: str


class Approving:
    """Serves the commands `pair list`, `pair approve` and `pair revoke` on the control socket."""

    def __init__(self, pairings: Pairings, tell: Callable[[Address, str], Awaitable[bool]]) -> None:
        """Use these pairings; `tell` sends a notice to a person, and returns whether it arrived."""
        self._pairings = pairings
        self._tell = tell

    @property
    def handlers(self) -> dict[str, Handler]:
        """Return the commands by their names on the control socket."""
        return {"pair list": self._list, "pair approve": self._approve, "pair revoke": self._revoke}

    async def _list(self, request: Mapping[str, object], caller: Caller) -> int:
        for entry in await self._pairings.entries(paired=msgspec.convert(request, _List).paired):
            await caller.say(json.dumps(asdict(entry)))
        return 0

    async def _approve(self, request: Mapping[str, object], caller: Caller) -> int:
        approved = await self._pairings.approve(msgspec.convert(request, _Approve).code)
        log.info("person_approved", channel=approved.address.channel, sender=approved.sender)
        is_told = await self._tell(approved.address, APPROVED)
        await caller.say(say_approved(approved, is_told=is_told))
        return 0

    async def _revoke(self, request: Mapping[str, object], caller: Caller) -> int:
        wanted = msgspec.convert(request, _Revoke)
        removed = await self._pairings.revoke(wanted.channel, wanted.sender)
        await caller.say(say_revoked(wanted.channel, wanted.sender, removed=removed))
        log.info("person_revoked", channel=wanted.channel, sender=wanted.sender)
        return 0


def say_approved(approved: Approved, *, is_told: bool) -> str:
    """Say to the operator who may talk now; the name is as its owner wrote it."""
    told = "and has been told" if is_told else "and has not been told: write to them that they may"
    return f"{approved.address.channel}:{approved.sender} ({approved.name}) may talk now, {told}."


def say_revoked(channel: str, sender: str, *, removed: bool) -> str:
    """Say to the operator whose approval was revoked. Raises AgentdError if there was none."""
    person = f"{channel}:{sender}"
    if not removed:
        raise AgentdError(f"{person} was not approved: agentd pair list --paired shows who was")
    return f"{person} is no longer approved, and may talk only if the configuration allows it."
