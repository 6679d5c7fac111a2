"""This benchmark measures `agentd sessions search`, `list` and `verify` over 10,000 sessions of 50 messages.

The yardstick is a bare read of all the bytes in the same run. Each turn is written as the daemon writes it: a message,
two drafts, a reply and its delivery; one session in four is in Chinese. Searches are measured as the whole command, the
start of the interpreter included, on all cores and on one; and in this process, without the command. The bound: on two
idle cores, a search takes at most 2 s, also for a word in three of four sessions.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from agentd.cli.sessions_files import list_files
from agentd.cli.sessions_find import find_hits
from agentd.transcript.key import SessionKey
from agentd.transcript.matching import parse_query
from agentd.transcript.records import (
    FORMAT_VERSION,
    AssistantMessage,
    Author,
    Delivery,
    Draft,
    Record,
    SessionHeader,
    Source,
    UserMessage,
    encode_line,
)
from benchmarks.measuring.table import Bound, Given, Table, handing_over

TITLE = "Searching, listing and verifying sessions"
FLOOR = "The yardstick is a bare read of all the bytes of all the files, which are in the page cache."
SESSIONS, SHORT_SESSIONS = 10_000, 1_000
TURNS = 25
ROUNDS = 3
AGENTD = Path(sys.executable).with_name("agentd")
LIMIT = Bound("figure", 2.0)
"""The bound in seconds on the whole command, over 10,000 sessions on two cores."""
CHAT = "(chat)"
TS = "2026-01-01T12:00:00.000Z"
ENGLISH = (
    "Could you tell me how the weather will be on the coast next week? ",
    "It stays mild, with rain on Tuesday. ",
)
CHINESE = ("你能告诉我下周海边的天气怎么样吗？", "天气温和，星期二有雨。")
SEARCHES = ("needle", "mild coast", "weather", "海边的针", "Straße", "иголка")
"""Found in: one English session, no session, every English session, one Chinese session, no session, no session."""


def main() -> None:
    """Write the workspace, then measure each command beside the bare read."""
    with handing_over(TITLE, FLOOR) as (given, table), tempfile.TemporaryDirectory() as folder:
        count = given.size(SHORT_SESSIONS, SESSIONS)
        config = write_workspace(Path(folder), count)
        measure(table, config, list_files(Path(folder, "workspace")), given)


def measure(table: Table, config: Path, files: list[Path], given: Given) -> None:
    """Measure searching, listing and verifying."""
    searches = SEARCHES[:: 3 if given.short else 1]
    size = sum(path.stat().st_size for path in files)
    bare = median(lambda: read_all(files))
    what = f"{len(files):,} sessions of {2 * TURNS} messages"
    print(f"{what}, {size / 1e6:.0f} MB")

    def show(name: str, work: Callable[[], None], *bounds: Bound, rounds: int = 1 if given.short else ROUNDS) -> None:
        table.add(f"{what}, {name}", median(work, rounds), "s", bare, *bounds)

    for words in searches:
        show(f"search {words!r}", lambda words=words: search(files, words))  # type: ignore[misc]
    for words in searches:
        show(f"agentd sessions search {words!r}", lambda words=words: run(config, "search", words), LIMIT)  # type: ignore[misc]
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    for words in searches[: 1 if given.short else None]:
        show(f"the same on one core {words!r}", lambda words=words: run(config, "search", words))  # type: ignore[misc]
    os.sched_setaffinity(0, cores)
    show("agentd sessions list", lambda: run(config, "list"))
    show("agentd sessions verify", lambda: run(config, "verify"), rounds=1)


def read_all(files: list[Path]) -> None:
    """Read every byte, and do nothing with it."""
    for path in files:
        path.read_bytes()


def search(files: list[Path], words: str) -> None:
    """Search as the command does."""
    query = parse_query(words)
    assert query
    for path in files:
        for _ in find_hits(path, query):
            pass


def run(config: Path, *words: str) -> None:
    """Run `agentd sessions` with these words."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AGENTD_")}
    subprocess.run(
        [AGENTD, "--config", config, "sessions", *words], check=True, stdout=subprocess.DEVNULL, env=environment
    )


def median(work: Callable[[], None], rounds: int = ROUNDS) -> float:
    """Return the median of the seconds that a piece of work takes."""
    took = []
    for _ in range(rounds):
        begun = time.perf_counter()
        work()
        took.append(time.perf_counter() - begun)
    return statistics.median(took)


def write_workspace(folder: Path, count: int = SESSIONS, turns: int = TURNS) -> Path:
    """Write the sessions and a configuration, and return the configuration's path."""
    sessions = folder / "workspace" / "sessions"
    sessions.mkdir(parents=True)
    bodies = [body_of(words, turns) for words in (CHINESE, ENGLISH, ENGLISH, ENGLISH)]
    for number in range(count):
        key = SessionKey("telegram", "bot", str(number), None, str(number))
        content = bodies[number % 4].replace(CHAT.encode(), key.chat.encode())
        if number in (count // 2, count // 2 + 1):
            content = content.replace(b"Tuesday", b"Needle!").replace("海边".encode(), "海边的针".encode())
        header = encode_line(SessionHeader(version=FORMAT_VERSION, key=key, seq=0, ts=TS))
        (sessions / f"{key.file_name}.jsonl").write_bytes(header + content)
    config = folder / "config.toml"
    config.write_text(f'workspace = "{folder}/workspace"\n')
    return config


def body_of(words: tuple[str, str], turns: int) -> bytes:
    """Return a session's lines after the header, with a placeholder for its chat."""
    return b"".join(map(encode_line, conversation(SessionKey("telegram", "bot", CHAT), words, turns)[1:]))


def conversation(key: SessionKey, words: tuple[str, str], turns: int = TURNS) -> list[Record]:
    """Return a session's records."""
    asked, told = words
    records: list[Record] = [SessionHeader(version=FORMAT_VERSION, key=key, seq=0, ts=TS)]
    for turn in range(turns):
        seq = len(records)
        source = Source(chat=key.chat, message_id=str(turn), sent_at=TS, author=Author(id=key.chat, name="Ada"))
        records += [
            UserMessage(content=asked * 2, source=source, trace="t" * 16, seq=seq, ts=TS),
            Draft(answers=(seq,), part=0, state="sending", seq=seq + 1, ts=TS),
            Draft(answers=(seq,), part=0, state="sent", message_id=f"{turn}", seq=seq + 2, ts=TS),
            AssistantMessage(content=told * 6, answers=(seq,), model="m" * 12, trace="t" * 16, seq=seq + 3, ts=TS),
            Delivery(of=seq + 3, message_ids=(str(turn),), state="sent", seq=seq + 4, ts=TS),
        ]
    return records


if __name__ == "__main__":
    main()
