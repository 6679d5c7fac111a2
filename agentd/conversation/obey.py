"""Obeys a command: acts once, answers, and records the delivery of the answer, which settles the command.

A command is pending until then, so the next run obeys one that a crash cut. An effect already on record (a `reset` or
an `undo`) is not repeated.
"""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from agentd.context.prompt import estimate_past
from agentd.conversation.commands import Room, help_text, start_text, status_text, unknown_text
from agentd.conversation.compacting import Compactor, past_of
from agentd.conversation.notices import STOPPED
from agentd.conversation.outbox import Outbox
from agentd.conversation.question import waiting_before
from agentd.conversation.turn import Turn
from agentd.conversation.wiring import Wiring
from agentd.transcript.records import Command, Failure, Record, Reset
from agentd.transcript.store import Session
from channels.markup.rich import RichText

__all__ = ["Scene", "obey"]

log = structlog.get_logger()


NEW_TEXT = "A new conversation. What was said before stays on disk."
ARGS_TEXT = " What you wrote after /new was not taken as a message: send it by itself."
UNDONE_TEXT = "The last summary is undone: what it stood for is back as it was said, as far as there is room."
NOTHING_TO_UNDO = "There is no summary to undo: this conversation is all as it was said."
CUT_TEXT = f"{NEW_TEXT} The reply that was under way is stopped."


@dataclass(frozen=True, slots=True)
class Scene:
    """What a command acts on: the session, its outbox and compactor, and the running turn, if any."""

    wiring: Wiring
    session: Session
    outbox: Outbox
    compactor: Compactor
    turn: Turn | None


async def obey(command: Command, scene: Scene) -> None:
    """Act, answer, and record both."""
    log.info("command_obeyed", session=scene.session.key.file_name, name=command.name, trace=command.trace)
    if command.name == "stop" and (scene.turn is not None or waiting_before(command, scene.session.view)):
        message_ids = await _stop(command, scene)
        if message_ids is not None:
            await scene.outbox.record_delivery(command.seq, message_ids)
        return
    answer = await _answer(command, scene)
    if answer is not None:
        await scene.outbox.deliver(scene.outbox.reply_to(command.seq), command.seq, answer)


async def _answer(command: Command, scene: Scene) -> str | RichText | None:
    """Act, and return the answer; None if it follows later, when the job is done."""
    match command.name:
        case "stop":
            return "There is no reply to stop."
        case "new":
            return await _begin_anew(command, scene) + (ARGS_TEXT if command.args else "")
        case "compact":
            return await _compact(command, scene)
        case "memory" | "remember" | "forget":
            from agentd.conversation.memorising import obey_memory  # imported here, like linking below: rarely used

            return await obey_memory(command, scene.wiring, scene.session)
        case "status":
            return _status(scene)
        case "link":
            from agentd.conversation.linking import answer_link

            return await answer_link(command, scene.session.key, scene.wiring)
        case _:
            return _explain(command.name)


async def _stop(command: Command, scene: Scene) -> tuple[str, ...] | None:
    """End the running turn, and everything that waits behind it; return the ids of the messages that say so.

    Return None if that is not possible yet: the reply that was cut has to be delivered first.
    """
    message_ids: tuple[str, ...] = ()
    if scene.turn is not None:
        scene.turn.cut("stopped")
        await scene.turn.ended.wait()
        message_ids = scene.turn.message_ids
    # Includes the turn's own messages if its ending could not be written to disk.
    answers = waiting_before(command, scene.session.view)
    if answers and scene.session.view.undelivered:
        return None
    if answers:
        message_ids += await _settle_stopped(answers, command, scene)
    return message_ids


async def _settle_stopped(answers: tuple[int, ...], command: Command, scene: Scene) -> tuple[str, ...]:
    failure = Failure(answers=answers, reason="stopped", told=True, notice=STOPPED, trace=command.trace)
    return await scene.outbox.settle(scene.outbox.reply_to(*answers), failure, STOPPED)


async def _begin_anew(command: Command, scene: Scene) -> str:
    """Settle everything before `/new` and append the reset, as one write; say if that cut a reply short."""
    if command.seq in scene.session.view.acted:
        return NEW_TEXT
    if scene.turn is not None:
        scene.turn.cut("superseded")
        await scene.turn.ended.wait()
    records: list[Record] = [Reset(reason="new", source=command.source)]
    waiting = waiting_before(command, scene.session.view)
    if waiting and scene.session.view.begun_for(waiting):
        await _settle_stopped(waiting, command, scene)  # what an earlier run showed of it does not go on
    elif waiting:
        records.insert(0, Failure(answers=waiting, reason="superseded", told=False, trace=command.trace))
    await scene.wiring.store.append(scene.session, *records)
    return CUT_TEXT if waiting or scene.turn is not None else NEW_TEXT


async def _compact(command: Command, scene: Scene) -> str | None:
    """Summarise the old turns, or undo the last summary; return None while a summary is being made."""
    match command.args.lower():
        case "":
            return scene.compactor.ask(command.seq)
        case "undo" if command.seq in scene.session.view.acted:
            return UNDONE_TEXT
        case "undo":
            summary = await scene.compactor.undo(command)
            return NOTHING_TO_UNDO if summary is None else UNDONE_TEXT
        case _:
            return f"/compact takes nothing behind it, or undo: I do not know “{command.args[:40]}”."


def _explain(name: str) -> str:
    """Return the text of `/help` or `/start`, or say that the command does not exist."""
    texts = {"help": help_text, "start": start_text}
    return texts[name]() if name in texts else unknown_text(name)


def _status(scene: Scene) -> str:
    compactor, view = scene.compactor, scene.session.view
    budget = compactor.extent.budget
    tokens = estimate_past(scene.wiring.settings.system_prompt, past_of(scene.session), budget)
    counted = int(tokens * compactor.factor), int(budget.tokens * compactor.factor)
    room = Room(*counted, compactor.fault, compactor.pause_seconds, compactor.is_busy)
    return status_text(view, room, model=scene.wiring.provider.model)
