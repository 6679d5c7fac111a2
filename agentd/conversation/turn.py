"""One turn: builds the prompt from the waiting messages, streams the model's reply to the platform, and records both.

The provider may be cut off at any moment (`/stop`, a message that joins, the time limit); a call to the platform or to
the disk is not. A turn that ends leaves exactly one record, which settles its messages: a reply, whole or cut short, or
a failure that its sender is told of. Cut by a shutdown or refused by the disk, it leaves none: the messages still wait.
Until the model is asked, messages count as they read then; where all were deleted, nothing is to be recorded.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace

import structlog
from structlog.contextvars import bind_contextvars

from agentd.context.prompt import Budget
from agentd.conversation import notices
from agentd.conversation.compacting import Compactor
from agentd.conversation.deadline import Cut, CutOff, TurnDeadline
from agentd.conversation.metering import OverBudget, UsageMeter
from agentd.conversation.outbox import Ending, Outbox
from agentd.conversation.progress import Progress, closing
from agentd.conversation.prompting import Asking, PromptBuilder
from agentd.conversation.question import Question, next_question
from agentd.conversation.quiet import Quiet
from agentd.conversation.wiring import Wiring
from agentd.delivery.reply import Reply
from agentd.errors import StorageError
from agentd.providers.base import Event, Finished, Restarted, TextDelta
from agentd.providers.errors import ContextTooLong, ProviderError
from agentd.transcript.records import Failure
from agentd.transcript.store import Session
from channels.markup.characters import is_blank

__all__ = ["Turn"]

log = structlog.get_logger()


class Turn:
    """One turn of a session, from the messages that wait to the delivered reply."""

    def __init__(
        self,
        wiring: Wiring,
        session: Session,
        outbox: Outbox,
        compactor: Compactor,
        question: Question,
        quiet: Quiet,
    ) -> None:
        """Answer this question; more messages may join until something is visible, and `quiet` says how long to wait
        for more.
        """
        self._wiring = wiring
        self._session = session
        self._outbox = outbox
        self._compactor = compactor
        self._meter = UsageMeter(wiring, session)
        self._settings = wiring.settings
        self._deadline = TurnDeadline(self._settings.turn_timeout_seconds, wiring.monotonic)
        self._prompts = PromptBuilder(wiring, session, compactor, self._deadline)
        self._question = question
        self._quiet = quiet
        self._joined_at = wiring.monotonic()
        self._reply: Reply = outbox.reply(lambda: self._question.answers)
        self._waited_seconds = 0.0
        self.reported_tokens = 0
        """How many tokens the provider counted for the prompt; 0 if it did not say."""
        self.message_ids: tuple[str, ...] = ()
        self.ended = asyncio.Event()

    @property
    def trace(self) -> str:
        """Return the trace id under which this turn is logged."""
        return self._question.trace

    def takes(self, seq: int, *, was_expected: bool) -> bool:
        """Tell whether a message that was just accepted should join this turn.

        A message that an earlier one announced may come later than `collect_window_ms`.
        """
        wider = next_question(self._session.view, self._settings.question_size)
        joins = wider is not None and seq in wider.answers and seq not in self._question.answers
        if not joins or self._question.retries or self._deadline.why not in (None, "joined"):
            return False
        if self._settings.when_busy == "interrupt":
            return True
        since = self._wiring.monotonic() - self._joined_at
        is_soon = was_expected or since * 1000 <= self._settings.collect_window_ms
        return not self._reply.is_visible and is_soon

    def cut(self, why: Cut) -> None:
        """End the wait for the provider: for good, or (`joined`) to ask again with the messages that came since."""
        self._deadline.cut(why)

    async def run(self) -> None:
        """Ask the model, deliver the reply, record both.

        Raises StorageError if the ending could not be recorded, and Unreachable if it could not be delivered.
        """
        started = self._wiring.monotonic()
        log.info("turn_started", **self._question.figures)
        progress = Progress()
        reason, detail = await self._ask(progress)
        if is_blank(progress.text):
            await self._fail(reason or "empty", detail)
        else:
            await self._answer(progress, reason, detail)
        seconds = self._wiring.monotonic() - started
        self._wiring.observe_turn(seconds, max(seconds - self._waited_seconds, 0.0))
        log.info("turn_finished", outcome=reason or "complete", detail=detail, seconds=round(seconds, 3))

    async def _ask(self, progress: Progress) -> tuple[str, str]:
        """Stream the reply into `progress`; return why it is not whole ("" if it is), and a sentence about that."""
        try:
            while True:
                try:
                    await self._hear_out()
                    await self._stream(progress)
                except CutOff:
                    if self._reply.fault is not None:
                        raise self._reply.fault from None
                    if self._deadline.why != "joined":
                        return self._deadline.why or "timeout", ""
                    self._deadline.renew()
                    self._void(progress)
                    self._widen()
                else:
                    return progress.verdict
        except StorageError:
            raise  # not a bug: the disk refused a draft
        except OverBudget as refusal:
            return "budget", str(refusal)
        except ProviderError as fault:
            log.warning("provider_failed", fault=str(fault))
            return "provider", str(fault)
        except Exception:
            log.exception("turn_crashed")
            return progress.verdict if progress.ending else ("internal", "")  # what is on record stays

    async def give_up(self) -> None:
        """Wait until no platform call of the reply is under way: one that is cut may or may not have arrived."""
        await self._reply.rest()

    async def attend(self) -> None:
        """Keep the screen up to date beside the turn, until cancelled: the typing indicator, and drafts that had to
        wait.
        """
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._outbox.keep_typing(self._reply), name="typing")
            tasks.create_task(self._show_drafts(), name="drafts")

    async def _show_drafts(self) -> None:
        """Show drafts that had to wait; if one cannot be recorded, cut the turn."""
        await self._reply.catch_up()
        self.cut("unrecorded")

    async def _hear_out(self) -> None:
        """Wait for announced messages."""
        while seconds := self._quiet.left_seconds:
            async with self._deadline.waiting():
                await asyncio.sleep(seconds)

    async def _stream(self, progress: Progress) -> None:
        budget = self._compactor.extent.budget
        try:
            await self._stream_within(budget, progress)
        except ContextTooLong:
            log.warning("context_too_long", budget_tokens=budget.tokens)
            self._void(progress)
            await self._prompts.make_room()
            await self._stream_within(replace(budget, tokens=budget.tokens // 2), progress)

    async def _stream_within(self, budget: Budget, progress: Progress) -> None:
        self._reread()
        asking = await self._prompts.build(self._question, budget)
        self._meter.admit(self._question.author, asking.tokens, self._wiring.max_output_tokens)
        began = self._wiring.monotonic()
        async with self._deadline.holding(self._wiring.slots):
            while self._session.view.next_seq != asking.next_seq:  # what was taken back meanwhile goes to no model
                self._reread()
                asking = await self._prompts.build(self._question, budget, most_waits=0)
            await self._ask_model(asking, progress, began)

    async def _ask_model(self, asking: Asking, progress: Progress, began: float) -> None:
        log.info("provider_asked", messages=len(asking.request.messages), omitted_turns=asking.omitted_turns)
        asked = self._wiring.monotonic()
        async with closing(self._wiring.provider.stream(asking.request), progress) as events:
            try:
                await self._listen(events, progress, began)
            finally:
                self._waited_seconds += self._wiring.monotonic() - asked
                self._book(asking, progress)
            reason, _ = progress.verdict
            if not is_blank(progress.text):
                await self._record(progress, reason)  # before the connection is given back, which may take a while

    async def _listen(self, events: AsyncGenerator[Event, None], progress: Progress, began: float) -> None:
        while progress.finished is None:
            async with self._deadline.waiting():
                event = await anext(events)
            match event:
                case TextDelta():
                    if not progress.text:
                        log.info("first_piece", seconds=round(self._wiring.monotonic() - began, 3))
                    progress.text += event.text
                    self._reply.grow(progress.text)
                case Restarted():
                    self._void(progress)
                case Finished():
                    progress.finished = event

    def _book(self, asking: Asking, progress: Progress) -> None:
        """Book what was asked and answered so far; a request without any answer is assumed to cost nothing."""
        if progress.finished or progress.text:
            self._meter.book(self._question.author, asking.tokens, progress.usage, progress.text)
        if progress.finished and not asking.has_images:
            progress.factor = self._meter.learn(asking.tokens, progress.usage)
            self.reported_tokens = progress.usage.input_tokens

    def _void(self, progress: Progress) -> None:
        """Discard what the model has said so far: the reply starts over."""
        progress.text = ""
        self._reply.void()

    async def _record(self, progress: Progress, reason: str) -> Ending:
        """Begin to record the reply, unless that was done."""
        if progress.ending is not None:
            return progress.ending
        record = progress.record(self._question.answers, self._wiring.provider.model, self.trace, is_whole=not reason)
        progress.ending = await self._outbox.record(record)
        self._reply.grow_no_more()
        return progress.ending

    async def _answer(self, progress: Progress, reason: str, detail: str) -> None:
        ending = await self._record(progress, reason)
        shown = progress.text
        if reason:
            shown = f"{shown}\n{notices.broken_off(reason, detail, self.trace)}"
        self.message_ids = await self._outbox.show(self._reply, ending, shown)

    async def _fail(self, reason: str, detail: str) -> None:
        await self._reply.rest()
        if reason in ("deleted", "superseded") and self._session.view.begun_for(self._question.answers):
            reason = "stopped"  # the screen shows a reply, to fewer messages perhaps, and it does not go on
        if reason == "deleted":
            self._outbox.forget(self._reply)  # the deletions have settled what it was to answer
            return
        notice = notices.failure_text(reason, detail, self.trace)
        told = reason != "superseded"
        record = Failure(
            answers=self._question.answers, reason=reason, told=told, notice=notice if told else "", trace=self.trace
        )
        self.message_ids = await self._outbox.settle(self._reply, record, notice)

    def _widen(self) -> None:
        """Add the messages that came since."""
        wider = next_question(self._session.view, self._settings.question_size)
        if wider is not None:
            self._take(wider)
            log.info("messages_joined", **wider.figures)
        self._joined_at = self._wiring.monotonic()

    def _reread(self) -> None:
        """Take the question as its authors left it. Raises CutOff if nothing of it is left."""
        if self._question.is_current(self._session.view):
            return
        now = next_question(self._session.view, self._settings.question_size)
        if now is None or set(now.answers).isdisjoint(self._question.answers):
            self._deadline.cut("deleted")
            raise CutOff
        self._take(now)
        log.info("question_changed", **now.figures)

    def _take(self, question: Question) -> None:
        """Go on with another question, under the trace id of its newest message."""
        # A message that its author deleted meanwhile is settled by this turn's ending too, as its drafts name it.
        answers = tuple(dict.fromkeys((*self._question.answers, *question.answers)))
        self._question = replace(question, answers=answers)
        bind_contextvars(trace=self.trace)
