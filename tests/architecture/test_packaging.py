"""These tests check that dependencies are pinned, and that forbidden names occur nowhere."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: str(path.name))
def test_every_pin_is_exact_with_hashes_and_no_index_is_named(lock: Path) -> None:
    text = lock.read_text("utf-8")
    pins = re.split(r"\n(?=\S)", text.strip())

    assert len(pins) > 20
    assert [pin for pin in pins if not re.match(r"[\w.\[\]-]+==\S+", pin) or "--hash=sha256:" not in pin] == []
    assert not re.search(r"https?:|--(extra-)?index-url|--find-links|file:", text)


def test_every_dependency_is_pinned_where_it_is_installed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    pinned = set(re.findall(r"^([\w.-]+)", (ROOT / "requirements" / "run.txt").read_text("utf-8"), re.MULTILINE))
    wanted = [*project["dependencies"], *project["optional-dependencies"]["local"]]

    names = (re.split(r"[\[>=<; ]", line)[0].replace(".", "-") for line in wanted)

    assert [name for name in names if name not in pinned] == []


def test_the_changelog_knows_the_version() -> None:
    assert f"## [{version('agentd')}]" in (ROOT / "CHANGELOG.md").read_text("utf-8")
