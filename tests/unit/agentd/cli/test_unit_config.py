"""These tests check which configuration the service reads, and where its secrets go."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import ClassVar

import pytest

from agentd.cli.service import Place, set_up
from agentd.cli.systemd import Systemd
from agentd.cli.unit_config import Etc, Plan, plan_config
from agentd.cli.unit_places import is_hidden
from agentd.cli.unit_secrets import split_secrets
from agentd.errors import AgentdError, ConfigError
from agentd.settings import load_settings

SECRET = "sk-planted"
TOKEN = "100:planted"
TEXT = f"""\
# Mine.
workspace = "~/talks"

[provider] # the model
kind = "openai"
base_url = "http://127.0.0.1:8080/v1"
model = "m"
api_key = "{SECRET}"  # from the shop
[provider.background]
model = "small"

[channels_config]
telegram.token = "{TOKEN}"
[channels_config.slack]
channels = "all"
"""


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def etc(tmp_path: Path) -> Etc:
    return Etc(tmp_path / "etc" / "agentd" / "config.toml", tmp_path / "etc" / "credstore")


def write(path: Path, text: str, file_mode: int = 0o600) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(file_mode)
    return path


def settle(given: Path | None, etc: Etc) -> tuple[Plan, list[str]]:
    plan = plan_config(given, {}, etc)
    return plan, plan.carry_out()


def test_secrets_and_the_workspace_are_taken_out_and_every_other_line_stays() -> None:
    split = split_secrets(TEXT, Path("config.toml"))

    assert split.secrets == {"provider__api_key": SECRET, "channels_config__telegram__token": TOKEN}
    assert split.workspace == "~/talks"
    taken = {'workspace = "~/talks"', f'api_key = "{SECRET}"  # from the shop', f'telegram.token = "{TOKEN}"'}
    assert split.plain.splitlines() == [line for line in TEXT.splitlines() if line not in taken]


@pytest.mark.parametrize(
    "text",
    [
        f'provider = {{ kind = "openai", api_key = "{SECRET}" }}\n',
        f'[provider]\napi_key = """\n{SECRET}"""\n',
        f'[provider]\n"api_key" = "{SECRET}"\n',
        f'[provider]\napi_key = "{SECRET}"\n# once: {SECRET}\n',
        f'[[provider.fallbacks]]\nkind = "openai"\napi_key = "{SECRET}"\n',
    ],
)
def test_what_cannot_be_taken_out_line_by_line_is_refused_without_showing_it(text: str) -> None:
    with pytest.raises(ConfigError, match="provider") as refused:
        split_secrets(text, Path("config.toml"))

    assert SECRET not in str(refused.value)


def test_a_line_that_looks_like_a_secret_inside_a_text_is_left_alone() -> None:
    text = f'[provider]\napi_key = "{SECRET}"\n[agent]\nsystem_prompt = """\n[provider]\napi_key = "no"\n"""\n'

    with pytest.raises(ConfigError, match="nowhere else"):
        split_secrets(text, Path("config.toml"))


def test_a_configuration_with_secrets_is_written_without_them_and_stays_as_it_is(tmp_path: Path, etc: Etc) -> None:
    source = write(tmp_path / "config.toml", TEXT)
    plan, steps = settle(source, etc)
    key = etc.store / "agentd.provider__api_key"

    assert plan.config == etc.config
    assert (key.read_text("utf-8"), mode(key), mode(etc.store)) == (f"{SECRET}\n", 0o600, 0o700)
    assert mode(etc.config) == 0o644
    assert SECRET not in etc.config.read_text("utf-8")
    assert source.read_text("utf-8") == TEXT
    assert all(SECRET not in step for step in steps)
    assert any("~/talks" in step for step in steps)


def test_a_command_then_reads_what_the_service_reads(tmp_path: Path, etc: Etc) -> None:
    settle(write(tmp_path / "config.toml", TEXT), etc)
    settings = load_settings(etc.config, {"HOME": "/root"})

    assert settings.provider.api_key.get_secret_value() == SECRET
    assert settings.channels_config.telegram.token.get_secret_value() == TOKEN


def test_what_systemd_hands_over_counts_and_not_the_store(tmp_path: Path, etc: Etc) -> None:
    settle(write(tmp_path / "config.toml", TEXT), etc)
    given = write(tmp_path / "given" / "provider__api_key", "sk-given")
    settings = load_settings(etc.config, {"HOME": "/root", "CREDENTIALS_DIRECTORY": str(given.parent)})

    assert settings.provider.api_key.get_secret_value() == "sk-given"
    assert settings.channels_config.telegram.token.get_secret_value() == ""


def test_a_stored_secret_with_an_unknown_key_is_named_by_its_file(tmp_path: Path, etc: Etc) -> None:
    settle(write(tmp_path / "config.toml", TEXT), etc)
    write(etc.store / "agentd.provider__api_kee", "x")
    write(etc.store / "another.provider__api_kee", "x")

    with pytest.raises(ConfigError, match=r"did you mean agentd\.provider__api_key") as refused:
        load_settings(etc.config, {"HOME": "/root"})
    assert "another" not in str(refused.value)


def test_the_service_gets_into_the_folder_whatever_umask_root_has(tmp_path: Path, etc: Etc) -> None:
    before = os.umask(0o077)
    try:
        settle(write(tmp_path / "config.toml", TEXT), etc)
    finally:
        os.umask(before)

    assert (mode(etc.config.parent), mode(etc.config)) == (0o755, 0o644)
    assert mode(etc.store) == 0o700


def test_installing_again_changes_nothing(tmp_path: Path, etc: Etc) -> None:
    settle(write(tmp_path / "config.toml", TEXT), etc)
    before = etc.config.read_text("utf-8")
    plan, _ = settle(None, etc)

    assert etc.config.read_text("utf-8") == before
    assert plan.config == etc.config
    assert list(etc.config.parent.iterdir()) == [etc.config]


def test_a_configuration_that_is_there_already_is_not_overwritten(tmp_path: Path, etc: Etc) -> None:
    write(etc.config, "# theirs\n", 0o644)

    with pytest.raises(AgentdError, match="there already"):
        settle(write(tmp_path / "config.toml", TEXT), etc)
    assert etc.config.read_text("utf-8") == "# theirs\n"
    assert not etc.store.exists()


def test_another_secret_in_the_store_is_not_overwritten(tmp_path: Path, etc: Etc) -> None:
    kept = write(etc.store / "agentd.provider__api_key", "another")

    with pytest.raises(AgentdError, match="another secret") as refused:
        settle(write(tmp_path / "config.toml", TEXT), etc)
    assert kept.read_text("utf-8") == "another"
    assert SECRET not in str(refused.value)
    assert not etc.config.exists()


class Told(Systemd):
    """Systemd that runs nothing; what it is told to refuse, it refuses."""

    refused: ClassVar[str] = ""

    def verify(self, name: str, text: str) -> None:
        """Refuse the unit or find no fault."""
        self.ask("verify")

    def ask(self, *words: str) -> None:
        """Refuse this command or be content."""
        if words[0] == self.refused:
            raise AgentdError(f"{words[0]}: refused")


class NotVerified(Told):
    refused = "verify"


class NotReached(Told):
    refused = "show"


def files(folder: Path) -> dict[Path, tuple[int, bytes]]:
    return {path: (mode(path), path.read_bytes()) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("systemd", [NotVerified(is_personal=False), NotReached(is_personal=False)])
def test_nothing_is_written_where_systemd_refuses_the_unit(tmp_path: Path, etc: Etc, systemd: Systemd) -> None:
    write(etc.config, TEXT)
    before = files(tmp_path)

    with pytest.raises(AgentdError, match="refused"):
        set_up(Place(tmp_path / "units" / "agentd.service", systemd), plan_config(None, {}, etc), "[Unit]\n")
    assert files(tmp_path) == before


@pytest.mark.parametrize("taken", ["etc/credstore", "systemd"])
def test_a_place_that_cannot_be_written_is_one_plain_sentence(tmp_path: Path, etc: Etc, taken: str) -> None:
    write(tmp_path / taken, "")
    plan = plan_config(write(tmp_path / "config.toml", TEXT), {}, etc)

    with pytest.raises(AgentdError, match=f"{tmp_path / taken}.*(exists|directory)") as refused:
        set_up(Place(tmp_path / "systemd" / "agentd.service", Told(is_personal=False)), plan, "[Unit]\n")
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize("is_personal", [False, True])
def test_the_unit_is_written_where_nothing_speaks_against_it(tmp_path: Path, etc: Etc, is_personal: bool) -> None:
    unit = tmp_path / "systemd" / "system" / "agentd.service"
    before = os.umask(0o077)
    try:
        set_up(Place(unit, Told(is_personal)), plan_config(write(tmp_path / "config.toml", TEXT), {}, etc), "[Unit]\n")
    finally:
        os.umask(before)

    assert (unit.read_text("utf-8"), mode(unit)) == ("[Unit]\n", 0o644)
    assert [mode(folder) for folder in unit.parents[:2]] == [0o700 if is_personal else 0o755] * 2
    assert etc.config.exists()


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [("[provider]\nkindd = 'openai'\n", "kindd"), (f"[provider]\nkind = 'openai'\napi_key = '{SECRET}'\n", "model")],
)
def test_a_configuration_that_cannot_be_used_is_refused_before_anything_is_written(
    tmp_path: Path, etc: Etc, wrong: str, sentence: str
) -> None:
    source = write(tmp_path / "config.toml", wrong)

    with pytest.raises(ConfigError, match=sentence):
        plan_config(source, {}, etc)
    assert list(files(tmp_path)) == [source]


@pytest.mark.parametrize("is_there", [False, True])
def test_secrets_in_a_persons_own_store_are_none_of_the_systems_service(
    tmp_path: Path, etc: Etc, is_there: bool
) -> None:
    source = write(tmp_path / "home" / "agentd" / "config.toml", "[provider]\nkind = 'anthropic'\nmodel = 'm'\n")
    write(tmp_path / "home" / "credstore" / "agentd.provider__api_key", SECRET)
    if is_there:
        etc.store.mkdir(parents=True)

    assert load_settings(source, {"HOME": "/root"}).provider.api_key.get_secret_value() == SECRET
    with pytest.raises(ConfigError, match=r"provider\.api_key: missing"):
        plan_config(source, {}, etc)


def test_an_unknown_secret_in_the_store_is_refused_before_anything_is_written(tmp_path: Path, etc: Etc) -> None:
    source = write(tmp_path / "config.toml", TEXT)
    stored = write(etc.store / "agentd.provider__api_kee", "x")

    with pytest.raises(ConfigError, match=r"did you mean agentd\.provider__api_key"):
        plan_config(source, {}, etc)
    assert set(files(tmp_path)) == {source, stored}


def test_a_configuration_that_is_rewritten_in_place_is_kept_as_it_was(tmp_path: Path, etc: Etc) -> None:
    write(etc.config, TEXT, 0o644)
    _, steps = settle(None, etc)
    write(etc.config, TEXT.replace("small", "other"), 0o644)
    _, later = settle(None, etc)
    kept = [etc.config.with_name(name) for name in ("config.toml.before", "config.toml.before-2")]

    assert [path.read_text("utf-8") for path in kept] == [TEXT, TEXT.replace("small", "other")]
    assert [mode(path) for path in kept] == [0o600, 0o600]
    assert SECRET not in etc.config.read_text("utf-8")
    for path, told in zip(kept, (steps, later), strict=True):
        assert [step for step in told if str(path) in step and "delete it" in step and SECRET not in step]


def test_a_folder_that_the_service_may_not_enter_is_refused_with_what_to_do(tmp_path: Path, etc: Etc) -> None:
    write(etc.config, TEXT)
    etc.config.parent.chmod(0o700)
    before = files(tmp_path)

    with pytest.raises(AgentdError, match=f"chmod o\\+x {etc.config.parent}, then install again"):
        plan_config(None, {}, etc)
    assert files(tmp_path) == before


def test_a_configuration_that_the_service_may_not_read_in_the_end_is_told_with_what_to_do(
    tmp_path: Path, etc: Etc
) -> None:
    plan = plan_config(write(tmp_path / "config.toml", TEXT), {}, etc)
    write(etc.config, "")
    etc.config.parent.chmod(0o700)

    with pytest.raises(AgentdError, match=f"chmod o\\+x {etc.config.parent}, then install again"):
        plan.carry_out()


def test_without_any_configuration_the_usual_place_is_named(etc: Etc) -> None:
    plan, steps = settle(None, etc)

    assert (plan.config, steps) == (etc.config, [])


@pytest.mark.parametrize(
    ("path", "hidden"),
    [("/home/ada/agentd", True), ("/root", True), ("/run/user/1/x", True), ("/opt/agentd", False), ("/homes/x", False)],
)
def test_homes_and_the_temporary_folder_are_hidden_from_a_service(path: str, hidden: bool) -> None:
    assert is_hidden(Path(path)) is hidden
