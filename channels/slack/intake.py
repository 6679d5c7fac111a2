"""This module takes Socket Mode frames, and acks each envelope once its message is on disk or there is nothing to keep.

A message that mentions the bot comes twice, as `message` and as `app_mention`: both are read alike and offered, and the
daemon recognises the second by its id. If keeping takes longer than Slack waits for an ack, none is sent: Slack
redelivers the message, which is recognised then.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import structlog

from channels.base import Author, FromPerson, InboundDelete, InboundEdit, InboundMessage
from channels.errors import Unreachable
from channels.health import Health
from channels.slack.assistant import Assistant
from channels.slack.catchup import CatchUp, Inquiry
from channels.slack.changes import Changes
from channels.slack.doors import Doors
from channels.slack.lanes import Lanes
from channels.slack.line import Line
from channels.slack.mrkdwn import mentioned, read_text
from channels.slack.offering import Offering
from channels.slack.parse import Ignored, Me, Opened, Reader, Said
from channels.slack.passing import Passing, kind_of
from channels.slack.people import People
from channels.slack.standing import Standing
from channels.slack.threads import Threads
from channels.slack.waits import Waits

__all__ = ["ELSEWHERE", "Desk", "Intake"]

log = structlog.get_logger()

ELSEWHERE = "I am not in this conversation, so I cannot answer here. Please write to me directly."
"""The answer to a command from where the bot is not: other people's direct messages, or a channel without it."""


@dataclass(frozen=True, slots=True)
class Desk:
    """The parts that the intake works with."""

    me: Me
    reader: Reader
    people: People
    threads: Threads
    assistant: Assistant
    doors: Doors
    offering: Offering
    health: Health
    standing: Standing
    waits: Waits


@dataclass(frozen=True, slots=True)
class _Envelope:
    """An envelope, which is acked on the line that it came on; `came` is when it came, by the channel's clock."""

    line: Line
    id: str
    came: float


class Intake:
    """Takes in what comes on any Socket Mode connection."""

    def __init__(self, desk: Desk, inquiry: Inquiry, tasks: asyncio.TaskGroup) -> None:
        """Prepare; work that must not delay the reading of frames runs in `tasks`."""
        self._desk = desk
        self._lanes: Lanes = inquiry.lanes
        self._tasks = tasks
        self._monotonic = desk.health.monotonic
        self._passing = Passing(desk.health)
        self._changes = Changes()
        self.catch_up = CatchUp(inquiry, partial(self._take_in, envelope=None))

    def alive(self) -> None:
        """Note a sign of life of a connection, and catch up on places that have room again."""
        self._desk.standing.alive()
        if self._lanes.readmit():
            self.catch_up.lost()
            self._tasks.create_task(self.catch_up.begin(), name="slack catch-up")

    async def take(self, line: Line, text: str) -> None:
        """Take a frame, whatever it is (https://docs.slack.dev/apis/events-api/using-socket-mode)."""
        try:
            frame = json.loads(text)
        except (ValueError, RecursionError):
            frame = None
        if not isinstance(frame, dict):
            self._passing.count("unparsable", "frame")
            return
        envelope_id = frame.get("envelope_id")
        match frame.get("type"):
            case "hello":
                line.greet(frame)
            case "disconnect":
                line.leave(str(frame.get("reason")))
            case kind if isinstance(envelope_id, str):
                await self._open(_Envelope(line, envelope_id, self._monotonic()), str(kind), frame.get("payload"))
            case kind:
                self._passing.count("other", kind_of(kind, None))

    async def _open(self, envelope: _Envelope, kind: str, payload: object) -> None:
        """Queue what is in an envelope; what the bot does not take in is counted and acked at once."""
        read = self._read(kind, payload)
        if isinstance(read, Said) and self._is_for_others(read):
            read = Ignored("unaddressed")
        if isinstance(read, Said):
            if self._lanes.is_full(read.address):
                self._lanes.leave_out(read.address)
                if read.kind == "message":
                    self.catch_up.owe(read.address, read.at)
                self._passing.count("overflow", kind_of(kind, payload))  # without an ack: it comes again, for a while
                return
            work = self._obey if read.kind == "command" else self._take_live
            self._lanes.put(read.address, partial(work, read, envelope))
            return
        if isinstance(read, Opened):
            self._tasks.create_task(self._desk.assistant.greet(read.address), name="slack assistant")
        else:
            self._passing.count(read.reason, kind_of(kind, payload))
        await envelope.line.ack(envelope.id)

    def _read(self, kind: str, payload: object) -> Said | Opened | Ignored:
        if kind not in ("events_api", "slash_commands"):
            return Ignored("other")
        if not isinstance(payload, dict):
            return Ignored("unparsable")
        if kind == "slash_commands":
            return self._desk.reader.read_command(payload, datetime.now(UTC))
        return self._desk.reader.read_event(payload)

    async def _take_live(self, said: Said, envelope: _Envelope) -> None:
        await self.catch_up.reach(said.address)
        await self._take_in(said, envelope)

    async def _take_in(self, said: Said, envelope: _Envelope | None) -> None:
        """Offer a message that is meant for the bot, and ack it once it is on disk; ack any other at once."""
        if said.is_direct:
            self._desk.doors.note(said.address.chat)
        now = self._as_it_stands(said)
        if now is None:
            self._passing.count("taken back", said.kind)
        elif not await self._is_meant(said):
            self._passing.count("unaddressed", said.kind)
        else:
            inbound = await self._inbound(now)
            await self._desk.offering.offer(inbound)
            if said.names_me and not said.is_direct:
                self._desk.threads.mention(said.address)
            if isinstance(inbound, InboundMessage):
                self._entitle(inbound)
        if envelope is not None:
            await self._ack(envelope)

    def _as_it_stands(self, said: Said) -> Said | None:
        """Return a message with an edit that came before it; None: it was deleted, and is not to be answered."""
        if said.kind == "message":
            return self._changes.apply(said)
        self._changes.note(said)
        return said

    def _entitle(self, first: InboundMessage) -> None:
        """Name an assistant thread after its first message, unless an earlier run may have named it already."""
        if self._desk.assistant.wants_title(first.address) and not self._desk.threads.knew(first.address):
            naming = self._desk.assistant.entitle(first.address, first.text)
            self._tasks.create_task(naming, name="slack title")

    async def _ack(self, envelope: _Envelope, payload: Mapping[str, Any] | None = None) -> None:
        if self._monotonic() - envelope.came <= self._desk.waits.ack_seconds:
            await envelope.line.ack(envelope.id, payload)
        else:
            self._desk.health.counts["late"] += 1

    def _is_for_others(self, said: Said) -> bool:
        """Tell whether a message is in a channel outside of threads, and not meant for the bot."""
        is_root = not said.is_direct and said.address.thread == said.message_id
        return said.kind == "message" and is_root and not said.names_me and self._desk.reader.channels != "all"

    async def _is_meant(self, said: Said) -> bool:
        """Tell whether a message is meant for the bot; edits and deletions of other messages find no conversation."""
        if said.kind != "message" or said.is_direct or said.names_me or self._desk.reader.channels == "all":
            return True
        return await self._desk.threads.is_open(said.address)

    async def _obey(self, said: Said, envelope: _Envelope) -> None:
        """Offer a command once, without retries: Slack does not redeliver it, and its sender is told if it failed."""
        await self.catch_up.reach(said.address)
        is_in_dm = said.is_direct
        is_own = await self._desk.doors.is_own(said.address.chat)
        if is_own is False:
            self._passing.count("elsewhere", said.kind)
            text = ELSEWHERE
        else:
            said = replace(said, is_direct=is_in_dm and is_own is True)
            fault = await self._desk.offering.offer_once(await self._inbound(said))
            where = "" if is_in_dm else " In a thread, write it there with a ! instead, such as !new."
            text = fault or f"{said.text.split()[0]} it is.{where}"
        await self._ack(envelope, {"response_type": "ephemeral", "text": text})

    async def _inbound(self, said: Said) -> FromPerson:
        author = await self._author(said)
        names = await self._desk.people.learn(user for user in mentioned(said.text) if user != self._desk.me.user)
        text = said.text
        if said.kind != "command":
            words = read_text(said.text, self._desk.me.user, {**names, self._desk.me.user: self._desk.me.name})
            text = self._desk.reader.command_in(words)
        place, is_direct = said.address, said.is_direct
        match said.kind:
            case "edit":
                return InboundEdit(place, author, said.message_id, said.at, text, is_direct)
            case "delete":
                return InboundDelete(place, author, said.message_id, said.at, is_direct)
            case _:
                return InboundMessage(
                    place, author, said.message_id, said.at, text, files=said.files, is_direct=is_direct
                )

    async def _author(self, said: Said) -> Author:
        """Return the author; if the allow list needs the name, wait until Slack tells it."""
        tries = 0
        while True:
            try:
                return await self._desk.people.author(said.user, said.name)
            except Unreachable as fault:
                log.warning("author_not_known", channel="slack", fault=str(fault))
                await asyncio.sleep(self._desk.waits.refused.after(tries))
                tries += 1
