"""These tests check that every channel is listed wherever channels are listed, so that none is forgotten anywhere.

docs/architecture.md has the same list under "Adding a channel".
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

import channels
from agentd.app.reloading import read_allow_lists
from agentd.cli.init_channels import _platforms
from agentd.log import _SECRET
from agentd.settings import Settings
from agentd.settings.checks import find_contradictions
from channels.registry import _BUILDERS
from channels.settings import ChannelsSettings
from tests.architecture.reading import tree_of
from tests.contract.stands import STANDS
from tests.crash.platform import NAMES
from tests.crash.scenarios import BRIEF, SCENARIOS
from tests.crash.target import _BUILDERS as KILLED
from tests.crash.test_matrix import SECTIONS
from tests.crash.test_random_kills import ROWS as RANDOM
from tests.security.planted import SECRETS

CHANNELS = Path(channels.__file__).parent
ROOT = CHANNELS.parent
ALL = {path.parent.name for path in CHANNELS.glob("*/channel.py")}
PLATFORMS = ALL - {"console"}

EVERYBODYS = {"markdown_it", "msgspec", "pydantic", "structlog", "wcwidth", "yarl"}
"""Libraries that are no platform's."""

TOKENS = {
    "discord": {"token": f"MTk4NjIyNDgzNDcxOTI1MjQ4.Cl2FMQ.{'Zn' * 19}"},
    "slack": {"bot_token": f"xoxb-1234567890-{'Ab1' * 8}", "app_token": f"xapp-1-A0123-1234567890-{'c0ffee' * 8}"},
    "telegram": {"token": f"123456789:{'AAEhBP0av' * 4}"},
}
"""One of the form that each platform gives out, by the key of the section."""

NEVER_BRIEF = "telegram"
"""All its scenarios run with every test."""


def contract(name: str) -> dict[str, Any]:
    """Return an import contract by the beginning of its name."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    [found] = [one for one in project["tool"]["importlinter"]["contracts"] if one["name"].startswith(name)]
    return dict(found)


def packages(modules: Iterable[str]) -> set[str]:
    return {module.removeprefix("channels.") for module in modules} & ALL


def libraries_of(name: str) -> set[str]:
    """Return the libraries that a channel imports, at run time or for its types."""
    files = (CHANNELS / name).rglob("*.py")
    nodes = [node for path in files for node in ast.walk(tree_of(path))]
    named = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    named |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}
    return {module.partition(".")[0] for module in named} - set(sys.stdlib_module_names) - EVERYBODYS - {"channels"}


def secrets_of(name: str) -> list[str]:
    section = ChannelsSettings.model_fields[name].annotation
    assert section is not None
    return [key for key, field in section.model_fields.items() if field.annotation is SecretStr]


def text_of(path: str) -> str:
    return (ROOT / path).read_text("utf-8")


@pytest.mark.parametrize(
    "listed",
    [
        set(_BUILDERS),
        set(read_allow_lists(ChannelsSettings())),
        packages(contract("only the registry sees concrete")["forbidden_modules"]),
        set(STANDS),
    ],
    ids=[
        "the registry",
        "the allow lists",
        "the contract on who sees it",
        "the stands of the contract's tests",
    ],
)
def test_every_channel_is_in(listed: set[str]) -> None:
    assert listed == ALL


@pytest.mark.parametrize(
    "listed",
    [
        {platform.name for platform in _platforms()},
        {path.parent.name for path in CHANNELS.glob("*/introducing.py")},
        set(ChannelsSettings.model_fields) & ALL - {"console"},
        set(tomllib.loads(text_of("config.toml.example"))["channels_config"]) & PLATFORMS,
        {path.name.removesuffix("_server.py") for path in (ROOT / "tests/platforms").glob("*_server.py")} & ALL,
        {name.partition(" ")[0] for name in SECRETS} & ALL,
        set(NAMES),
        {path.stem.removeprefix("on_") for path in (ROOT / "tests/crash").glob("on_*.py")},
        set(SCENARIOS),
        {*BRIEF, NEVER_BRIEF},
        set(KILLED),
        set(SECTIONS),
        {channel for channel, _, _ in RANDOM},
    ],
    ids=[
        "the wizard",
        "those that introduce themselves",
        "the settings",
        "the example of a configuration",
        "the loopback servers",
        "the planted secrets",
        "the kills",
        "the kills' platforms",
        "the kills' scenarios",
        "the kills that run with every test",
        "what is killed",
        "the tables of durability.md",
        "the random kills",
    ],
)
def test_every_platform_is_in(listed: set[str]) -> None:
    assert listed == PLATFORMS


@pytest.mark.parametrize("name", sorted(ALL))
def test_nobody_but_the_adapter_sees_its_library(name: str) -> None:
    forbidden = contract("only adapters see")["forbidden_modules"]

    assert libraries_of(name) <= set(forbidden)


@pytest.mark.parametrize("name", sorted(PLATFORMS))
def test_every_token_has_a_credential_a_line_of_the_handbook_and_a_form_that_the_log_blots_out(name: str) -> None:
    keys = [f"channels_config__{name}__{key}" for key in secrets_of(name)]
    planted = [of for of in SECRETS if of.partition(" ")[0] == name]

    assert keys
    unit = text_of("agentd/cli/units/agentd.service")
    assert [key for key in keys if f"LoadCredential={key}:agentd.{key}\n" not in unit] == []
    for document in ("docs/operations.md", "docs/channels.md"):
        assert [key for key in keys if key not in text_of(document)] == []
    assert len(planted) == len(keys)
    assert set(TOKENS[name]) == set(secrets_of(name))
    assert [token for token in TOKENS[name].values() if _SECRET.sub("", token)] == []


@pytest.mark.parametrize("name", [name for name in sorted(PLATFORMS) if len(secrets_of(name)) > 1])
def test_tokens_that_belong_together_are_missed_one_by_one(name: str) -> None:
    for key in secrets_of(name):
        one = Settings.model_validate({"channels_config": {name: {key: "given"}}})
        named = [keys for contradiction in find_contradictions(one) for keys in contradiction.keys]

        assert ("channels_config", name, key) in named


@pytest.mark.parametrize("name", sorted(PLATFORMS))
def test_the_documents_know_every_platform_and_its_patience(name: str) -> None:
    title = name.title()
    patience = import_module(f"channels.{name}.waits").WAITS.patience_seconds

    assert f"\n## {title}, step by step\n" in text_of("docs/channels.md")
    assert f"\n## {title}: the checklist\n" in text_of("docs/channels.md")
    assert f"\n## {title}: limits\n" in text_of("docs/channels.md")
    assert re.search(rf"\b{title} {patience:g} s \(", text_of("docs/lifecycle.md"))
    for document in ("README.md", "CHANGELOG.md", "docs/architecture.md", "docs/configuration.md"):
        assert title in text_of(document)
