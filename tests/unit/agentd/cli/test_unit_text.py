"""These tests check the text of the systemd units: what is filled in, and what is always there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from agentd.cli.unit_text import Placing, is_untouched, quote, render_unit
from agentd.service.settings import ServiceSettings
from agentd.settings import Settings
from agentd.settings.shape import is_secret, leaves

ROOT = Path(__file__).parents[4]
SYSTEM = Placing(Path("/opt/agentd/.venv/bin/agentd"), Path("/etc/agentd/config.toml"), (), 30, is_personal=False)
BOTH = pytest.mark.parametrize("is_personal", [False, True])


def body(text: str) -> str:
    return text.partition("\n\n")[2]


@BOTH
def test_the_unit_in_the_folder_is_the_one_that_is_installed(is_personal: bool) -> None:
    name = "agentd-user.service" if is_personal else "agentd.service"
    shipped = (ROOT / "systemd" / name).read_text("utf-8")
    config = Path("/home/ada/.config/agentd/config.toml") if is_personal else SYSTEM.config
    rendered = render_unit(replace(SYSTEM, config=config, is_personal=is_personal))

    assert body(shipped).replace("%E/agentd/config.toml", str(config)) == body(rendered)


def test_every_secret_has_a_credential() -> None:
    unit = render_unit(SYSTEM)
    keys = ["__".join(key) for key in leaves(Settings) if is_secret(Settings, key) or key == ("provider", "fallbacks")]

    assert len(keys) == 8
    assert set(re.findall(r"^LoadCredential=(.*)$", unit, re.MULTILINE)) == {f"{key}:agentd.{key}" for key in keys}


@BOTH
@pytest.mark.parametrize("drain_seconds", [ServiceSettings().drain_seconds, 0.5, 300])
def test_stopping_may_take_longer_than_the_drain(is_personal: bool, drain_seconds: float) -> None:
    unit = render_unit(replace(SYSTEM, drain_seconds=drain_seconds, is_personal=is_personal))

    [stop_seconds] = re.findall(r"^TimeoutStopSec=(\d+)$", unit, re.MULTILINE)
    assert int(stop_seconds) >= drain_seconds + 29


@BOTH
def test_restarts_neither_flap_nor_give_up_and_a_wrong_configuration_waits(is_personal: bool) -> None:
    lines = set(render_unit(replace(SYSTEM, is_personal=is_personal)).splitlines())

    assert lines >= {
        "Type=notify",
        "NotifyAccess=main",
        "Restart=always",
        "RestartSec=10",
        "StartLimitIntervalSec=0",
        "RestartPreventExitStatus=78",
    }


def test_what_is_hidden_from_a_service_is_shown_to_it_alone() -> None:
    unit = render_unit(replace(SYSTEM, visible=(Path("/home/ada/agent d"), Path("/home/eve/python"))))

    assert 'ProtectHome=tmpfs\nBindReadOnlyPaths="/home/ada/agent d" /home/eve/python\n' in unit


@pytest.mark.parametrize(
    ("path", "special", "written"),
    [
        ("/opt/agentd", "$", "/opt/agentd"),
        ("/opt/a b", "$", '"/opt/a b"'),
        ("/opt/a%n", "$", "/opt/a%%n"),
        ("/opt/a$HOME", "$", "/opt/a$$HOME"),
        ("/opt/a$HOME", ":", "/opt/a$HOME"),
        ("/opt/a$HOME:b", "", "/opt/a$HOME:b"),
        ('/opt/a"b', "$", '"/opt/a\\"b"'),
        ("/opt/a:b", ":", '"/opt/a\\:b"'),
    ],
)
def test_paths_mean_themselves(path: str, special: str, written: str) -> None:
    assert quote(Path(path), special) == written


def test_a_unit_that_somebody_has_changed_is_known_by_its_fingerprint() -> None:
    unit = render_unit(SYSTEM)

    assert is_untouched(unit)
    assert not is_untouched(unit.replace("WatchdogSec=60", "WatchdogSec=61"))
    assert not is_untouched(body(unit))
    assert not is_untouched((ROOT / "systemd" / "agentd.service").read_text("utf-8"))
    assert not is_untouched("")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze on this machine")
@BOTH
def test_systemd_finds_no_fault_even_where_paths_are_odd(tmp_path: Path, is_personal: bool) -> None:
    program = tmp_path / "a b%n$c" / "agentd"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    unit = tmp_path / "agentd.service"
    unit.write_text(render_unit(replace(SYSTEM, program=program, visible=(program.parent,), is_personal=is_personal)))
    done = subprocess.run(
        ["systemd-analyze", *(["--user"] if is_personal else []), "--man=no", "verify", unit],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)},
    )

    assert [line for line in done.stderr.splitlines() if "agentd.service" in line] == []
    assert done.returncode == 0
