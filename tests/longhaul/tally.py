"""This module collects the figures of a run, each beside its target."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from statistics import mean, median

from tests.longhaul.prompts import Message, prefix_share

__all__ = ["Figure", "Tally"]

MOST_EXAMPLES = 8

LEAST_NOT_WAITING = 0.99
LEAST_PREFIX = 0.85
MOST_CPU_MS = 15.0

LEAST_TURNS = 100
"""A run of fewer need not have a summary, nor a typical prefix."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the report; without a target it is there to be read."""

    name: str
    value: str
    target: str = ""
    holds: bool = True


@dataclass(slots=True)
class Tally:
    """The sums so far."""

    turns: int = 0
    waited: int = 0
    """Turns whose request came only after a summary for which they waited."""
    requests: int = 0
    summary_requests: int = 0
    over_budget: int = 0
    fullest: float = 0
    """The largest share of the context that a request took, with the reply that it leaves room for."""
    made: int = 0
    failed: int = 0
    """Summaries that came to nothing, by the daemon's own word."""
    restarts: int = 0
    compared: int = 0
    differing: int = 0
    """Prompts after a restart that are not those without."""
    prefixes: array[float] = field(default_factory=lambda: array("d"))
    wrongs: dict[str, list[str]] = field(default_factory=dict)
    """By kind: the first of what is wrong."""
    counts: dict[str, int] = field(default_factory=dict)
    """By kind: how much is."""
    facts_told: int = 0
    facts_left: int = 0
    cpu_ms: float = 0
    """Of each turn, without the counting of tokens."""
    wall_ms: float = 0

    def note(self, kind: str, faults: Sequence[str], when: str = "") -> None:
        """Add what is wrong, and remember the first of it."""
        if faults:
            self.counts[kind] = self.counts.get(kind, 0) + len(faults)
            examples = self.wrongs.setdefault(kind, [])
            examples += [f"{kind}: {when}{fault}" for fault in faults[: MOST_EXAMPLES - len(examples)]]

    def take_request(self, tokens: int, context_tokens: int, *, is_summary: bool, when: str = "") -> None:
        """Take in what a request costs."""
        self.requests += 1
        self.summary_requests += is_summary
        self.fullest = max(self.fullest, tokens / context_tokens)
        if tokens > context_tokens:
            self.over_budget += 1
            what = "a summary's request" if is_summary else "a request"
            self.note("over the budget", [f"{what} takes {tokens} of {context_tokens} tokens"], when)

    def compare(self, prompt: Sequence[Message], restarted: Sequence[Message]) -> None:
        """Take in the prompts of the daemon that went on, and of the one that was restarted; none, for a command."""
        if not prompt and not restarted:
            return
        self.compared += 1
        if tuple(prompt) != tuple(restarted):
            self.differing += 1
            alike = prefix_share(restarted, prompt) if prompt else 0
            fault = f"turn {self.turns}: only {alike:.1%} of the prompt is the same after a restart"
            self.note("restart", [f"{fault}: {_first_difference(prompt, restarted)}"])

    @property
    def figures(self) -> list[Figure]:
        """Return every figure."""
        return [*self._of_requests(), *self._of_records(), *self._of_time()]

    @property
    def faults(self) -> list[str]:
        """Return everything that misses its target, the examples last."""
        missed = [f"{figure.name}: {figure.value}, not {figure.target}" for figure in self.figures if not figure.holds]
        return missed + ([example for examples in self.wrongs.values() for example in examples] if missed else [])

    def _of_requests(self) -> Iterator[Figure]:
        yield Figure("turns", f"{self.turns}")
        yield Figure("requests, of which for summaries", f"{self.requests}, {self.summary_requests}")
        yield self._none("over the budget", f"requests over the budget (fullest {self.fullest:.1%})")
        share = 1 - self.waited / max(self.turns, 1)
        yield Figure(
            "turns that waited for no summary",
            f"{share:.2%}",
            f">= {LEAST_NOT_WAITING:.0%}",
            share >= LEAST_NOT_WAITING,
        )
        yield self._none("neither", "neither in the tail nor covered")
        yield self._none("both", "in the tail and covered, or unknown")
        yield self._none("newest", "newest message not last, or not verbatim")
        if self.turns >= LEAST_TURNS:
            half = median(self.prefixes or (0,))
            yield Figure(
                f"prefix kept, median (mean {mean(self.prefixes or (0,)):.1%})",
                f"{half:.1%}",
                f">= {LEAST_PREFIX:.0%}",
                half >= LEAST_PREFIX,
            )
        yield Figure(
            f"prompts that {self.restarts} restarts changed, of {self.compared}",
            f"{self.differing}",
            "0",
            not self.differing,
        )

    def _of_records(self) -> Iterator[Figure]:
        if self.turns >= LEAST_TURNS:
            yield Figure("summaries on record", f"{self.made}", ">= 1", self.made >= 1)
        yield Figure("summaries that came to nothing", f"{self.failed}")
        yield self._none("covers", "wrong ranges")
        yield self._none("digest", "wrong digests")
        yield self._none("size", "too long, or no smaller than what they replace")
        yield self._none("bytes", "earlier bytes changed")
        yield self._none("failure", "turns without a reply, replies to other messages")
        yield self._none("log", "errors in the log")
        yield Figure("planted facts in the last prompt", f"{self.facts_left} of {self.facts_told}")

    def _of_time(self) -> Iterator[Figure]:
        yield Figure(
            "CPU a turn, without counting tokens",
            f"{self.cpu_ms:.1f} ms",
            f"<= {MOST_CPU_MS:g} ms",
            self.cpu_ms <= MOST_CPU_MS,
        )
        yield Figure("time a turn", f"{self.wall_ms:.1f} ms")

    def _none(self, kind: str, name: str) -> Figure:
        count = self.counts.get(kind, 0)
        return Figure(name, f"{count}", "0", not count)


def _first_difference(prompt: Sequence[Message], restarted: Sequence[Message]) -> str:
    """Show where two prompts part, and how long each is."""
    both = zip_longest(prompt, restarted)
    at, (one, other) = next((at, pair) for at, pair in enumerate(both) if pair[0] != pair[1])
    return f"message {at} of {len(prompt)} and {len(restarted)} is {_shown(one)}, and then {_shown(other)}"


def _shown(message: Message | None) -> str:
    return "missing" if message is None else f"{message[0]} {message[1][:60]!r} ... {message[1][-40:]!r}"
