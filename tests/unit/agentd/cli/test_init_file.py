"""These tests check the file that `agentd init` writes: whole or not at all, private, never over another."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentd.cli.init_file import Section, check_place, render, write_new
from agentd.errors import AgentdError, ConfigError
from agentd.settings import load_settings
from tests.unit.agentd.transcript.building import CALM

PROVIDER = Section("The model", "provider", {"kind": "openai", "base_url": "http://h/v1", "model": "m"})


def test_a_new_file_is_private_whatever_the_mask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        write_new(tmp_path / "new" / "config.toml", render([PROVIDER]), {})
    finally:
        os.umask(before)

    assert (tmp_path / "new" / "config.toml").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["config.toml"]


def test_a_file_that_is_there_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text("# mine\n")

    with pytest.raises(FileExistsError):
        write_new(path, render([PROVIDER]), {})
    with pytest.raises(AgentdError, match=r"config\.toml exists already, and is left as it is: .* --output OTHER"):
        check_place(path)
    assert path.read_text() == "# mine\n"
    assert os.listdir(tmp_path) == ["config.toml"]


def test_on_a_disk_without_links_the_file_is_as_whole_and_private(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*names: object) -> None:
        raise PermissionError(1, "Operation not permitted", *names)

    monkeypatch.setattr(os, "link", refuse)
    path = tmp_path / "config.toml"
    write_new(path, render([PROVIDER]), {})
    with pytest.raises(FileExistsError):
        write_new(path, "", {})

    assert path.read_text() == render([PROVIDER])
    assert path.stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["config.toml"]


def test_what_to_type_into_a_shell_is_quoted_for_it(tmp_path: Path) -> None:
    path = tmp_path / "my own.toml"
    path.write_text("")

    with pytest.raises(AgentdError, match=r"move it away: mv '/.*/my own\.toml' '/.*/my own\.toml\.old'"):
        check_place(path)


def test_a_link_into_nothing_is_there_too(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.symlink_to(tmp_path / "nothing")

    with pytest.raises(AgentdError, match="exists already"):
        check_place(path)


def test_a_place_where_nothing_can_be_written_is_told_before_anything_is_asked(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(AgentdError, match="cannot be written"):
        check_place(tmp_path / "file" / "config.toml")


def test_what_does_not_load_is_not_left_behind(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    with pytest.raises(ConfigError, match=r"config\.toml: provider\.base_url: missing") as fault:
        write_new(path, render([Section("The model", "provider", {"kind": "openai", "model": "m"})]), {})

    assert ".config-" not in str(fault.value)
    assert os.listdir(tmp_path) == []


@CALM
@given(
    comment=st.text(),
    values=st.fixed_dictionaries({"token": st.text(), "allowed_users": st.lists(st.text(min_size=1))}),
)
def test_every_text_is_read_back_as_it_was_answered(
    tmp_path_factory: pytest.TempPathFactory, comment: str, values: dict[str, object]
) -> None:
    path = tmp_path_factory.mktemp("file") / "config.toml"
    write_new(path, render([Section(comment, "channels_config.telegram", values)]), {})

    telegram = load_settings(path, {}).channels_config.telegram
    assert telegram.token.get_secret_value() == values["token"]
    assert list(telegram.allowed_users) == values["allowed_users"]
