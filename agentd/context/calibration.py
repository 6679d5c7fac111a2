"""Learns how many tokens a model really counts per estimated token, from the usage that its provider reports.

Each conversation has a factor of its own, recorded with its replies: consecutive prompts share most of their text, so
what the last one cost predicts the next, in whatever language. A new conversation begins with its model's factor, which
rises fast and falls slowly, so that it stays near the language that costs most.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

__all__ = ["HIGHEST", "LOWEST", "SAFETY", "START", "Calibration", "ModelFactor"]

START = 1.1
"""The factor before anything is learnt: rather too high than too low."""

LOWEST = 0.7
HIGHEST = 5.0
"""No vocabulary measured counts less than 0.7 of the estimate. Current ones count up to 1.4, older ones 4.1 (Thai)."""

SAFETY = 1.2
"""Margin over the estimate times the factor, for conversations that change their language message by message.

Current vocabularies exceed it by that at most, over all pairs of 48 kinds of text (`benchmarks/tokens.py`), so a budget
divided by it is not exceeded then. Not covered are a conversation's first prompt, and a pasted text that makes up most
of one, in a language that costs the model many tokens: the factor is right one to four turns later.
"""

RISE = 0.7
FALL = 0.3
"""How far a factor moves towards a report: rising fast, since a budget overflows if it is too low; a high one wastes
room.
"""

MOST_CHANGE = 2.0
"""One report moves the expectation to twice or half of it at most: it may be wrong."""

IMPLAUSIBLE_BELOW, IMPLAUSIBLE_ABOVE = 0.6, 6.0
"""Reports outside are no count of the prompt: zero, or only what was not cached, or images besides the text."""


class ModelFactor(NamedTuple):
    """How many tokens a model counts per estimated token, and from how many reports that is known."""

    factor: float
    reports: int


UNKNOWN = ModelFactor(START, 0)


class Calibration:
    """The factors of all models."""

    def __init__(
        self, learnt: Mapping[str, ModelFactor], observe: Callable[[str, float], None] = lambda _model, _ratio: None
    ) -> None:
        """Begin with what an earlier run learnt; impossible values are left out.

        `observe` is called for each report, with the model and the ratio of the reported to the expected tokens.
        """
        self._models = {model: known for model, known in learnt.items() if LOWEST <= known.factor <= HIGHEST}
        self._changed: set[str] = set()
        self._observe = observe

    def factor(self, model: str) -> float:
        """Return the model's factor: multiply an estimate by it, or divide a token budget by it."""
        return self._models.get(model, UNKNOWN).factor

    def first_factor(self, model: str) -> float:
        """Return the factor with which a conversation begins.

        It may be in another language than the model's factor was learnt from: so it is `START` at least.
        """
        return max(self.factor(model), START)

    def learn(self, model: str, estimated_tokens: int, reported_tokens: int, expected: float) -> float:
        """Learn from what a provider reports for a whole prompt without images, cached parts included.

        `estimated_tokens` is the prompt's estimate without any factor; `expected` is the conversation's factor so far.
        Return its new factor. Implausible reports are ignored.
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
        """Return the models' factors that have changed since the last call, to be saved."""
        changed, self._changed = self._changed, set()
        return {model: self._models[model] for model in sorted(changed)}

    def put_back(self, models: Mapping[str, ModelFactor]) -> None:
        """Note that saving these failed: `take_changed` returns them again."""
        self._changed.update(models)


def move(factor: float, ratio: float) -> float:
    """Return the new factor after a provider counted `ratio` tokens per estimated token."""
    believed = min(max(ratio, factor / MOST_CHANGE, LOWEST), factor * MOST_CHANGE, HIGHEST)
    return factor + (RISE if believed > factor else FALL) * (believed - factor)
