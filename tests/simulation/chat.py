"""This module is a simulated chat platform that keeps what people see, and delivers messages at least once.

An update is offered again until the daemon has confirmed it and that got through; sometimes once more after that.
A call may be lost on its way, or its answer may be; be refused; be slow. Nothing that a dead process had begun
happens later, but for a request that was already under way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Literal

from channels.base import FromPerson, InboundEdit, InboundMessage

__all__ = ["CALM", "Fate", "Manners", "Platform", "Shown", "Update", "units"]

Fate = Literal["fine", "not sent", "request lost", "answer lost", "refused"]


@dataclass(frozen=True, slots=True)
class Manners:
    """How a platform behaves; the shares of calls that go wrong."""

    pushes: bool
    """Whether each update comes on its own, several at once, instead of one after the other."""
    nonce_seconds: float
    """How long a second send with the same nonce returns the first one's message and shows nothing new."""
    streams: bool
    most_units: int | None
    seconds: tuple[float, ...]
    """How long one way takes."""
    wrong: dict[Fate, float] = field(default_factory=dict)
    loses_acks: float = 0.0
    repeats: float = 0.0
    """Updates that are offered again although they were confirmed."""


CALM: dict[Fate, float] = {}


@dataclass(slots=True, eq=False)
class Update:
    """Something that a person did, until the platform knows that the daemon has it."""

    number: int
    inbound: FromPerson
    changes: Update | None = None
    """The message that this edits or takes back."""
    was_taken: bool = False
    """Whether `accept` returned for it once."""
    is_acked: bool = False

    @property
    def chat(self) -> str:
        """Return where it happened."""
        return self.inbound.address.chat

    def __str__(self) -> str:
        """Describe it for the playbook."""
        match self.inbound:
            case InboundMessage(text=text):
                return f"{self.inbound.message_id} {text!r}"
            case InboundEdit(text=text):
                return f"{self.inbound.message_id} edited to {text!r}"
            case _:
                return f"{self.inbound.message_id} deleted"


@dataclass(slots=True, eq=False)
class Shown:
    """One message of the daemon's, as people see it."""

    message_id: str
    chat: str
    text: str
    nonce: str
    life: int
    at: float
    confirmed: set[int] = field(default_factory=set)
    """The lives in which the daemon was given its id."""
    is_gone: bool = False


class Platform:
    """What outlives every process of the daemon."""

    def __init__(self, manners: Manners, dice: Random) -> None:
        """Begin with empty chats."""
        self.manners = manners
        self.dice = dice
        self.is_calm = False
        self.is_away = False
        self.updates: list[Update] = []
        self.shown: dict[str, Shown] = {}
        self.refused: set[str] = set()
        """Chats in which a call was refused for good."""
        self.listener: Callable[[Update], None] = _nobody
        self._by_nonce: dict[tuple[str, str], Shown] = {}

    def ignore(self) -> None:
        """Have nobody who listens."""
        self.listener = _nobody

    def post(self, inbound: FromPerson, changes: Update | None = None) -> Update:
        """Take what a person did, and offer it if somebody listens."""
        update = Update(len(self.updates) + 1, inbound, changes)
        self.updates.append(update)
        self.listener(update)
        return update

    def show(self, text: str, nonce: str, *, chat: str, life: int, now: float) -> Shown:
        """Show a message, unless it is known as the copy of one that stands there."""
        known = self._by_nonce.get((chat, nonce))
        if known is not None and now - known.at <= self.manners.nonce_seconds:
            return known
        shown = Shown(f"b{len(self.shown) + 1}", chat, text, nonce, life, now)
        self.shown[shown.message_id] = shown
        self._by_nonce[chat, nonce] = shown
        return shown

    def fate(self) -> Fate:
        """Draw what becomes of a call."""
        if self.is_away:
            return self.dice.choice(("not sent", "request lost"))
        roll = self.dice.random()
        for fate, share in (CALM if self.is_calm else self.manners.wrong).items():
            if roll < share:
                return fate
            roll -= share
        return "fine"

    def seconds(self) -> float:
        """Draw how long one way takes."""
        return 0.02 if self.is_calm else self.dice.choice(self.manners.seconds)

    def chance(self, share: float) -> bool:
        """Draw whether something happens that goes wrong now and then."""
        return not self.is_calm and self.dice.random() < share

    def forget_acks(self) -> None:
        """Let some of the newest confirmations be lost with the process that sent them."""
        for update in self.updates[-6:]:
            if update.is_acked and self.chance(self.manners.repeats):
                update.is_acked = False

    def on_screen(self, chat: str) -> list[Shown]:
        """Return what people see of the daemon there, oldest first."""
        return [shown for shown in self.shown.values() if shown.chat == chat and not shown.is_gone]


def units(text: str) -> int:
    """Return the length of a text as platforms count it."""
    return len(text.encode("utf-16-le")) // 2


def _nobody(update: Update) -> None:
    del update
