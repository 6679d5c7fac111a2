"""These tests check allow lists with an @name on Slack, through slack_sdk over real sockets."""

from __future__ import annotations

from channels.base import Author, InboundMessage
from tests.platforms.slack_behaviours import failing
from tests.platforms.slack_rig import open_rig
from tests.platforms.slack_server import ADA, BOB


async def test_a_name_that_was_not_to_be_had_in_time_shuts_nobody_out_who_writes_later() -> None:
    async with open_rig(allowed=("@ada",)) as rig, rig.running():
        await rig.opened()
        rig.server.enqueue("users.info", None, failing())
        rig.server.post(f"ask <@{ADA}>", author=BOB)
        await rig.acked(1)
        rig.server.post("it is me")
        await rig.acked(2)

        assert [inbound.author.username for inbound in rig.took if isinstance(inbound, InboundMessage)] == [
            "bob",
            "ada",
        ]


async def test_a_name_in_another_workspace_is_no_name_here() -> None:
    async with open_rig(allowed=("@ada",)) as rig, rig.running():
        rig.server.name_person("U0OTHER001", "ada").team = "T0OTHER001"
        await rig.opened()
        rig.server.mention("hello", author="U0OTHER001")
        await rig.takes(1)
        [message] = rig.took

        assert isinstance(message, InboundMessage)
        assert message.author == Author("U0OTHER001", "ada", "")
