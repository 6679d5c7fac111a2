"""This module simulates conversations whose token estimates are calibrated turn by turn against a real vocabulary.

The calibration is the daemon's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, permutations
from typing import NamedTuple

from agentd.context.calibration import Calibration
from agentd.context.tokens import MESSAGE_OVERHEAD_TOKENS, estimate_tokens
from benchmarks.measuring.vocabularies import Count

__all__ = ["LEARNT_TURNS", "Cost", "changes", "converse", "errors_after_learning", "measure_messages"]

SYSTEM = "You are a helpful assistant. Answer in the language in which you are asked, briefly, and say what you know."
LEARNT_TURNS = 10


class Cost(NamedTuple):
    """The expected and the counted tokens of a prompt or a message."""

    expected: float
    counted: int

    @property
    def error(self) -> float:
        """The relative error of the expectation; negative if it was too low."""
        return self.expected / self.counted - 1


def measure_messages(messages: Sequence[str], count: Count) -> list[Cost]:
    """Return the cost of each message, with the overhead of a chat template."""
    added = MESSAGE_OVERHEAD_TOKENS
    return [Cost(estimate_tokens(message) + added, count(message) + added) for message in messages]


def converse(calibration: Calibration, system: Cost, messages: Sequence[Cost]) -> Iterator[Cost]:
    """Yield the cost of each prompt of a conversation, each one message longer; the factor is calibrated in between."""
    estimated, counted = int(system.expected), system.counted
    factor = calibration.first_factor("model")
    for message in messages:
        estimated += int(message.expected)
        counted += message.counted
        yield Cost(estimated * factor, counted)
        factor = calibration.learn("model", estimated, counted, factor)


def changes(groups: Mapping[str, Sequence[str]], count: Count) -> Iterator[tuple[str, str, float]]:
    """Yield, for each two groups, the highest ratio of counted to expected tokens after a conversation changes groups.

    Its first ten turns are of the first group, the others of the second.
    """
    [system], costs = measure_messages([SYSTEM], count), {}
    for name, messages in groups.items():
        costs[name] = measure_messages(messages, count)
    for before, after in permutations(groups, 2):
        prompts = converse(Calibration({}), system, costs[before][:LEARNT_TURNS] + costs[after])
        yield before, after, max(prompt.counted / prompt.expected for prompt in islice(prompts, LEARNT_TURNS, None))


def errors_after_learning(messages: Sequence[str], count: Count) -> list[float]:
    """Return the errors of a conversation's prompts after its first ten turns."""
    system, *costs = measure_messages([SYSTEM, *messages], count)
    return [prompt.error for prompt in converse(Calibration({}), system, costs)][LEARNT_TURNS:]
