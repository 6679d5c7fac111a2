"""These tests check slash commands in the loopback Discord: registered, used, and answered in time or not at all."""

from __future__ import annotations

from collections.abc import AsyncIterator

import discord
import pytest
from discord.http import Route

from tests.platforms.discord_clients import Ears, open_bot
from tests.platforms.discord_server import ADA, ADA_DM, BOB, BOT, DiscordServer, texts

Opened = tuple[DiscordServer, Ears]

NEW = {"name": "new", "description": "start a new conversation", "type": 1}
MODEL = {
    "name": "model",
    "description": "choose a model",
    "options": [{"type": 3, "name": "name", "description": "which"}],
}


@pytest.fixture
async def opened() -> AsyncIterator[Opened]:
    async with open_bot() as both:
        await both[1].http.bulk_upsert_global_commands(BOT, [NEW, MODEL])
        yield both


async def test_commands_are_replaced_as_a_whole_and_keep_their_ids(opened: Opened) -> None:
    server, client = opened
    before = {command["name"]: command["id"] for command in await client.http.get_global_commands(BOT)}
    await client.http.bulk_upsert_global_commands(BOT, [MODEL])

    assert server.commands.names == ["model"]
    assert [command["id"] for command in server.commands.all] == [before["model"]]
    with pytest.raises(LookupError):
        server.interact("new")


async def test_a_command_is_answered_for_everyone_or_only_for_who_used_it(opened: Opened) -> None:
    server, client = opened
    channel = server.open_channel(server.open_guild())
    used = server.interact("model", {"name": "small"}), server.interact("new", channel=channel, author=BOB)
    direct: discord.Interaction[Ears] = await client.hears("interaction")
    in_guild: discord.Interaction[Ears] = await client.hears("interaction", 2)
    shown = await direct.response.send_message("model: small")
    await direct.followup.send("and more")
    await in_guild.response.send_message("new", ephemeral=True)
    first, second = server.interactions[used[0]], server.interactions[used[1]]

    assert (direct.id, direct.user.id, direct.channel_id, direct.guild_id) == (used[0], ADA, ADA_DM, None)
    assert direct.data is not None
    assert direct.data["options"] == [{"name": "name", "type": 3, "value": "small"}]  # type: ignore[typeddict-item]  # a command's data
    assert (in_guild.user.id, in_guild.channel_id, in_guild.guild_id is not None) == (BOB, channel, True)
    assert shown.message_id == server.screen()[0].id
    assert texts(server.screen()) == ["model: small", "and more"]
    assert server.screen(channel) == []
    assert (first.text, first.is_in_time, first.is_ephemeral) == ("model: small", True, False)
    assert (second.text, second.is_in_time, second.is_ephemeral) == ("new", True, True)


async def test_an_answer_can_be_promised_and_given_later_changed_and_deleted(opened: Opened) -> None:
    server, client = opened
    used = server.interact("new")
    interaction: discord.Interaction[Ears] = await client.hears("interaction")
    await interaction.response.defer(thinking=True)
    promised = server.screen()[0].text
    await interaction.edit_original_response(content="done")
    given = await interaction.original_response()
    await interaction.delete_original_response()

    assert (promised, given.content) == ("", "done")
    assert (server.interactions[used].text, server.screen()) == (None, [])


async def test_an_answer_after_three_seconds_is_none_and_a_second_one_is_refused(opened: Opened) -> None:
    server, client = opened
    now = [100.0]
    server.slash.clock = lambda: now[0]
    late, quick = server.interact("new"), server.interact("new")
    await client.hears("interaction", 2)
    first, second = client.of("interaction")
    now[0] += 3
    await second.response.send_message("a")
    now[0] += 0.1
    with pytest.raises(discord.NotFound, match="10062"):
        await first.response.send_message("a")
    route = Route("POST", "/interactions/{id}/{token}/callback", id=second.id, token=second.token)
    with pytest.raises(discord.HTTPException, match="40060"):
        await client.http.request(route, json={"type": 5})
    with pytest.raises(discord.NotFound, match="10015"):
        await first.followup.send("b")
    now[0] += 900
    with pytest.raises(discord.HTTPException, match="50027"):
        await second.followup.send("b")

    assert (server.interactions[late].is_in_time, server.interactions[late].text) == (False, None)
    assert server.interactions[late].answered_after == pytest.approx(3.1)
    assert (server.interactions[quick].answered_after, server.interactions[quick].text) == (3, "a")
