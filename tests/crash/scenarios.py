"""This module lists the scenarios of the kill matrix: short conversations, each with its own conditions at the end.

A scenario waits for what it caused and never for a time. Where the model is held back, a daemon that was killed
meanwhile cannot take in more before it has finished what it left: then the scenario goes on.
"""

from __future__ import annotations

import asyncio
import errno
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tests.crash.faults import Fault
from tests.crash.world import Kill, Staging, World

MINUTE_SECONDS = 60
STALE_SECONDS = 2 * 3600

LATER_SECONDS = 300

UNITS = 120
WORDS = 40
"""An answer with so many more words is of three parts of so many units."""


PLAIN = Staging()
IN_PARTS = Staging(most_units=UNITS)
ONLY_ONCE = Staging(replays=False)
LATER = Staging(clock_shifts_seconds=(0, LATER_SECONDS))
"""By then Discord has forgotten the nonces of the run before."""

BAD_FILE = Fault(call="fsync", code=errno.EIO, file="~7~~7.jsonl", times=1_000_000, only_old=True)
"""The file of the one session cannot be flushed; what takes its place can."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """A conversation; `before` are kills that it begins with, so that the rows are those of the run after them."""

    name: str
    play: Callable[[World], Awaitable[None]]
    staging: Staging = PLAIN
    before: tuple[Kill, ...] = ()
    asks_alike: bool = True
    """Whether every run asks the model equally often, so that it can be killed at each time."""


async def one_message(world: World) -> None:
    """Say one thing."""
    world.post("one")
    await world.settled()


async def two_messages(world: World) -> None:
    """Say one thing after another."""
    world.post("one")
    await world.settled()
    world.post("two")
    await world.settled()


async def long_reply(world: World) -> None:
    """Say one thing, and get an answer of three parts."""
    world.model.words = WORDS
    world.post("one")
    await world.settled()


async def collected(world: World) -> None:
    """Say another thing before anything is visible of the answer to the first."""
    world.model.open.clear()
    world.post("one")
    await world.until(lambda: world.was_killed or len(world.model.requests) >= 1)
    world.post("two")
    await world.until(lambda: world.was_killed or len(world.model.requests) >= 2)
    await world.taken()
    world.model.open.set()
    await world.settled()


async def begun_anew(world: World) -> None:
    """Begin a new conversation between two messages."""
    world.post("one")
    await world.settled()
    world.post("/new")
    await world.settled()
    world.post("two")
    await world.settled()


async def cut_by_new(world: World) -> None:
    """Begin a new conversation while the answer is being made."""
    world.model.open.clear()
    world.post("one")
    await world.until(lambda: world.was_killed or len(world.model.requests) >= 1)
    world.post("/new")
    await world.until(lambda: world.was_killed or "A new conversation" in " ".join(world.shown))
    await world.taken()
    world.model.open.set()
    await world.settled()
    world.post("two")
    await world.settled()


async def cut_midway(world: World) -> None:
    """Begin a new conversation while half of the answer is on the screen."""
    await _half_of_an_answer(world)
    world.post("/new")
    await world.until(lambda: world.was_killed or "A new conversation" in " ".join(world.shown))
    await world.taken()
    world.model.open_midway.set()
    await world.settled()
    world.post("two")
    await world.settled()


async def stopped_midway(world: World) -> None:
    """Stop the answer while half of it is on the screen."""
    await _half_of_an_answer(world)
    world.post("/stop")
    await world.until(lambda: world.was_killed or world.is_settled())
    world.model.open_midway.set()
    await world.settled()


async def _half_of_an_answer(world: World) -> None:
    world.model.open_midway.clear()
    world.post("one")
    await world.until(lambda: world.was_killed or world.has_passed("after sent 0"))
    await world.taken()


async def retried(world: World) -> None:
    """Ask for the answer once more."""
    world.post("one")
    await world.settled()
    world.post("/retry")
    await world.settled()


async def retried_long(world: World) -> None:
    """Ask once more, and get fewer parts than before."""
    world.model.words = WORDS
    world.post("one")
    await world.settled()
    world.model.words = 0
    world.post("/retry")
    await world.settled()


async def refused(world: World) -> None:
    """Say something that the model's provider refuses to answer."""
    world.model.refuses = True
    world.post("one")
    await world.settled()


async def stale(world: World) -> None:
    """Have said something hours before the daemon starts."""
    world.post("one", at=time.time() - STALE_SECONDS)
    await world.settled()


async def edited(world: World) -> None:
    """Change a message that waits for its turn."""
    world.model.open.clear()
    world.post("one")
    await world.until(lambda: world.was_killed or len(world.model.requests) >= 1)
    waiting = world.post("two")
    await world.taken()
    world.post_edit(waiting, "two, but better")
    await world.taken()
    world.model.open.set()
    await world.settled()


async def missed(world: World) -> None:
    """Say something while no daemon runs, and more while the next one asks for that.

    Minutes lie between, since whoever asks for what was missed looks some seconds further back.
    """
    now, asked = time.time(), asyncio.Event()
    world.post("one", at=now - 2 * MINUTE_SECONDS)
    await world.until_killed(1)
    world.post("two", at=now - MINUTE_SECONDS)
    world.platform.delay("history", asked)
    world.model.open.clear()
    await world.until(lambda: len(world.left) >= 2 or world.is_alive())
    world.post("three")
    asked.set()
    await world.until(lambda: len(world.left) >= 2 or (world.is_taken() and world.asked >= 1))
    world.model.open.set()
    await world.settled()


async def with_a_file(world: World) -> None:
    """Send a file with a text."""
    world.post("one", file=b"what the file says")
    await world.settled()


async def pasted(world: World) -> None:
    """Paste a text that the person's client sends in two messages."""
    world.post("word " * 818 + "andmor")
    world.post("and its end")
    await world.settled()


ON_TELEGRAM = (
    Scenario("one message", one_message),
    Scenario("one message, shown only when whole", one_message, Staging(streams=False)),
    Scenario("a reply of three parts", long_reply, IN_PARTS),
    Scenario("two messages collected", collected),
    Scenario("a message, /new, a message", begun_anew),
    Scenario("/new while the answer is made", cut_by_new),
    Scenario("/new in the middle of the answer", cut_midway),
    Scenario("/stop in the middle of the answer", stopped_midway),
    Scenario("a message, /retry", retried),
    Scenario("a reply of three parts, /retry with one", retried_long, IN_PARTS),
    Scenario("the provider fails", refused),
    Scenario("a stale message", stale),
    Scenario("an edit of a waiting message", edited, Staging(agent="collect_window_ms = 0")),
    Scenario("a message with a file", with_a_file),
    Scenario("a paste of two messages", pasted),
    Scenario("killed again while a copy is sent", one_message, before=(Kill.inside("send", 1),)),
    Scenario(
        "killed again while a bad file is set aside",
        two_messages,
        Staging(faults=(BAD_FILE,), faulty_run=1),
        before=(Kill("after delivery"),),
    ),
    Scenario("killed again while parts are completed", long_reply, IN_PARTS, before=(Kill("after answer"),)),
)

WHOLE = Scenario("one message, shown only when whole", one_message, Staging(streams=False))
MISSED = "messages while nobody listens"
AFTER_ONE = (Kill("after delivery"),)

ON_DISCORD = (
    Scenario("one message", one_message),
    WHOLE,
    Scenario("a reply of three parts", long_reply, IN_PARTS),
    Scenario("two messages collected", collected),
    Scenario("a message, /new, a message", begun_anew),
    Scenario("/new in the middle of the answer", cut_midway),
    Scenario("/stop in the middle of the answer", stopped_midway),
    Scenario("a reply of three parts, /retry with one", retried_long, IN_PARTS),
    Scenario("the provider fails", refused),
    Scenario("a message with a file", with_a_file),
    Scenario(MISSED, missed, before=AFTER_ONE, asks_alike=False),
    Scenario("killed again while a part is sent anew", one_message, before=(Kill.inside("send", 1),)),
    Scenario("killed again while parts are completed", long_reply, IN_PARTS, before=(Kill("after answer"),)),
    Scenario("one message, started again after five minutes", one_message, LATER),
)

ON_SLACK = (
    Scenario("one message", one_message),
    WHOLE,
    Scenario("a reply of three parts", long_reply, IN_PARTS),
    Scenario("two messages collected", collected),
    Scenario("a message, /new, a message", begun_anew),
    Scenario("/new in the middle of the answer", cut_midway),
    Scenario("/stop in the middle of the answer", stopped_midway),
    Scenario("a reply of three parts, /retry with one", retried_long, IN_PARTS),
    Scenario("the provider fails", refused),
    Scenario("a stale message", stale),
    Scenario("an edit of a waiting message", edited, Staging(agent="collect_window_ms = 0")),
    Scenario("a message with a file", with_a_file),
    Scenario(MISSED, missed, before=AFTER_ONE, asks_alike=False),
    Scenario(f"{MISSED}, told of once", missed, ONLY_ONCE, before=AFTER_ONE, asks_alike=False),
    Scenario("killed again while a copy is sent", one_message, before=(Kill.inside("send", 1),)),
    Scenario("killed again while parts are completed", long_reply, IN_PARTS, before=(Kill("after answer"),)),
)

SCENARIOS = {"telegram": ON_TELEGRAM, "discord": ON_DISCORD, "slack": ON_SLACK}
"""All, by the channel's name."""

BRIEF = {
    "discord": ("a reply of three parts", MISSED),
    "slack": ("one message", f"{MISSED}, told of once"),
}
"""Those whose rows run with every test; Telegram's all do."""
