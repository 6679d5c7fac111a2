"""`agentd service`: installs and removes the systemd unit that starts the daemon and keeps it running."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from agentd.cli.screen import clean, print_lines
from agentd.cli.sessions_files import plain_faults
from agentd.cli.systemd import Systemd, find_systemd
from agentd.cli.unit_config import ETC, Plan, plan_config
from agentd.cli.unit_places import check_readable, find_program, find_roots, is_hidden, make_open_folder
from agentd.cli.unit_text import Placing, is_untouched, render_unit
from agentd.errors import AgentdError
from agentd.settings import SEARCH, load_settings
from agentd.settings.sources import STORED, SYSTEM_STATE, find_file

__all__ = ["Place", "service", "set_up"]

NAME = "agentd.service"
SYSTEM_UNITS = Path("/etc/systemd/system")

service = typer.Typer(help="Let systemd start agentd and keep it running.", no_args_is_help=True)

PersonalOption = Annotated[bool, typer.Option("--user", help="A service of your own, not one of the system.")]


@dataclass(frozen=True, slots=True)
class Place:
    """The unit's path, and the systemd manager (system or user) that reads it."""

    unit: Path
    systemd: Systemd


@service.command()
def install(context: typer.Context, is_personal: PersonalOption = False) -> None:
    """Write the unit for this installation, verify it, and say what comes next."""
    place = _find_place(is_personal, os.environ)
    before = _read_ours(place.unit)
    plan, text = _build(context.obj, place.systemd, os.environ)
    steps = set_up(place, plan, text)
    print_lines(map(clean, (*steps, *_explain(place, plan.config, before, text))))


@service.command()
def uninstall(is_personal: PersonalOption = False) -> None:
    """Stop the service and remove its unit; say what stays."""
    place = _find_place(is_personal, os.environ)
    if _read_ours(place.unit) is None:
        print_lines([f"There is no {place.unit}: nothing to remove."])
        return
    place.systemd.ask("disable", "--now", NAME)
    with plain_faults():
        place.unit.unlink()
    place.systemd.ask("daemon-reload")
    print_lines(map(clean, _say_what_stays(place)))


def set_up(place: Place, plan: Plan, text: str) -> list[str]:
    """Write configuration and unit if nothing speaks against it; return what was done to the configuration.

    Raises AgentdError, also if a disk is full or /etc cannot be written.
    """
    place.systemd.ask("show", "--property=Version")  # learn first if the manager cannot be reached
    place.systemd.verify(NAME, text)
    with plain_faults():
        steps = plan.carry_out()
        if text != _read_ours(place.unit):
            _write(place, text)
    place.systemd.ask("daemon-reload")
    return steps


def _find_place(is_personal: bool, environ: Mapping[str, str]) -> Place:
    systemd = find_systemd(is_personal=is_personal)
    if not is_personal:
        if os.geteuid() != 0:
            raise AgentdError("the system's services are root's: use sudo, or --user for a service of your own")
        return Place(SYSTEM_UNITS / NAME, systemd)
    if os.geteuid() == 0 and environ.get("SUDO_USER"):
        raise AgentdError("a service of your own is installed without sudo")
    return Place(_personal(environ) / "systemd" / "user" / NAME, systemd)


def _personal(environ: Mapping[str, str]) -> Path:
    return Path(environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")


def _read_ours(unit: Path) -> str | None:
    """Return the present unit, None if there is none. Raises AgentdError if somebody has changed it."""
    if not os.path.lexists(unit):
        return None
    text = unit.read_text("utf-8") if unit.is_file() else ""
    if not is_untouched(text):
        raise AgentdError(
            f"{unit} is not as `agentd service install` wrote it, so it is left alone: keep your changes in a drop-in "
            f"(systemctl edit agentd), move that file away, then call this again"
        )
    return text


def _build(given: Path | None, systemd: Systemd, environ: Mapping[str, str]) -> tuple[Plan, str]:
    """Return the plan for the configuration, and the unit's text; nothing is written yet."""
    roots = find_roots()
    if systemd.is_personal:
        plan = _plan_personal(given, environ)
    else:
        check_readable(roots)
        plan = plan_config(given, environ, ETC)
    placing = Placing(
        program=find_program(),
        config=plan.config,
        visible=() if systemd.is_personal else tuple(filter(is_hidden, roots)),
        drain_seconds=plan.drain_seconds,
        is_personal=systemd.is_personal,
    )
    return plan, render_unit(placing)


def _plan_personal(given: Path | None, environ: Mapping[str, str]) -> Plan:
    """Plan a user's own service: it reads what that user does, with its credentials but another environment."""
    file = find_file(given, environ, SEARCH)
    config = (file or _personal(environ) / "agentd" / "config.toml").absolute()
    settings = (
        load_settings(config, {"HOME": str(Path.home())}) if config.exists() else load_settings(None, {}, search=())
    )
    return Plan(config, settings.service.drain_seconds)


def _write(place: Place, text: str) -> None:
    unit = place.unit
    if place.systemd.is_personal:
        unit.parent.mkdir(parents=True, exist_ok=True)
    else:
        make_open_folder(unit.parent)
    beside = unit.with_name(f".{unit.name}.new")
    beside.write_text(text, encoding="utf-8")
    beside.chmod(0o644)
    beside.replace(unit)


def _explain(place: Place, config: Path, before: str | None, text: str) -> Iterator[str]:
    done = "is as it should be" if text == before else "written" if before is None else "rewritten"
    yield f"{place.unit}: {done}; systemd-analyze finds no fault in it."
    if place.systemd.is_personal:
        yield f"It runs {find_program()} as you, with {config}."
    else:
        yield f"It runs {find_program()} as a user of its own, with {config}."
        yield f"It writes to {SYSTEM_STATE} alone."
    yield ""
    yield "What comes next:"
    yield from (f"  {number}. {step}" for number, step in enumerate(_next(place, config, before), 1))


def _next(place: Place, config: Path, before: str | None) -> Iterator[str]:
    command = place.systemd.words
    if not config.exists():
        mode = "" if place.systemd.is_personal else " (0644: everybody may read it, so no secrets in it)"
        yield f"Write the configuration: {config}{mode}"
    if not place.systemd.is_personal:
        example = f"{ETC.store}/{STORED}channels_config__telegram__token"
        yield f"Give it secrets, each in a file that root alone reads (0600), named after its key: {example}"
    if before is None:
        yield f"Start it, now and at every boot: {command} enable --now agentd"
        if place.systemd.is_personal:
            yield "Let it run while you are logged out, too: loginctl enable-linger"
    else:
        yield f"If it runs, restart it: {command} restart agentd"
    yield f"See how it is: {command} status agentd"
    yield f"Read its log: journalctl{' --user' if place.systemd.is_personal else ''} -u agentd -f"


def _say_what_stays(place: Place) -> Iterator[str]:
    yield f"Stopped and removed: {place.unit}"
    yield "What stays, for you to keep or delete:"
    if place.systemd.is_personal:
        base = _personal(os.environ)
        yield f"  the configuration: {base / 'agentd'}; secrets: {base / 'credstore'}/{STORED}*"
        yield "  conversations and memory: the workspace, ~/.local/share/agentd unless the configuration names another"
    else:
        yield f"  the configuration: {ETC.config.parent}; secrets: {ETC.store}/{STORED}*"
        yield f"  conversations and memory: {SYSTEM_STATE} (a link to /var/lib/private/agentd)"
    drop_ins = place.unit.with_name(f"{place.unit.name}.d")
    if drop_ins.exists():
        yield f"  your changes: {drop_ins}"
