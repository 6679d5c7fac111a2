"""This module is the world of one run, which outlives every process, and runs its lives one after another."""

from __future__ import annotations

import gc
import itertools
from datetime import UTC, datetime, timedelta
from random import Random

from agentd.providers.base import CompletionRequest
from channels.base import Address, Author, FromPerson, InboundDelete, InboundEdit, InboundMessage
from tests.simulation.chat import Platform, Update
from tests.simulation.dice import dice
from tests.simulation.disk import Storage
from tests.simulation.history import History
from tests.simulation.kept import Kept
from tests.simulation.line import CHANNEL
from tests.simulation.model import Asked
from tests.simulation.script import Deed, Script
from tests.simulation.watch import Watch

__all__ = ["START", "World"]

START = datetime(2026, 1, 1, 12, tzinfo=UTC)

ERRORS = {
    "flush": 5,
    "write": 5,
    "truncate": 5,
    "open": 24,
    "pread": 5,
    "read": 13,
    "scandir": 5,
    "flush the folder": 5,
}
"""What these calls fail with, once: EIO, EMFILE, EACCES."""


class World:
    """Disk, platform, people and time."""

    def __init__(self, script: Script) -> None:
        """Begin before the first life."""
        self.script = script
        self.history = History()
        self.faults: list[str] = []
        """What did not hold."""
        self.now = 0.0
        self.life = 0
        self.boots = 1
        self.has_lost_power = False
        """Whether power was lost since the last life."""
        self.clock_skew = timedelta(0)
        self.storage = Storage(dice(script.seed, "disk"))
        self.kept = Kept(dice(script.seed, "marks"))
        self.platform = Platform(script.manners, dice(script.seed, "platform"))
        self.model_dice: Random = dice(script.seed, "model")
        self.numbers = itertools.count(1)
        self.asked: list[tuple[Asked, str, int]] = []
        """Requests, with the session's file and how many records it had."""
        self.spoiled: set[str] = set()
        """Files of which a call failed."""
        self.cut_lives: set[int] = set()
        """Lives that ended in the middle of something."""
        self.torn: dict[str, int] = {}
        """How many damaged lines a file has that crashes may have left."""
        self.watch = Watch(self.storage, self.platform, script.scope, self.fail)
        self.is_calm = False
        self._deeds = list(script.deeds)
        self._said: dict[int, list[Update]] = {}
        self._ids = itertools.count(1)
        self._revisions = itertools.count(2)

    def note(self, what: str, *details: object) -> None:
        """Add a line to the playbook."""
        self.history.add(self.now, self.life, what, *details)

    def fail(self, text: str) -> None:
        """Keep that something did not hold."""
        self.faults.append(text)
        self.note("WRONG", text)

    def clock(self) -> datetime:
        """Return the time as the daemon's machine has it: it may be set back."""
        return self._time() + self.clock_skew

    def next_deed_at(self) -> float | None:
        """Return when the script goes on; None at its end."""
        return self._deeds[0].at if self._deeds else None

    def act(self) -> None:
        """Do what the script has for now."""
        while self._deeds and self._deeds[0].at <= self.now:
            deed = self._deeds.pop(0)
            if deed.kind == "say":
                self._say(deed)
            elif deed.kind in ("edit", "delete"):
                self._revise(deed)
            elif not self.is_calm:
                self._trouble(deed)

    def heal(self) -> None:
        """Let nothing go wrong any more."""
        self.is_calm = self.platform.is_calm = True
        self.storage.faults.heal()
        self.platform.is_away = False

    def is_asked(self, asked: Asked, request: CompletionRequest) -> None:
        """Look at a request to the model, and keep it for the end."""
        roles = [message.role for message in request.messages]
        if roles[0] != "system" or roles[-1] != "user" or len(roles) % 2:
            self.fail(f"request #{asked.number} has the roles {roles}")
        words = [token for group in (asked.summary, *asked.earlier, asked.newest) for token in group]
        if not words:
            return
        files = {self._file_of(word) for word in words}
        if len(files) > 1:
            self.fail(f"request #{asked.number} holds words of several sessions: {sorted(words)}")
        name = self._file_of(words[-1])
        self.asked.append((asked, name, self.storage.seen(name).count(b"\n")))

    def _file_of(self, token: str) -> str:
        """Return the name of the session file that a person's words belong in."""
        person = next(person for person in self.script.people if person.name == token.split(".")[0])
        sender = person.name if self.script.scope == "sender" else ""
        return f"{CHANNEL}~bot~{person.chat}~~{sender}.jsonl"

    def _time(self) -> datetime:
        return START + timedelta(seconds=self.now)

    def _say(self, deed: Deed) -> None:
        said = self._said.setdefault(deed.who, [])
        token = f"«p{deed.who + 1}.{len(said) + 1}» "
        text = deed.text if deed.text.startswith("/") and deed.text[1:4] != "etc" else token + deed.text
        where, who = self._at(deed)
        inbound: FromPerson = InboundMessage(where, who, f"u{next(self._ids)}", self._time(), text)
        self.note("person", who.id, repr(text))
        said.append(self.platform.post(inbound))

    def _revise(self, deed: Deed) -> None:
        """Edit or take back one of the messages so far; mostly one of the newest."""
        said = self._said.get(deed.who, [])
        if not said:
            return
        number = len(said) - 1 - int(deed.amount**3 * len(said))
        message, (where, who) = said[number], self._at(deed)
        text = f"«p{deed.who + 1}.{number + 1}v{next(self._revisions)}» {deed.text}"
        inbound: FromPerson = InboundEdit(where, who, message.inbound.message_id, self._time(), text)
        if deed.kind == "delete":
            inbound = InboundDelete(where, who, message.inbound.message_id, self._time())
        self.note("person", who.id, deed.kind, message.inbound.message_id, repr(text) if deed.kind == "edit" else "")
        self.platform.post(inbound, message)

    def _at(self, deed: Deed) -> tuple[Address, Author]:
        person = self.script.people[deed.who]
        return Address(CHANNEL, "bot", person.chat), Author(person.name, person.name.title())

    def _trouble(self, deed: Deed) -> None:
        faults = self.storage.faults
        self.note("trouble", deed.kind, f"{deed.amount:.1f}")
        match deed.kind:
            case "disk full":
                faults.is_full = True
            case "disk unwritable":
                faults.refuses_writing.update(list(self.storage.names)[:1])
            case "disk short":
                faults.short_writes = 0.5
            case "away":
                self.platform.is_away = True
            case "clock":
                self.clock_skew += timedelta(seconds=deed.amount)
            case "collect":
                gc.collect()
            case "heal":
                faults.heal()
                self.platform.is_away = False
            case _:
                faults.once[deed.kind] = ERRORS[deed.kind]
        if deed.kind in ("disk full", "disk unwritable", "disk short", "away"):
            self._deeds.append(Deed(self.now + deed.amount, "heal"))
            self._deeds.sort(key=lambda later: later.at)
