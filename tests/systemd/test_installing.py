"""These tests check `agentd service install` and `uninstall` on a machine that systemd runs."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from tests.flow.process import SECRET
from tests.platforms.telegram_server import TOKEN
from tests.systemd.box import find_obstacle
from tests.systemd.stand import AGENTD, CONFIG, SHARED, UNIT, Stand, open_stand

pytestmark = pytest.mark.skipif(find_obstacle() is not None, reason=find_obstacle() or "")

ADA = 4321
AT_HOME = {"HOME": "/home/ada", "XDG_RUNTIME_DIR": f"/run/user/{ADA}"}


async def test_it_is_set_up_and_taken_away_again(tmp_path: Path) -> None:
    async with open_stand(tmp_path) as stand:
        box = stand.box
        box.write(CONFIG, stand.config(), 0o600)
        first = await box.do(AGENTD, "service", "install")
        plain = box.path(CONFIG).read_text("utf-8")
        modes = [
            stat.S_IMODE(path.stat().st_mode) for path in (box.path(CONFIG), *box.path("/etc/credstore").iterdir())
        ]
        again = await box.do(AGENTD, "service", "install")
        unit = box.path(UNIT).read_text("utf-8")
        box.path(UNIT).write_text(unit.replace("WatchdogSec=60", "WatchdogSec=90"), encoding="utf-8")
        refused = await box.run(AGENTD, "service", "install")
        kept = box.path(UNIT).read_text("utf-8")
        box.path(UNIT).write_text(unit, encoding="utf-8")
        as_ada = await box.run(AGENTD, "service", "install", user=ADA)
        await box.do("systemctl", "enable", "--now", "agentd")
        removed = await box.do(AGENTD, "service", "uninstall")
        after = await box.show("ActiveState", "LoadState")
        is_left = [box.path(path).exists() for path in (UNIT, CONFIG, "/var/lib/private/agentd", "/etc/credstore")]

    assert SECRET not in plain + first
    assert TOKEN not in plain + first
    assert modes == [0o644, 0o600, 0o600]
    assert "enable --now agentd" in first
    assert f"{UNIT}: is as it should be" in again
    assert (refused.code, "left alone" in refused.output) == (1, True)
    assert "WatchdogSec=90" in kept
    assert (as_ada.code, "sudo" in as_ada.output) == (1, True)
    assert "/var/lib/agentd" in removed
    assert after == {"ActiveState": "inactive", "LoadState": "not-found"}
    assert is_left == [False, True, True, True]


async def test_what_is_embedded_runs_in_the_sandbox(tmp_path: Path) -> None:
    async with open_stand(tmp_path) as stand:
        await stand.set_up(config=stand.config('kind = "local"', 'embeddings = "minilm"'))
        await stand.box.do("systemctl", "start", "agentd")
        reply = await stand.asks("/remember Ada lives in Vienna, near the river.")
        reply_of_model = await stand.asks("Where does Ada live?")
        while '"event": "memory_embedded"' not in (events := await stand.box.journal()):
            pass

    assert "Vienna" in reply
    assert reply_of_model
    assert '"level": "error"' not in events


async def test_a_person_has_a_service_of_their_own(tmp_path: Path) -> None:
    async with open_stand(tmp_path) as stand:
        await _log_in(stand)
        box = stand.box
        box.write("/home/ada/.config/agentd/config.toml", stand.config().replace(SECRET, ""), 0o600)
        box.write("/home/ada/.config/credstore/agentd.provider__api_key", SECRET, 0o600)
        await box.do("chown", "-R", "ada:", "/home/ada")
        installed = await box.do(AGENTD, "service", "install", "--user", user=ADA, extra=AT_HOME)
        await box.do("systemctl", "--user", "enable", "--now", "agentd", user=ADA, extra=AT_HOME)
        reply = await stand.says("hello")
        key = stand.model.requests[-1].headers["authorization"]
        await box.do("systemctl", "--user", "reload", "agentd", user=ADA, extra=AT_HOME)
        await box.do(AGENTD, "service", "uninstall", "--user", user=ADA, extra=AT_HOME)
        is_left = box.path("/home/ada/.local/share/agentd/sessions").exists()
        is_there = box.path("/home/ada/.config/systemd/user/agentd.service").exists()

    assert "loginctl enable-linger" in installed
    assert (reply, key) == ("You said: hello", f"Bearer {SECRET}")
    assert (is_left, is_there) == (True, False)


async def _log_in(stand: Stand) -> None:
    """Let Ada's own manager run, as it does while she is logged in; what agentd consists of may be in root's home."""
    above = {folder for shared in SHARED for folder in shared.parents}
    above -= {folder for folder in above for shared in SHARED if shared in (folder, *folder.parents)}
    await stand.box.do("chmod", "a+x", *map(str, above))
    await stand.box.do("useradd", "--create-home", f"--uid={ADA}", "ada")
    await stand.box.do("install", "-d", "-o", "ada", "-m", "700", f"/run/user/{ADA}")
    own = ("--unit=ada", "--property=Type=notify", "--property=User=ada", "--property=Delegate=yes")
    runtime = f"--property=Environment=XDG_RUNTIME_DIR=/run/user/{ADA}"
    await stand.box.do("systemd-run", "--quiet", *own, runtime, "/lib/systemd/systemd", "--user")
