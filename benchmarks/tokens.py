"""This benchmark measures the errors of token estimates against real vocabularies, and the time that estimates take.

By group of texts and vocabulary it shows the error of the estimate beside that of ceil(characters / 4). Then the error
that is left after ten turns of a conversation, by how much a prompt exceeds its estimate when the conversation changes
to another group, and the time that an estimate takes.

The bounds: a mean error of at most 8 % against the mean of the current vocabularies, no group over 40 %, and at most
5 % after ten turns.
"""

from __future__ import annotations

import statistics
import timeit
from collections.abc import Mapping, Sequence

from agentd.context.calibration import SAFETY
from agentd.context.tokens import estimate_tokens
from benchmarks.measuring.estimates import Group, measure
from benchmarks.measuring.table import Bound, Table, handing_over
from benchmarks.measuring.texts import LANGUAGES, load_groups
from benchmarks.measuring.turns import changes, errors_after_learning
from benchmarks.measuring.vocabularies import CURRENT, Count, load_vocabularies

TITLE = "Estimates of tokens"
FLOOR = (
    "The yardstick of an error is that of ceil(characters / 4); of an excess, the margin that is kept for it. "
    "What an estimate takes has none."
)
LEARNT = Bound("figure", 5.0)
MEAN = "mean of current"
LARGE = 100_000


def main() -> None:
    """Print each group, and add the figures over all groups to the table."""
    with handing_over(TITLE, FLOOR) as (_, table):
        groups, vocabularies = load_groups(), load_vocabularies()
        measured = measure(groups, vocabularies)
        _show_errors(measured, (MEAN, *vocabularies))
        _add_errors(table, measured, vocabularies)
        _show_calibrated(table, groups, vocabularies)
        _show_changes(table, groups, vocabularies)
        _show_cost(table, groups)


def _add_errors(table: Table, measured: Sequence[Group], vocabularies: Mapping[str, Count]) -> None:
    for name in (MEAN, *vocabularies):
        pairs = [group.errors(*(CURRENT if name == MEAN else (name,))) for group in measured]
        for label, figure, limit in (("mean", statistics.mean, 8.0), ("worst", max, 40.0)):
            ours, four = (100 * figure([abs(pair[which]) for pair in pairs]) for which in (0, 1))
            bounds = (Bound("figure", limit),) if name == MEAN else ()
            table.add(f"{label} error of {len(measured)} groups by {name}", ours, "%", four, *bounds)


def _show_errors(measured: Sequence[Group], names: Sequence[str]) -> None:
    print(f"{'error of the estimate / of characters by 4':28}" + "".join(f"{name:>18}" for name in names))
    for group in measured:
        errors = (group.errors(*(CURRENT if name == MEAN else (name,))) for name in names)
        print(f"  {group.name:26}" + "".join(f"{ours:+9.0%} /{four:+6.0%} " for ours, four in errors))


def _show_calibrated(table: Table, groups: Mapping[str, Sequence[str]], vocabularies: Mapping[str, Count]) -> None:
    print(f"\n{'worst error after ten turns':28}" + "".join(f"{name:>12}" for name in vocabularies))
    overall = 0.0
    for name in LANGUAGES:
        worst = [max(map(abs, errors_after_learning(groups[name], count))) for count in vocabularies.values()]
        overall = max(overall, *worst)
        print(f"  {name:26}" + "".join(f"{error:12.1%}" for error in worst))
    table.add("worst error after ten turns, all languages and vocabularies", 100 * overall, "%", None, LEARNT)


def _show_changes(table: Table, groups: Mapping[str, Sequence[str]], vocabularies: Mapping[str, Count]) -> None:
    print(
        f"\nprompts over what was expected, in a conversation that changes to another group (margin {SAFETY - 1:.0%})"
    )
    for name, count in vocabularies.items():
        over = [(most - 1, f"{before} to {after}") for before, after, most in changes(groups, count)]
        worst, where = max(over)
        print(f"  {name:26}{statistics.median(most for most, _ in over):8.1%} median {worst:8.1%} worst, {where}")
        table.add(f"worst excess after a change of language, {name}", 100 * worst, "%", 100 * (SAFETY - 1))


def _show_cost(table: Table, groups: Mapping[str, Sequence[str]]) -> None:
    for name in ("english-chat", "german", "python", "chinese", "korean"):
        message, whole = groups[name][1], " ".join(groups[name])
        large = (whole * (LARGE // len(whole) + 1))[:LARGE]
        table.add(f"an estimate of a message, {name}", _seconds(message, 2_000) * 1e6, "us")
        table.add(f"an estimate of {LARGE:,} characters, {name}", _seconds(large, 10) * 1e3, "ms")


def _seconds(text: str, times: int) -> float:
    return min(timeit.repeat(lambda: estimate_tokens(text), number=times, repeat=5)) / times


if __name__ == "__main__":
    main()
