"""The gate between channels and router: enforces allow list, pairing and rate limit; nothing of a dropped message is
kept.

A dropped message gets a receipt that is settled, so that the channel confirms it to its platform like any other.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import structlog

from agentd.admission.allowing import AllowList
from agentd.admission.deciding import Verdict, decide
from agentd.admission.rate_limit import Person, RateLimiter, RateVerdict
from agentd.admission.settings import GateSettings
from agentd.errors import StorageError
from channels.base import Accept, Address, Author, FromPerson, Inbound, InboundMessage, InboundMove, Receipt

__all__ = ["Gate", "GateWiring", "Outcome", "Pairings", "pairing_text", "too_fast_text"]

Outcome = Literal["accepted", "refused", "limited"]

NOBODY = AllowList()

log = structlog.get_logger()


class Pairings(Protocol):
    """Keeps who was approved by the operator, and who asked to be."""

    def is_paired(self, channel: str, sender: str) -> bool:
        """Tell whether the operator has approved this person."""
        ...

    async def request(self, address: Address, author: Author) -> str | None:
        """Return the pairing code to show to a stranger; None if it was shown already, or too many strangers wait.

        Raises StorageError if it cannot be stored.
        """
        ...

    async def note_shown(self, code: str) -> None:
        """Record that the stranger was shown this code. Raises StorageError."""
        ...


class _Dropped:
    """The receipt for a dropped message."""

    async def settled(self) -> None:
        """Return at once."""


DROPPED: Receipt = _Dropped()


@dataclass(frozen=True, slots=True)
class GateWiring:
    """The gate's dependencies, passed in by the composition root."""

    settings: GateSettings
    allowed: Mapping[str, AllowList]
    """The allow list of each channel; a channel without one lets in the paired only."""
    unlimited: frozenset[str]
    """Channels without a rate limit."""
    pairings: Pairings
    forward: Accept
    """Passes on what was let in (to the router)."""
    tell: Callable[[Address, str], Awaitable[bool]]
    """Sends a notice outside of any conversation, and returns whether it arrived."""
    count: Callable[[str, Outcome], None]
    """Counts a message of a channel by its outcome."""
    monotonic: Callable[[], float]


class Gate:
    """Lets in allowed and paired people, at the permitted message rate."""

    def __init__(self, wiring: GateWiring) -> None:
        """Begin with no message counted."""
        self._wiring = wiring
        self._settings = wiring.settings
        self._limiter = RateLimiter(wiring.settings.messages_per_minute)
        self._offering: set[Person] = set()
        """Strangers to whom a code is being sent right now."""

    def change(self, settings: GateSettings, allowed: Mapping[str, AllowList]) -> None:
        """Use other settings and allow lists from the next message on (a reload)."""
        self._wiring = replace(self._wiring, settings=settings, allowed=allowed)
        self._settings = settings
        self._limiter.change(settings.messages_per_minute)

    async def accept(self, inbound: Inbound) -> Receipt:
        """Pass on what is let in, and drop the rest. Raises what the router raises."""
        if isinstance(inbound, InboundMove):
            return await self._wiring.forward(inbound)
        match self._decide(inbound):
            case Verdict.ACCEPT:
                receipt = await self._wiring.forward(inbound)
                self._count(inbound, "accepted")
                return receipt
            case Verdict.WARN | Verdict.DROP as verdict:
                self._count(inbound, "limited")
                await self._limit(inbound, is_news=verdict is Verdict.WARN)
            case Verdict.REFUSE | Verdict.OFFER as verdict:
                self._count(inbound, "refused")
                _log_dropped("message_refused", inbound)
                if verdict is Verdict.OFFER:
                    await self._offer(inbound.address, inbound.author)
        return DROPPED

    def _decide(self, inbound: FromPerson) -> Verdict:
        channel, author = inbound.address.channel, inbound.author
        is_allowed = self._wiring.allowed.get(channel, NOBODY).admits(author) or self._wiring.pairings.is_paired(
            channel, author.id
        )
        return decide(inbound, is_allowed=is_allowed, offers_codes=self._settings.pairing, judge=self._judge)

    def _judge(self, message: InboundMessage) -> RateVerdict:
        if message.address.channel in self._wiring.unlimited:
            return RateVerdict.ADMIT
        key = (message.address.chat, message.message_id)
        return self._limiter.judge(_person(message), key, message.sent_at, self._wiring.monotonic())

    async def _limit(self, inbound: FromPerson, *, is_news: bool) -> None:
        _log_dropped("message_limited", inbound)
        if is_news and not await self._wiring.tell(inbound.address, too_fast_text(self._settings.messages_per_minute)):
            self._limiter.unwarn(_person(inbound))

    async def _offer(self, address: Address, stranger: Author) -> None:
        """Send a stranger their pairing code, once; if it does not arrive, their next message triggers another try."""
        person = (address.channel, stranger.id)
        if person in self._offering:
            return
        self._offering.add(person)
        try:
            code = await self._wiring.pairings.request(address, stranger)
            if code is not None and await self._wiring.tell(address, pairing_text(code)):
                await self._wiring.pairings.note_shown(code)
        except StorageError as fault:
            log.error("pairing_not_kept", channel=address.channel, sender=stranger.id, fault=str(fault))
        finally:
            self._offering.discard(person)

    def _count(self, inbound: FromPerson, outcome: Outcome) -> None:
        if isinstance(inbound, InboundMessage):
            self._wiring.count(inbound.address.channel, outcome)


def pairing_text(code: str) -> str:
    """Return the text that shows a stranger the code and says what to do with it."""
    return (
        f"I do not know you yet, so I have not kept what you wrote. Your code is {code}. Within an hour, whoever runs "
        f"me can let you in with: agentd pair approve {code}"
    )


def too_fast_text(per_minute: int) -> str:
    """Return the text that says that messages are dropped, and when to go on."""
    return (
        f"You write faster than I take ({per_minute} messages a minute): I drop this message, and those that follow "
        "as fast. Wait a minute, then send again what matters."
    )


def _log_dropped(event: str, inbound: FromPerson) -> None:
    """Log a dropped message; this line, with the platform's message id, is its only trace."""
    to = inbound.address
    log.info(event, channel=to.channel, chat=to.chat, sender=inbound.author.id, message=inbound.message_id)


def _person(inbound: FromPerson) -> Person:
    return inbound.address.channel, inbound.author.id
