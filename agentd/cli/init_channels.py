"""The wizard's questions about channels: which platforms, their tokens (each verified live), and who may talk."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pydantic import SecretStr

import agentd
from agentd.cli.init_asking import NotThat, Talk
from agentd.errors import ConfigError
from channels.errors import ChannelError, ChannelUnavailable
from channels.introduction import Introduction
from channels.registry import introduce
from channels.settings import ChannelsSettings

__all__ = ["Enrolled", "ask_channels"]

SECONDS: Final = 15.0
"""Time limit of a platform's answer."""

NOT_ASKED: Final = "not asked whose the token is"


@dataclass(frozen=True, slots=True)
class _Platform:
    """What a person needs to know to set up a bot on a platform."""

    name: str
    title: str
    steps: tuple[str, ...]
    tokens: tuple[tuple[str, str], ...]
    """The section's keys for tokens, each with its title."""
    person: re.Pattern[str]
    """Matches the id of a person there."""
    id_says: str
    """Explains what such an id is, and where to find it."""


@dataclass(frozen=True, slots=True)
class Enrolled:
    """A channel to write into the configuration."""

    name: str
    title: str
    values: dict[str, object] = field(repr=False)
    """Values by the keys of its section; without secrets that the environment gives."""
    introduction: Introduction

    @property
    def pairs(self) -> bool:
        """Whether people need an approved code to talk (pairing)."""
        return "allowed_users" not in self.values


@dataclass(frozen=True, slots=True)
class _Entered:
    """The channels' settings so far, and the platform's last answer."""

    channels: ChannelsSettings
    introduction: Introduction


def _manifest() -> str:
    path = Path(agentd.__file__).parents[1] / "docs" / "slack-manifest.yaml"
    return str(path) if path.exists() else "docs/slack-manifest.yaml of agentd's sources"


def _platforms() -> tuple[_Platform, ...]:
    number = re.compile(r"\d{1,20}", re.ASCII)
    return (
        _Platform(
            "telegram",
            "Telegram",
            (
                "1. In Telegram, open https://t.me/BotFather and send /newbot.",
                "2. It asks for a name, and for a username that ends in bot. Its answer holds the token:",
                "   a number, a colon and a secret.",
            ),
            (("token", "The bot's token"),),
            number,
            "a number",
        ),
        _Platform(
            "slack",
            "Slack",
            (
                "1. At https://api.slack.com/apps: Create New App, From a manifest, your workspace; paste, as YAML,",
                f"   {_manifest()}",
                "2. Install App, Install to Workspace, Allow: the Bot User OAuth Token begins with xoxb-.",
                "3. Basic Information, App-Level Tokens, Generate Token and Scopes: any name, the scope",
                "   connections:write, Generate. It begins with xapp-.",
            ),
            (("bot_token", "The Bot User OAuth Token (xoxb-)"), ("app_token", "The App-Level Token (xapp-)")),
            re.compile(r"[UW][A-Z0-9]{2,30}", re.ASCII),
            "like U0123ABCD: profile, the three dots, Copy member ID",
        ),
        _Platform(
            "discord",
            "Discord",
            (
                "1. At https://discord.com/developers/applications: New Application, a name, Create.",
                "2. Bot, Reset Token, Copy: that is the token.",
                "3. On the same page, switch on Message Content Intent, Save Changes.",
            ),
            (("token", "The bot's token"),),
            number,
            "a number: Settings, Advanced, Developer Mode; then a right click on a person, Copy User ID",
        ),
    )


def ask_channels(talk: Talk, given: ChannelsSettings) -> list[Enrolled]:
    """Ask for all channels; none means the console. `given` is what environment and credential files set."""
    platforms = _platforms()
    talk.say("Where do you want to talk?")
    options = [*(platform.title for platform in platforms), "only here, on the terminal"]
    chosen = talk.choose_some("Numbers, several with commas", options)
    enrolled = [_enrol(talk, platforms[number], given) for number in chosen if number < len(platforms)]
    return [channel for channel in enrolled if channel is not None]


def _enrol(talk: Talk, platform: _Platform, given: ChannelsSettings) -> Enrolled | None:
    """Ask for one channel; return None if the person leaves it out."""
    before = getattr(given, platform.name)
    talk.say("", platform.title)
    if not all(getattr(before, key) for key, _title in platform.tokens):
        talk.say(*(f"  {step}" for step in platform.steps), "  What you paste is not shown. Enter alone leaves it out.")
    entered = _Entered(given, Introduction(NOT_ASKED))
    for key, title in platform.tokens:
        taken = _take(talk, platform.name, key, title, entered)
        if taken is None:
            talk.say(f"  {platform.title} is left out.")
            return None
        entered = taken
    section = getattr(entered.channels, platform.name)
    values: dict[str, object] = {
        key: getattr(section, key).get_secret_value() for key, _title in platform.tokens if not getattr(before, key)
    }
    values |= {key: value for key in ("api_base_url", "gateway_url") if (value := getattr(section, key, ""))}
    if people := section.allowed_users or _ask_people(talk, platform):
        values["allowed_users"] = list(people)
    return Enrolled(platform.name, platform.title, values, entered.introduction)


def _take(talk: Talk, name: str, key: str, title: str, entered: _Entered) -> _Entered | None:
    """Take one token, from the environment or from the person, and verify it with the platform."""
    if not getattr(getattr(entered.channels, name), key):
        return talk.ask_secret(title, lambda token: _enter(talk, entered, name, key, token))
    variable = f"AGENTD_CHANNELS_CONFIG__{name}__{key}".upper()
    talk.say(f"  {key} is given by ${variable} or a credential file: it is used, and not written down.")
    try:
        return _Entered(entered.channels, _introduce(talk, entered.channels, name))
    except NotThat as fault:
        raise ConfigError(f"channels_config.{name}.{key}: {fault}") from None


def _enter(talk: Talk, before: _Entered, name: str, key: str, token: str) -> _Entered | None:
    """Verify an entered token with the platform. Raises NotThat; return None if it is empty."""
    if not token:
        return None
    section = getattr(before.channels, name).model_copy(update={key: SecretStr(token)})
    channels = before.channels.model_copy(update={name: section})
    return _Entered(channels, _introduce(talk, channels, name))


def _introduce(talk: Talk, channels: ChannelsSettings, name: str) -> Introduction:
    talk.say(f"  Asking {name.title()} whose it is ...")
    try:
        found = asyncio.run(introduce(name, channels, SECONDS))
    except ChannelUnavailable as fault:
        raise NotThat(re.sub(r"^channels_config\.\w+\.\w+: ", "", str(fault))) from None
    except ChannelError as fault:
        talk.say(f"  It cannot be asked: {fault}")
        if talk.agrees("  Keep it all the same?"):
            return Introduction(NOT_ASKED)
        raise NotThat("then enter it again") from None
    talk.say(f"  That is {found.who}.", *([f"  But {found.lacks}."] if found.lacks else []))
    return found


def _ask_people(talk: Talk, platform: _Platform) -> tuple[str, ...]:
    talk.say(
        "  Who may talk to it? Enter alone: whoever writes to it is shown a code, and may talk once you approve that.",
        f"  Or, with commas: ids ({platform.id_says}), @names, or * for everyone.",
    )
    return talk.ask("Who may talk", lambda answer: _parse_people(answer, platform))


def _parse_people(answer: str, platform: _Platform) -> tuple[str, ...]:
    people = tuple(answer.replace(",", " ").split())
    for person in people:
        if not (person == "*" or re.fullmatch(r"@[\w.-]{1,80}", person) or platform.person.fullmatch(person)):
            raise NotThat(f"each must be an id ({platform.id_says}), a name with its @, or *")
    return people
