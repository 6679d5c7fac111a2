"""What is estimated for groups of texts, beside what real vocabularies count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from statistics import mean

from agentd.context.tokens import estimate_tokens
from benchmarks.measuring.vocabularies import Count

__all__ = ["Group", "measure"]


@dataclass(frozen=True, slots=True)
class Group:
    """The sums over a group's messages."""

    name: str
    estimated: int
    by_four: int
    """By ceil(characters / 4)."""
    counted: Mapping[str, int]
    """By vocabulary."""

    def errors(self, *vocabularies: str) -> tuple[float, float]:
        """Return by what part the estimate, and the rule of four, exceed the mean count of these vocabularies."""
        counted = mean(self.counted[name] for name in vocabularies)
        return self.estimated / counted - 1, self.by_four / counted - 1


def measure(groups: Mapping[str, Sequence[str]], vocabularies: Mapping[str, Count]) -> list[Group]:
    """Measure each group."""
    return [
        Group(
            name,
            sum(map(estimate_tokens, messages)),
            sum(ceil(len(message) / 4) for message in messages),
            {vocabulary: sum(map(count, messages)) for vocabulary, count in vocabularies.items()},
        )
        for name, messages in groups.items()
    ]
