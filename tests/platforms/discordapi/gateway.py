"""This module is the gateway: sessions that begin, break off and resume, and their events.

https://discord.com/developers/docs/events/gateway
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from aiohttp import web

from tests.platforms.discordapi import intents
from tests.platforms.discordapi.description import check_event, faults
from tests.platforms.discordapi.line import TIMED_OUT, UNDECODABLE, GatewayLine
from tests.platforms.discordapi.requests import Identify, Presence, Resume
from tests.platforms.discordapi.sessions import Session

HEARTBEAT: Final = 1
IDENTIFY: Final = 2
PRESENCE: Final = 3
RESUME: Final = 6
RECONNECT: Final = 7
INVALID_SESSION: Final = 9
HELLO: Final = 10
HEARTBEAT_ACK: Final = 11

COMMANDS: Final[Mapping[int, Any]] = {
    HEARTBEAT: int | None,
    IDENTIFY: Identify,
    PRESENCE: Presence,
    RESUME: Resume,
}
"""What a bot may send: https://discord.com/developers/docs/events/gateway-events#send-events."""

UNKNOWN_OPCODE, NOT_AUTHENTICATED, AUTHENTICATION_FAILED, ALREADY_AUTHENTICATED = 4001, 4003, 4004, 4005
INVALID_SEQ, INVALID_INTENTS, DISALLOWED_INTENTS = 4007, 4013, 4014
ENDING: Final = (1000, 1001, AUTHENTICATION_FAILED, INVALID_SEQ, TIMED_OUT, *range(4010, 4015))
"""A session does not outlive these."""

Written = Callable[[int], Mapping[str, Any] | None]
"""Writes an event for who has these intents; None where it is not for them."""


class Gateway:
    """All connections, and all sessions."""

    def __init__(
        self, is_token: Callable[[str], bool], refuse: Callable[[str], None], notice: Callable[[], None]
    ) -> None:
        """Call `refuse` with what a bot sends wrongly, and `notice` whenever something happens."""
        self.is_token = is_token
        """Tells whether a token is the bot's."""
        self.heartbeat_seconds = 41.25
        self.acknowledges = True
        """Whether heartbeats are answered."""
        self.resume_seconds = 120.0
        """How long a session is kept for a bot that comes back."""
        self.identify_seconds = 0.0
        """Between two beginnings of a session; the real gateway's are 5, and who comes earlier is turned away."""
        self.allowed = set(intents.PRIVILEGED)
        """The privileged intents that are switched on for the application."""
        self.only_greets = False
        """Whether a session hears nothing more once it is begun or goes on, though its connection stays open."""
        self.url = ""
        """Where it is."""
        self.greet: Callable[[Session], None] = lambda _session: None
        """Tells a new session what it begins with."""
        self.lines: set[GatewayLine] = set()
        self.sessions: dict[str, Session] = {}
        self.received: list[Mapping[str, Any]] = []
        """What bots have sent, but for heartbeats."""
        self.heartbeats = 0
        self.identified: list[float] = []
        """When sessions were begun, on a clock that only runs forward."""
        self.resumed = 0
        self.closed: list[int | None] = []
        """The codes that connections ended with."""
        self._refuse, self._notice = refuse, notice
        self._session_of: dict[GatewayLine, Session] = {}

    @property
    def is_connected(self) -> bool:
        """Whether a bot hears what happens."""
        return any(session.line is not None for session in self.sessions.values())

    def tell(self, kind: str, write: Written) -> None:
        """Let every session hear of an event, as far as it is for it; raises NotDescribed."""
        whole = write(intents.KNOWN)
        if whole is not None:
            check_event(kind, whole)
        for session in self._living():
            content = write(session.intents)
            if content is not None:
                session.tell(kind, content)
        self._notice()

    def tell_one(self, session: Session, kind: str, content: Mapping[str, Any]) -> None:
        """Let one session hear of an event; raises NotDescribed."""
        check_event(kind, content)
        session.tell(kind, content)

    def push_raw(self, payload: Mapping[str, Any]) -> None:
        """Let every session hear a payload just as it is, however wrong; it is numbered as the next event."""
        for session in self._living():
            session.tell_raw(payload)
        self._notice()

    def push_text(self, text: str) -> None:
        """Let every bot that is connected hear a frame just as it is, be it JSON or not."""
        for line in self.lines:
            line.send(text)

    def reconnect(self) -> None:
        """Ask every bot to connect again."""
        self._send_all(RECONNECT, None)

    def invalidate(self, *, can_resume: bool) -> None:
        """Tell every bot that its session is void, or that it may try to go on with it."""
        if not can_resume:
            self.forget_sessions()
        self._send_all(INVALID_SESSION, can_resume)

    def close(self, code: int = 4000) -> None:
        """Close every connection with a code."""
        for line in self.lines:
            line.close(code)

    def drop(self) -> None:
        """Break every connection where it is."""
        for line in self.lines:
            line.abort()

    def mute(self) -> None:
        """Let nothing more reach the bots that are connected now, and leave their connections open."""
        for line in self.lines:
            line.is_cut = True

    def forget_sessions(self) -> None:
        """Let no session be gone on with; what is connected hears no more."""
        for session in self.sessions.values():
            session.line = None
        self.sessions.clear()

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Serve a connection until it ends."""
        line = GatewayLine(request, time.monotonic)
        self.lines.add(line)
        line.send(_frame(HELLO, {"heartbeat_interval": int(self.heartbeat_seconds * 1000)}))
        self._notice()
        try:
            return await line.serve(lambda text: self._take(line, text), 2 * self.heartbeat_seconds)
        finally:
            self.lines.discard(line)
            self.closed.append(line.close_code)
            self._leave(line)
            self._notice()

    def _leave(self, line: GatewayLine) -> None:
        session = self._session_of.pop(line, None)
        if session is None or session.line is not line:
            return
        session.line = None
        session.lost_at = time.monotonic()
        if line.close_code in ENDING:
            self.sessions.pop(session.id, None)

    def _living(self) -> list[Session]:
        """Return the sessions that hear of events, and forget those whose bots did not come back."""
        oldest = time.monotonic() - self.resume_seconds
        for session in list(self.sessions.values()):
            if session.line is None and session.lost_at < oldest:
                del self.sessions[session.id]
        return list(self.sessions.values())

    def _send_all(self, op: int, content: object) -> None:
        for line in self.lines:
            line.send(_frame(op, content))

    def _take(self, line: GatewayLine, text: str) -> None:
        """Act on what a bot has sent."""
        try:
            sent = json.loads(text)
            op, content = sent["op"], sent["d"]
        except (ValueError, TypeError, KeyError):
            return self._refuse_line(line, UNDECODABLE, "a frame that is no payload")
        if op not in COMMANDS:
            return self._refuse_line(line, UNKNOWN_OPCODE, f"opcode {op}")
        for fault in faults(COMMANDS[op], content):
            return self._refuse_line(line, UNDECODABLE, f"opcode {op}: {fault}")
        if op == HEARTBEAT:
            self.heartbeats += 1
            if self.acknowledges:
                line.send(_frame(HEARTBEAT_ACK, None))
        else:
            self.received.append(sent)
            self._command(line, op, content)
        return self._notice()

    def _command(self, line: GatewayLine, op: int, content: Mapping[str, Any]) -> None:
        if op == PRESENCE:
            if line not in self._session_of:
                self._refuse_line(line, NOT_AUTHENTICATED, "opcode 3 before a session")
        elif line in self._session_of:
            self._refuse_line(line, ALREADY_AUTHENTICATED, f"opcode {op} in a session")
        elif not self.is_token(content["token"]):
            line.close(AUTHENTICATION_FAILED)
        elif op == IDENTIFY:
            self._identify(line, content["intents"])
        else:
            self._resume(line, content["session_id"], content["seq"])

    def _identify(self, line: GatewayLine, wanted: int) -> None:
        if wanted & ~intents.KNOWN:
            return self._refuse_line(line, INVALID_INTENTS, f"intents {wanted:#x}")
        if any(wanted & bit and bit not in self.allowed for bit in intents.PRIVILEGED):
            return line.close(DISALLOWED_INTENTS)
        now = time.monotonic()
        if self.identified and now - self.identified[-1] < self.identify_seconds:
            return line.send(_frame(INVALID_SESSION, False))
        session = Session(secrets.token_hex(16), wanted)
        self.sessions[session.id] = session
        self._join(line, session)
        self.identified.append(now)
        self.greet(session)
        line.is_cut = line.is_cut or self.only_greets

    def _resume(self, line: GatewayLine, session_id: str, seq: int) -> None:
        self._living()
        session = self.sessions.get(session_id)
        if session is None or not session.can_tell_again(seq):
            return line.send(_frame(INVALID_SESSION, False))
        if seq > session.seq:
            return line.close(INVALID_SEQ)
        self._join(line, session)
        for frame in session.missed(seq):
            line.send(frame)
        self.resumed += 1
        session.tell("RESUMED", {"_trace": []})
        line.is_cut = line.is_cut or self.only_greets
        return None

    def _join(self, line: GatewayLine, session: Session) -> None:
        """Let a session's events go to this connection, and end the one that they went to before."""
        if isinstance(session.line, GatewayLine):
            session.line.close(4000)
        session.line = line
        self._session_of[line] = session

    def _refuse_line(self, line: GatewayLine, code: int, words: str) -> None:
        self._refuse(f"gateway: {words}")
        line.close(code)
        self._notice()


def _frame(op: int, content: object) -> str:
    return json.dumps({"op": op, "d": content, "s": None, "t": None})
