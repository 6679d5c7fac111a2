"""Runs the compaction jobs of one session, which summarise its old turns beside the running ones.

There is one job at a time; each summary that it makes is a `compaction` record of its own. Only a turn whose prompt is
full waits for a summary, and for a limited time. If none can be made, turns go on without what does not fit, everything
stays on disk, and the next attempt comes after a growing pause (backoff).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Literal

import structlog

from agentd.context.compaction import Chunk, Extent, find_cut, plan_chunk
from agentd.context.prompt import Past, build_budget, estimate_past, estimate_turn, summary_room
from agentd.context.tokens import estimate_tokens
from agentd.conversation.metering import OverBudget, UsageMeter
from agentd.conversation.summarising import SummaryAuthor, Unusable
from agentd.conversation.wiring import Wiring
from agentd.errors import StorageError
from agentd.providers.errors import ContextTooLong, ProviderError
from agentd.transcript.records import Command, Compaction, Undo
from agentd.transcript.store import Session
from agentd.transcript.view import Turn

__all__ = ["COMPACT", "Compactor", "past_of"]

log = structlog.get_logger()

COMPACT = "compact"

UNDO_HINT = "/compact undo brings them back as they were said; /status shows the room."
MADE_TEXT = f"A summary was made of the older turns. {UNDO_HINT}"

Mode = Literal["background", "asked", "harder"]


@dataclass(slots=True)
class _Job:
    """One run of the compactor: it makes one or more summaries, each on disk before the next is begun."""

    mode: Mode
    first_kept: int
    """The seq of the first message that this job leaves unsummarised."""
    began: float
    turns: int = 0
    """How many turns it has summarised so far."""
    fault: str = ""
    """Why it made no summary, or stopped making more."""
    is_asking: bool = False
    is_stopped: bool = False
    ended: asyncio.Event = field(default_factory=asyncio.Event)


def past_of(session: Session) -> Past:
    """Return what the session's next prompt contains of the past: the summary in force and the turns after it."""
    summary = session.view.summary
    return Past(session.view.live_turns, summary.summary if summary else "", session.key.is_shared)


class Compactor:
    """Keeps one session's prompt within its budget, by summaries."""

    def __init__(self, wiring: Wiring, session: Session, intake: asyncio.Lock, tasks: asyncio.TaskGroup) -> None:
        """Run jobs on `tasks`; while the lock `intake` is held, no message, edit or deletion is accepted."""
        self._wiring = wiring
        self._session = session
        self._intake = intake
        self._tasks = tasks
        self._meter = UsageMeter(wiring, session)
        self._times = wiring.summary_times
        self._job: _Job | None = None
        self._task: asyncio.Task[None] | None = None
        self._author = SummaryAuthor(wiring, session, self._meter)
        self._failures = 0
        self._again_at = 0.0
        self._is_over = False
        """Whether the provider counted more than the budget even after a job that should have prevented it."""
        self._said: dict[int, str] = {}
        self.fault = ""
        """Why the last job failed to make a summary; "" if it succeeded."""

    @property
    def extent(self) -> Extent:
        """Return the limits of the conversation: its token budget, and how many messages it may hold and keeps."""
        settings, provider = self._wiring.settings, self._wiring.provider
        context = min(settings.max_context_tokens, provider.context_tokens or settings.max_context_tokens)
        budget = build_budget(context, self._wiring.max_output_tokens, self.factor)
        # If two settings contradict each other, `keep_recent_messages` gives way to `max_history_messages`.
        keep = settings.keep_recent_messages
        keep = keep if keep < settings.max_history_messages else settings.max_history_messages // 2
        return Extent(budget, settings.max_history_messages, keep)

    @property
    def factor(self) -> float:
        """Return how many tokens the model counts per estimated token."""
        return self._meter.factor

    @property
    def is_busy(self) -> bool:
        """Tell whether a job is under way."""
        return self._job is not None

    @property
    def pause_seconds(self) -> float:
        """Return how long until the next job may begin after a failed one; 0 if now."""
        return max(self._again_at - self._wiring.monotonic(), 0.0)

    def look(self, reported_tokens: int = 0) -> None:
        """Begin a job if one is due, by estimate or by the provider's count of the last prompt (0: unknown)."""
        if reported_tokens:
            self._compare(reported_tokens)
        if self.is_busy or self.pause_seconds:
            return
        past, extent = past_of(self._session), self.extent
        tokens = estimate_past(self._wiring.settings.system_prompt, past, extent.budget)
        due = tokens > extent.budget.tokens if self._session.view.is_undone else extent.is_due(past, tokens)
        if due:
            self._begin("background")

    def _compare(self, reported_tokens: int) -> None:
        """Begin a job that cuts deeper if the provider counted more than the budget, but only once in a row."""
        budget_tokens = int(self.extent.budget.tokens * self.factor)
        if reported_tokens <= budget_tokens:
            self._is_over = False
        elif not self._is_over and not self.is_busy:
            self._is_over = True
            log.warning("budget_exceeded", tokens=reported_tokens, budget_tokens=budget_tokens)
            self._begin("harder")

    async def make_room(self, tail_tokens: int | None = None) -> None:
        """Wait for a summary that makes room in the prompt, for a limited time.

        The turns that stay should cost `tail_tokens` at most; None: half of the turns should go.
        """
        mode: Mode = "harder" if tail_tokens is None else "background"
        if self._job is None and (self.pause_seconds or not self._begin(mode, tail_tokens=tail_tokens)):
            return
        job = self._job
        if job is None:
            return
        log.info("compaction_waited", since=round(self._wiring.monotonic() - job.began, 3))
        try:
            async with asyncio.timeout(max(job.began + self._times.wait_seconds - self._wiring.monotonic(), 0)):
                await job.ended.wait()
        except TimeoutError:
            log.warning("compaction_not_waited_for")

    def ask(self, seq: int) -> str | None:
        """Begin the job that `/compact` (the command `seq`) asks for; return the answer, or None while the job runs."""
        summary = self._session.view.summary
        if seq in self._said:
            return self._said[seq]
        if summary is not None and summary.seq > seq:
            return MADE_TEXT  # an earlier run made the summary and was killed before it could say so
        if self._job is None and not self._begin("asked"):
            return "There is nothing to summarise yet: all of this conversation is recent."
        return None

    def is_at_work_for(self, command: Command) -> bool:
        """Tell whether this command is a `/compact` that waits for the running job, no matter who began that."""
        return self.is_busy and _is_asked_for(command) and command.seq not in self._said

    async def undo(self, by: Command) -> Compaction | None:
        """Revoke the summary in force, as `/compact undo` asks, and return it; None if there is none."""
        job = self._job
        if job is not None:
            self.stop()
            await job.ended.wait()
        summary = self._session.view.summary
        if summary is not None:
            await self._wiring.store.append(self._session, Undo(of=summary.seq, source=by.source))
        return summary

    def stop(self) -> None:
        """Stop the running job; summaries already on disk, or being written to it, stay."""
        if self._job is not None and self._task is not None:
            self._job.is_stopped = True
            if self._job.is_asking:  # a task cancelled before its first step would never set `job.ended`
                self._task.cancel()

    def _begin(self, mode: Mode, *, tail_tokens: int | None = None) -> bool:
        """Begin a job; return False if there is nothing to summarise."""
        past, extent = past_of(self._session), self.extent
        if not summary_room(extent.budget):
            return False  # the context is too small for a summary: what does not fit is left out
        cut = find_cut(past, extent, harder=mode != "background", tail_tokens=tail_tokens)
        if not cut:
            return False
        first_kept = min(message.seq for turn in past.turns[cut:] for message in turn.messages)
        job = _Job(mode, first_kept, self._wiring.monotonic())
        if self._next_chunk(job) is None:
            return False
        self._job = job
        log.info("summaries_begun", session=self._session.path.stem, mode=mode)
        self._task = self._tasks.create_task(self._run(job), name=f"compaction {self._session.path.stem}")
        return True

    async def _run(self, job: _Job) -> None:
        try:
            while not job.is_stopped and (chunk := self._next_chunk(job)) is not None:
                await self._take_in(chunk, job)
        except (ProviderError, StorageError, TimeoutError, OverBudget, Unusable) as fault:
            self._fail(job, str(fault) or f"the model took more than {self._times.call_seconds:g} s for a summary")
        except Exception:
            log.exception("compaction_crashed")
            self._fail(job, "something went wrong on my side")
        else:
            self._failures, self._again_at, self.fault = 0, 0.0, ""
        finally:
            asked = [seq for seq, command in self._session.view.commands.items() if _is_asked_for(command)]
            self._said = {seq: self._said.get(seq) or _describe(job) for seq in asked}
            self._job = self._task = None
            log.info("summaries_ended", session=self._session.path.stem, turns=job.turns)
            job.ended.set()
            self._session.changed.set()

    async def _take_in(self, chunk: Chunk, job: _Job) -> None:
        """Summarise a chunk; if the model finds it too long, halve what the next request may hold."""
        try:
            await self._summarise(chunk, job)
        except ContextTooLong:
            if not self._author.narrow(chunk, past_of(self._session), self.extent.budget):
                raise
        else:
            job.turns += len(chunk.turns)

    def _next_chunk(self, job: _Job) -> Chunk | None:
        past, view = past_of(self._session), self._session.view
        most = len([turn for turn in past.turns if _last_seq(turn) < job.first_kept])
        most_tokens = self._author.capacity(self.extent.budget).source_tokens(past.summary)
        return plan_chunk(past, most, view.pending, most_tokens)

    async def _summarise(self, chunk: Chunk, job: _Job) -> None:
        """Have the model write one summary, and append it."""
        view, past, budget = self._session.view, past_of(self._session), self.extent.budget
        before = estimate_tokens(past.summary) + sum(estimate_turn(turn, past, budget) for turn in chunk.turns)
        log.info("compaction_started", turns=len(chunk.turns), tokens=before)
        job.is_asking = True
        try:
            async with self._wiring.background_slots, asyncio.timeout(self._times.call_seconds):
                summary, model = await self._author.write(chunk, past, budget, most_tokens=before)
        finally:
            job.is_asking = False
        after = estimate_tokens(summary)
        if not summary or after >= before:
            raise Unusable("the summary is empty" if not summary else "the summary is no shorter than what it is of")
        # Before the intake is locked: this may read all of a long file.
        start, digest = await self._wiring.store.cover(self._session, chunk.to)
        record = Compaction(
            covers=(start, chunk.to),
            digest=digest,
            summary=summary,
            model=model,
            tokens_before=before,
            tokens_after=after,
        )
        async with self._intake:
            if self._session.view is not view:
                raise Unusable("the session's file was changed meanwhile")
            await self._commit(record, chunk, past)

    async def _commit(self, record: Compaction, chunk: Chunk, past: Past) -> None:
        """Append a summary, unless what it was made from has changed meanwhile."""
        now = past_of(self._session)
        if now.summary != past.summary or tuple(now.turns[: len(chunk.turns)]) != chunk.turns:
            raise Unusable("what was to be summarised was changed meanwhile")
        [recorded] = await self._wiring.store.append(self._session, record)
        in_force = self._session.view.summary
        if in_force is None or in_force.seq != recorded.seq:
            raise Unusable("the conversation was reset meanwhile")
        self._session.view.forget_covered()
        self._wiring.count_compaction("made")
        log.info("compaction_finished", covers=record.covers, before=record.tokens_before, after=record.tokens_after)

    def _fail(self, job: _Job, fault: str) -> None:
        pause = self._times.pause.after(self._failures)
        self._failures += 1
        self._again_at = self._wiring.monotonic() + pause
        self.fault = job.fault = fault.rstrip(".")
        self._wiring.count_compaction("failed")
        log.warning("compaction_failed", fault=self.fault, mode=job.mode, pause_seconds=pause)


def _is_asked_for(command: Command) -> bool:
    return command.name == COMPACT and not command.args


def _describe(job: _Job) -> str:
    """Return what became of a job, for the person who asked for it."""
    done = f"{job.turns} turns are now part of the summary. " if job.turns else ""
    if job.fault:
        return f"{done}I could not make a summary: {job.fault}. Nothing was lost, and the conversation goes on."
    return f"{done}{UNDO_HINT}" if job.turns else "The summary was not made: something else came in between."


def _last_seq(turn: Turn) -> int:
    return max(message.seq for message in turn.messages)
