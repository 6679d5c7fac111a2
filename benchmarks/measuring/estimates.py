"""This module compares token estimates for groups of texts with the counts of real vocabularies."""

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
    """The estimated and the counted tokens of a group's messages, in sum."""

    name: str
    estimated: int
    by_four: int
    """The estimate by ceil(characters / 4)."""
    counted: Mapping[str, int]
    """The counts by vocabulary."""

    def errors(self, *vocabularies: str) -> tuple[float, float]:
        """Return the relative errors of the estimate and of the rule of four against these vocabularies' mean count."""
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
