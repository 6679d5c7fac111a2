"""This module generates a seed's script: who does what and when, which faults occur, and how each life ends."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any

from agentd.conversation.commands import COMMANDS
from agentd.conversation.settings import AgentSettings
from tests.simulation.chat import Fate, Manners
from tests.simulation.dice import dice
from tests.simulation.model import Moods

__all__ = ["Deed", "LifeSpan", "Person", "Script", "write_script"]

TROUBLES = (
    *("disk full", "disk unwritable", "disk short", "away", "clock", "collect"),
    *("flush", "write", "truncate", "open", "pread", "read", "scandir", "flush the folder"),
)
"""The last line are system calls that fail once."""

SPAN_SECONDS = 40.0


@dataclass(frozen=True, slots=True)
class Person:
    """Who writes, and where."""

    name: str
    chat: str


@dataclass(frozen=True, slots=True)
class Deed:
    """Something that happens at a time, whether or not a process runs."""

    at: float
    kind: str
    who: int = 0
    text: str = ""
    amount: float = 0.0


@dataclass(frozen=True, slots=True)
class LifeSpan:
    """How long a process lives: it dies at a step if it comes so far, or is asked to end after some seconds."""

    seconds: float
    dies_at: int | None
    loses_power: bool
    down_seconds: float


@dataclass(frozen=True, slots=True)
class Script:
    """Everything about a run that is decided before it begins."""

    seed: int
    people: tuple[Person, ...]
    deeds: tuple[Deed, ...]
    lives: tuple[LifeSpan, ...]
    """Those before the last, which is a healthy one and lives until nothing is left to do."""
    manners: Manners
    moods: Moods
    settings: AgentSettings
    scope: str
    stale_after_minutes: float
    streams: bool
    slots: int
    drain_seconds: float
    job_seconds: tuple[float, ...]


def write_script(seed: int) -> Script:
    """Return the script of a seed."""
    draw = dice(seed, "script")
    people = _people(draw)
    lives = tuple(_life(draw) for _ in range(draw.choice((0, 1, 1, 2, 2, 3))))
    deeds = [deed for who in range(len(people)) for deed in _typing(draw, who)]
    deeds += [_trouble(draw) for _ in range(draw.choice((0, 0, 1, 2, 3)) if lives else 0)]
    return Script(
        seed=seed,
        people=people,
        deeds=tuple(sorted(deeds, key=lambda deed: deed.at)),
        lives=lives,
        manners=_manners(draw),
        moods=_moods(draw),
        settings=_settings(draw),
        scope=draw.choice(("sender", "sender", "chat")),
        stale_after_minutes=draw.choice((30, 30, 30, 1)),
        streams=draw.random() < 0.8,
        slots=draw.choice((16, 16, 16, 1)),
        drain_seconds=draw.choice((0.0, 1.0, 30.0)),
        job_seconds=draw.choice(((0.001,), (0.001, 0.004, 0.03), (0.002, 0.3, 1.5))),
    )


def _people(draw: Random) -> tuple[Person, ...]:
    many = draw.choice((1, 1, 2, 2, 3))
    together = many > 1 and draw.random() < 0.4
    return tuple(Person(f"p{i + 1}", "group" if together else f"dm-{i + 1}") for i in range(many))


def _typing(draw: Random, who: int) -> list[Deed]:
    now, deeds = draw.uniform(0, 5), []
    for _ in range(draw.randint(2, 7)):
        roll = draw.random()
        if roll < 0.6:
            deeds.append(Deed(now, "say", who, _words(draw)))
        elif roll < 0.8:
            names = [*COMMANDS, "stop", "new", "retry", "compact undo", "compact undo", "nonsense"]
            deeds.append(Deed(now, "say", who, f"/{draw.choice(names)}{draw.choice(('', '', ' and more', ' undo'))}"))
        else:
            kind = "delete" if draw.random() < 0.4 else "edit"
            deeds.append(Deed(now, kind, who, _words(draw), draw.random()))
        now += draw.choice((draw.uniform(0, 0.3), draw.uniform(0.2, 3), draw.uniform(3, 15)))
    return deeds


def _words(draw: Random) -> str:
    texts = (
        "good morning",
        "tell me more about it",
        'a "quoted" line\nand {"another": 1}',
        "/etc/hosts is a path",
        "日本語の文 and 👩‍👩‍👧 and \u2028",
        "long " * draw.randint(20, 120),
    )
    return draw.choice(texts)


def _trouble(draw: Random) -> Deed:
    kind = draw.choice(TROUBLES)
    amount = draw.choice((-7200.0, -60.0, -5.0, 600.0)) if kind == "clock" else draw.uniform(0.5, 15)
    return Deed(draw.uniform(0, SPAN_SECONDS), kind, amount=amount)


def _life(draw: Random) -> LifeSpan:
    dies = draw.random() < 0.85
    return LifeSpan(
        seconds=draw.uniform(2, SPAN_SECONDS),
        dies_at=draw.choice((draw.randint(1, 30), draw.randint(1, 120))) if dies else None,
        loses_power=draw.random() < 0.5,
        down_seconds=draw.choice((0.1, 3.0, 30.0, 30.0, 90.0, 3600.0)),
    )


def _manners(draw: Random) -> Manners:
    wrong: dict[Fate, float] = {}
    if draw.random() < 0.6:
        fates: tuple[Fate, ...] = ("not sent", "request lost", "answer lost", "refused")
        wrong = {fate: draw.choice((0, 0, 0.03, 0.15)) for fate in fates}
    return Manners(
        pushes=draw.random() < 0.4,
        nonce_seconds=draw.choice((0.0, 0.0, 0.0, 20.0, 120.0)),
        streams=draw.random() < 0.8,
        most_units=draw.choice((None, None, 120, 300)),
        seconds=draw.choice(((0.02,), (0.01, 0.1, 0.6), (0.05, 2.0))),
        wrong=wrong,
        loses_acks=draw.choice((0, 0.1, 0.3)),
        repeats=draw.choice((0, 0.2)),
    )


def _moods(draw: Random) -> Moods:
    shares: dict[str, Any] = {}
    if draw.random() < 0.5:
        names = ("fails", "breaks", "restarts", "hangs", "is_empty", "too_long", "filtered")
        shares = {name: draw.choice((0, 0, 0.1, 0.3)) for name in names}
    return Moods(
        **shares,
        most_words=draw.choice((3, 8, 60)),
        seconds=draw.choice(((0.02,), (0.02, 0.1, 0.4), (0.05, 1.0))),
    )


def _settings(draw: Random) -> AgentSettings:
    return AgentSettings(
        when_busy=draw.choice(("collect", "collect", "followup", "interrupt")),
        collect_window_ms=draw.choice((0, 300, 300, 2000)),
        mailbox_size=draw.choice((20, 20, 2)),
        idle_minutes=draw.choice((30, 0.02, 0.2)),
        turn_timeout_seconds=draw.choice((300, 20)),
        max_context_tokens=draw.choice((32_000, 32_000, 1_200)),
        max_history_messages=draw.choice((50, 6)),
        keep_recent_messages=2,
    )
