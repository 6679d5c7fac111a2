"""This benchmark measures the daemon's start until its channels receive, with 0, 1,000 and 10,000 sessions.

A first start knows nothing of the sessions and looks at each; a later one knows which were settled when the last run's
recovery was completed. Sessions have few messages, since only the end of each is read (`benchmarks.store` has long
ones). Memory is off: with it, a first run would look through all sessions for what was not learnt, and each round would
wait for that.

    python -m benchmarks.starting [ROUNDS]
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path

from benchmarks.measuring.table import Table, handing_over
from benchmarks.sessions import write_workspace
from benchmarks.startup import AGENTD, FLOOR, measure
from benchmarks.store import look_at_ends, timed

TITLE = "From start to hearing the channels"
FLOOR_SENTENCE = (
    "The floor is a Python that imports pydantic-settings, structlog and httpx, and then looks at the end of every "
    "session's file. Memory is off."
)
COUNTS = (0, 1_000, 10_000)
TURNS = 3
ROUNDS, SHORT_ROUNDS = 5, 2
PROVIDER = (
    '[memory]\nenabled = false\n[provider]\nkind = "openai"\nbase_url = "http://127.0.0.1:9/v1"\nmodel = "none"\n'
)


def main() -> None:
    """Measure with each number of sessions."""
    with handing_over(TITLE, FLOOR_SENTENCE) as (given, table):
        rounds = given.size(SHORT_ROUNDS, ROUNDS)
        bare = statistics.median(measure([sys.executable, "-c", FLOOR], "ready")[0] for _ in range(rounds))
        for count in COUNTS:
            with tempfile.TemporaryDirectory() as folder:
                config = write_workspace(Path(folder), count, TURNS)
                config.write_text(config.read_text("utf-8") + PROVIDER, encoding="utf-8")
                start(table, config, count, bare, rounds)


def start(table: Table, config: Path, count: int, bare: float, rounds: int) -> None:
    """Measure `rounds` first starts, each followed by a later one."""
    workspace = config.parent / "workspace"
    command = [str(AGENTD), "--config", str(config), "run"]
    firsts: list[float] = []
    laters: list[float] = []
    looks: list[float] = []
    for _ in range(rounds):
        (workspace / "state.db").unlink(missing_ok=True)
        looks.append(timed(lambda: look_at_ends(workspace / "sessions")))
        for starts in (firsts, laters):
            starts.append(measure(command, "channels_receiving")[0])
    floor = bare + statistics.median(looks)
    table.add(f"{count:,} sessions, first start", statistics.median(firsts), "s", floor)
    table.add(f"{count:,} sessions, later start", statistics.median(laters), "s", floor)


if __name__ == "__main__":
    main()
