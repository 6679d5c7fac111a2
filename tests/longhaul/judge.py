"""This module judges every model request when it comes, against the session's file at that moment."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tests.longhaul.journal import Compaction, Journal
from tests.longhaul.model import SYSTEM_PROMPT, Heard
from tests.longhaul.prompts import Expected, Message, PromptFaults, judge_prompt, prefix_share
from tests.longhaul.tally import Tally
from tests.longhaul.vocabulary import Vocabulary

__all__ = ["Judge"]

LARGE_SHARE = 0.25
"""Of the context: a text that takes more may be cut."""

MOST_COVERED = 3
"""How many of the turns that were covered last are looked for."""


class Judge:
    """Adds to a tally what is wrong with the requests of one conversation."""

    def __init__(self, tally: Tally, journal: Journal, vocabulary: Vocabulary, context_tokens: int) -> None:
        """Compare with this file."""
        self._tally = tally
        self._journal = journal
        self._vocabulary = vocabulary
        self._context_tokens = context_tokens
        self.last: Sequence[Message] = ()
        """The last prompt of a turn."""
        self._newest: tuple[str, ...] = ()

    def take(self, request: Heard) -> None:
        """Judge a request, of a turn or for a summary."""
        when = f"turn {self._tally.turns + 1}: "
        self._tally.take_request(request.tokens, self._context_tokens, is_summary=request.is_summary, when=when)
        if request.is_summary:
            return
        newest = tuple(self._journal.pending.values())
        faults = self._judge(request.messages, newest)
        self._newest = newest
        # One that came with the newest may be there before it has joined the turn: that turn is asked anew.
        while faults.newest and len(newest) > 1:
            newest = newest[:-1]
            fewer = self._judge(request.messages, newest)
            if not fewer.newest:
                faults, self._newest = fewer, newest
        for kind in ("neither", "both", "newest"):
            self._tally.note(kind, getattr(faults, kind), when)
        if self.last:
            self._tally.prefixes.append(prefix_share(self.last, request.messages))
        self.last = request.messages

    def end_step(self) -> None:
        """Look at what was answered: it must be what was asked last."""
        turns = self._journal.turns
        if not turns or turns[-1].texts != self._newest:
            self._tally.note("failure", ["the last reply is to something else than what was asked last"])

    def _judge(self, messages: Sequence[Message], newest: tuple[str, ...]) -> PromptFaults:
        """Return what is wrong beside what was in force while the request was made: that may have changed once."""
        found = [self._beside(messages, newest, candidate) for candidate in reversed(self._journal.candidates)]
        return min(found, key=lambda faults: faults.count)

    def _beside(
        self, messages: Sequence[Message], newest: tuple[str, ...], candidate: Compaction | None
    ) -> PromptFaults:
        expected = Expected(
            SYSTEM_PROMPT,
            candidate,
            self._journal.live(candidate),
            self._journal.covered(candidate, MOST_COVERED),
            newest,
            self._may_be_cut,
        )
        return judge_prompt(messages, expected)

    @property
    def _may_be_cut(self) -> Callable[[str], bool]:
        return lambda text: self._vocabulary.count(text) > self._context_tokens * LARGE_SHARE
