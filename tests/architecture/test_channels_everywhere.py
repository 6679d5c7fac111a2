"""These tests check that every channel is listed wherever channels are listed, so that none is forgotten anywhere."""

from __future__ import annotations

from pathlib import Path

import pytest

import channels
from agentd.app.reloading import read_allow_lists
from agentd.cli.init_channels import _platforms
from channels.registry import _BUILDERS
from channels.settings import ChannelsSettings
from tests.contract.stands import STANDS
from tests.crash.platform import NAMES
from tests.crash.scenarios import SCENARIOS

CHANNELS = Path(channels.__file__).parent
ALL = {path.parent.name for path in CHANNELS.glob("*/channel.py")}
PLATFORMS = ALL - {"console"}


@pytest.mark.parametrize(
    "listed",
    [_BUILDERS, read_allow_lists(ChannelsSettings()), STANDS],
    ids=["the registry", "the allow lists", "the stands of the contract's tests"],
)
def test_every_channel_is_in(listed: dict[str, object]) -> None:
    assert set(listed) == ALL


@pytest.mark.parametrize(
    "listed",
    [
        {platform.name for platform in _platforms()},
        {path.parent.name for path in CHANNELS.glob("*/introducing.py")},
        set(ChannelsSettings.model_fields) & ALL - {"console"},
        set(NAMES),
        set(SCENARIOS),
    ],
    ids=["the wizard", "those that introduce themselves", "the settings", "the kills", "the kills' scenarios"],
)
def test_every_platform_is_in(listed: set[str]) -> None:
    assert listed == PLATFORMS
