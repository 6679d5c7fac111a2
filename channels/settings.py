"""This module defines the settings in `[channels_config]`: tokens, allow lists and group rules of each platform."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr

__all__ = ["ChannelsSettings", "ConsoleSettings", "DiscordSettings", "SlackSettings", "TelegramSettings"]


def _http(url: str) -> str:
    if url and not url.startswith(("http://", "https://")):
        raise ValueError("must start with http:// or https://")
    return url


def _websocket(url: str) -> str:
    if url and not url.startswith(("ws://", "wss://")):
        raise ValueError("must start with ws:// or wss://")
    return url


HttpUrl = Annotated[str, AfterValidator(_http)]
WebsocketUrl = Annotated[str, AfterValidator(_websocket)]
Attention = Literal["mention", "all", "off"]
# TOML ids are often written without quotes; every id is a string from here on.
UserId = Annotated[str, Field(coerce_numbers_to_str=True, min_length=1)]


class TelegramSettings(BaseModel):
    """The section `[channels_config.telegram]`: enabled by its token."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    token: SecretStr = SecretStr("")
    api_base_url: HttpUrl = ""
    allowed_users: tuple[UserId, ...] = ()
    groups: Attention = "mention"


class DiscordSettings(BaseModel):
    """The section `[channels_config.discord]`: enabled by its token."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    token: SecretStr = SecretStr("")
    api_base_url: HttpUrl = ""
    gateway_url: WebsocketUrl = ""
    allowed_users: tuple[UserId, ...] = ()
    guilds: Attention = "mention"


class SlackSettings(BaseModel):
    """The section `[channels_config.slack]`: enabled by its two tokens together."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    bot_token: SecretStr = SecretStr("")
    app_token: SecretStr = SecretStr("")
    api_base_url: HttpUrl = ""
    allowed_users: tuple[UserId, ...] = ()
    channels: Attention = "mention"


class ConsoleSettings(BaseModel):
    """The section `[channels_config.console]`: on when asked for, or when there is no other channel."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool = False


class ChannelsSettings(BaseModel):
    """The section `[channels_config]` and the sections below it, one for each platform."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    session_persistence: bool = True
    session_scope: Literal["sender", "chat"] = "sender"
    stream: Literal["edit", "off"] = "edit"
    stale_after_minutes: float = Field(default=30, gt=0)
    telegram: TelegramSettings = TelegramSettings()
    discord: DiscordSettings = DiscordSettings()
    slack: SlackSettings = SlackSettings()
    console: ConsoleSettings = ConsoleSettings()

    @property
    def enabled(self) -> tuple[str, ...]:
        """The names of the channels to run, never none: the console stands in where no platform is configured."""
        configured = {
            "telegram": bool(self.telegram.token),
            "discord": bool(self.discord.token),
            "slack": bool(self.slack.bot_token) and bool(self.slack.app_token),
            "console": self.console.enabled,
        }
        return tuple(name for name, is_on in configured.items() if is_on) or ("console",)
