"""These tests check that the app manifest in the documents asks for what the channel needs, and no more."""

from __future__ import annotations

import re
from pathlib import Path

from channels.markup.rich import plain
from tests.platforms.slack_rig import HERE, known, open_rig, thread_of
from tests.platforms.slack_server import ADA, BOB, BOT, DM, GENERAL, PRIVATE, File
from tests.platforms.slackapi.tokens import NEEDED, OPEN

MANIFEST = (Path(__file__).parents[2] / "docs" / "slack-manifest.yaml").read_text("utf-8")
MPIM = "G0SEVERAL1"
HISTORIES = {
    "message.channels": "channels:history",
    "message.groups": "groups:history",
    "message.im": "im:history",
    "message.mpim": "mpim:history",
    "app_mention": "app_mentions:read",
    "assistant_thread_started": "assistant:write",
    "assistant_thread_context_changed": "assistant:write",
}
"""The scope that each event needs (https://docs.slack.dev/reference/events)."""


def listed(key: str) -> set[str]:
    """Return the list below a key."""
    found = re.search(rf"^ *{key}:\n((?: *- \S+.*\n)+)", MANIFEST, re.MULTILINE)
    assert found is not None
    return set(re.findall(r"- (\S+)", found[1]))


async def test_the_scopes_and_events_of_the_manifest_are_those_that_the_channel_needs() -> None:
    scopes, events = listed("bot"), listed("bot_events")
    async with open_rig() as rig:
        rig.server.tokens.scopes = {*scopes, "connections:write"}
        rig.server.people.subscribed = frozenset(events)
        rig.server.open_channel(MPIM, kind="mpim")
        roots = {chat: rig.server.mention("old", channel=chat, unheard=True) for chat in (GENERAL, PRIVATE, MPIM)}
        places = [HERE, *(thread_of(root, chat) for chat, root in roots.items())]
        rig.known = [known(place, place.thread or "1700000000.000100") for place in places]
        async with rig.running():
            await rig.takes(3)
            thread = rig.server.open_assistant()
            rig.server.post(f"for <@{BOB}>", thread=thread, files=[File(is_hidden=True)])
            for chat in (GENERAL, PRIVATE, MPIM):
                rig.server.mention("hello", channel=chat)
            command = rig.server.command("/agentd", "help")
            [message] = [one for one in await rig.takes(8) if getattr(one, "files", ())]
            await rig.until(lambda: rig.server.assistant.titles and not rig.server.unacked)
            await rig.channel.show_typing(thread_of(thread, DM))
            ts = await rig.channel.send(HERE, plain("one"), "")
            await rig.channel.edit(HERE, ts, plain("two"))
            await rig.channel.delete(HERE, ts)
            assert [block async for block in rig.channel.fetch(message.files[0])]  # type: ignore[union-attr]

    called = {name for name, _ in rig.server.calls} - {OPEN}
    needed = {NEEDED[method][0] for method in called if method in NEEDED}
    assert {"conversations.history", "conversations.replies", "files.info", "users.info"} <= called
    assert rig.channel.health.counts["not_caught_up"] == 0
    assert command.said
    assert events == set(HISTORIES)
    assert scopes == needed | set(HISTORIES.values()) | {"commands"}


def test_the_manifest_has_the_switches_that_the_channel_needs() -> None:
    assert "socket_mode_enabled: true" in MANIFEST
    assert "messages_tab_enabled: true" in MANIFEST
    assert "messages_tab_read_only_enabled: false" in MANIFEST
    assert "token_rotation_enabled: false" in MANIFEST
    assert "command: /agentd" in MANIFEST


async def test_without_being_an_assistant_the_app_works_all_the_same() -> None:
    async with open_rig() as rig, rig.running():
        rig.server.tokens.scopes.discard("assistant:write")
        await rig.opened()
        thread = rig.server.open_assistant()
        rig.server.post("hello", thread=thread)
        await rig.takes(1)
        await rig.channel.send(thread_of(thread, DM), plain(f"hello {ADA} {BOT}"), "")

        assert rig.texts == ["hello"]
