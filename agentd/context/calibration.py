"""What a model counts for each estimated token, learnt from the usage that its provider reports.

A conversation has a factor of its own, which its replies have on record: its prompts share most of their text, so that
what the last one cost says what the next will, in whatever language. A model's factor is where a conversation begins:
it rises fast and falls slowly, so that it stays near the dearest language that is spoken.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

__all__ = ["HIGHEST", "LOWEST", "SAFETY", "START", "Calibration", "ModelFactor"]

START = 1.1
"""Before anything is learnt: rather too much than too little."""

LOWEST = 0.7
HIGHEST = 5.0
"""No vocabulary measured counts less than 0.7 of the estimate. Current ones count up to 1.4, older ones 4.1 (Thai)."""

SAFETY = 1.2
"""How far a prompt may exceed its estimate times the factor where a conversation changes its language message by
message: at most that by current vocabularies, over all pairs of 48 kinds of text (`benchmarks/tokens.py`). A budget
divided by it is not exceeded then. Not covered are a conversation's first prompt, and a pasted text that makes up most
of one, in a language that the model's vocabulary cuts up: the factor is right one to four turns later."""

RISE = 0.7
FALL = 0.3
"""How much of the way to what was reported a factor goes: too low, a budget overflows; too high, room is wasted."""

MOST_CHANGE = 2.0
"""One report counts as at most twice, and at least half, of what was expected: it may be wrong."""

IMPLAUSIBLE_BELOW, IMPLAUSIBLE_ABOVE = 0.6, 6.0
"""Such reports are no count of the prompt: zero, or only what was not cached, or images beside the text."""


class ModelFactor(NamedTuple):
    """What a model counts for each estimated token, and from how many reports that is known."""

    factor: float
    reports: int


UNKNOWN = ModelFactor(START, 0)


class Calibration:
    """The factors of the models."""

    def __init__(
        self, learnt: Mapping[str, ModelFactor], observe: Callable[[str, float], None] = lambda _model, _ratio: None
    ) -> None:
        """Begin with what an earlier run learnt; what makes no sense of it is left out.

        `observe` is told of each report: the model, and what was reported by what the factor made of the estimate.
        """
        self._models = {model: known for model, known in learnt.items() if LOWEST <= known.factor <= HIGHEST}
        self._changed: set[str] = set()
        self._observe = observe

    def factor(self, model: str) -> float:
        """Return by what an estimate is to be multiplied; a budget in estimated tokens is the budget divided by it."""
        return self._models.get(model, UNKNOWN).factor

    def first_factor(self, model: str) -> float:
        """Return the factor with which a conversation begins.

        It may be in another language than those that have taught the model's: no less than `START`.
        """
        return max(self.factor(model), START)

    def learn(self, model: str, estimated_tokens: int, reported_tokens: int, expected: float) -> float:
        """Learn from what a provider reports for a whole prompt without images, cached parts included.

        `estimated_tokens` is what was estimated for that prompt, without any factor; `expected` is the factor that its
        conversation had. Return the one that it has now. What cannot be is ignored.
        """
        ratio = reported_tokens / estimated_tokens if estimated_tokens > 0 else 0.0
        if not IMPLAUSIBLE_BELOW <= ratio <= IMPLAUSIBLE_ABOVE:
            return expected
        self._observe(model, ratio / expected)
        known = self._models.get(model, UNKNOWN)
        self._models[model] = ModelFactor(move(known.factor, ratio), known.reports + 1)
        self._changed.add(model)
        return move(expected, ratio)

    def take_changed(self) -> dict[str, ModelFactor]:
        """Return the models' factors that have changed since the last call: to be kept."""
        changed, self._changed = self._changed, set()
        return {model: self._models[model] for model in sorted(changed)}

    def put_back(self, models: Mapping[str, ModelFactor]) -> None:
        """Take back that these were kept."""
        self._changed.update(models)


def move(factor: float, ratio: float) -> float:
    """Return the factor that follows when a provider counted `ratio` for each estimated token."""
    believed = min(max(ratio, factor / MOST_CHANGE, LOWEST), factor * MOST_CHANGE, HIGHEST)
    return factor + (RISE if believed > factor else FALL) * (believed - factor)
