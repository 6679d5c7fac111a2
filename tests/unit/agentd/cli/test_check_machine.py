"""These tests check what `agentd check` finds out about this machine."""

from __future__ import annotations

import errno
import tempfile
from pathlib import Path

import pytest

from agentd.cli.check_finding import failed
from agentd.cli.check_machine import look_at_disk, look_at_modes
from agentd.settings import load_settings

TELEGRAM = '[channels_config.telegram]\ntoken = "{}"\n'


def test_a_full_disk_is_to_be_given_room_and_not_another_owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(dir: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(dir))

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)

    assert look_at_disk(tmp_path) == failed(
        "disk", f"{tmp_path} cannot be written (No space left on device): make room"
    )


def test_a_secret_in_the_file_counts_also_where_another_is_used_or_it_is_written_in_another_way(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text(f'workspace = "{tmp_path}/w"\n' + TELEGRAM.format("100:\\u0061bc"))
    config.chmod(0o644)
    alone = look_at_modes(load_settings(config, {}), config)
    variable = {"AGENTD_CHANNELS_CONFIG__TELEGRAM__TOKEN": "200:another"}
    beside = look_at_modes(load_settings(config, variable), config)
    config.write_text(f'workspace = "{tmp_path}/w"\n' + TELEGRAM.format(""))
    without = look_at_modes(load_settings(config, variable), config)

    assert alone == beside == failed("modes", f"others may read {config}: chmod go= {config}")
    assert without.state == "ok"


def test_a_stored_credential_that_others_may_read_is_named(tmp_path: Path) -> None:
    config, store = tmp_path / "agentd" / "config.toml", tmp_path / "credstore"
    config.parent.mkdir()
    config.write_text(f'workspace = "{tmp_path}/w"\n')
    store.mkdir()
    (store / "another.service").touch(0o644)
    secret = store / "agentd.channels_config__telegram__token"
    secret.write_text("100:abc\n")
    secret.chmod(0o640)
    found = look_at_modes(load_settings(config, {}), config)
    secret.chmod(0o600)

    assert found == failed("modes", f"others may read {secret}: chmod go= {secret}")
    assert look_at_modes(load_settings(config, {}), config).state == "ok"
