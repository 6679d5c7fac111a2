"""These tests check that the loopback Discord refuses and notes what the API's description does not know."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.platforms.discord_clients import RawClient, open_raw
from tests.platforms.discord_server import ADA, ADA_DM, BOT, SEND
from tests.platforms.discordapi.description import NotDescribed

NOBODY: dict[str, Any] = {"parse": []}
MESSAGES = f"/channels/{ADA_DM}/messages"
COMMANDS = f"/applications/{BOT}/commands"


@pytest.fixture
async def bot() -> AsyncIterator[RawClient]:
    async with open_raw() as client:
        client.server.post("one")
        yield client


def message(**fields: object) -> dict[str, object]:
    return {"content": "a", "allowed_mentions": NOBODY, **fields}


@pytest.mark.parametrize(
    ("method", "path", "body", "words"),
    [
        ("POST", MESSAGES, message(colour="red"), "colour: unknown field"),
        ("POST", MESSAGES, message(content=5), "content: int is no str"),
        ("POST", MESSAGES, message(content=None), "content: null is no str"),
        ("POST", MESSAGES, {"allowed_mentions": NOBODY}, "content: required"),
        ("POST", MESSAGES, message(content=" \n"), "an empty message"),
        ("POST", MESSAGES, message(content="x" * 2001), "content: Must be 2000 or fewer in length."),
        ("POST", MESSAGES, {"content": "a"}, "allowed_mentions: This field is required: nobody is pinged."),
        ("POST", MESSAGES, message(allowed_mentions={"parse": ["all"]}), "allowed_mentions.parse.0: 'all' is none of"),
        (
            "POST",
            MESSAGES,
            message(allowed_mentions={"parse": ["users"], "users": [str(ADA)]}),
            "allowed_mentions: parse:['users'] and users: [ids...] are mutually exclusive.",
        ),
        ("POST", MESSAGES, message(nonce="x" * 26), "nonce: Must be 25 or fewer characters long."),
        ("POST", MESSAGES, message(flags=1), "flags 0x1"),
        ("POST", MESSAGES, message(embeds=[{"title": "a"}]), "embeds.0: dict is no Never"),
        ("POST", MESSAGES, message(message_reference={}), "message_reference.message_id: required"),
        ("POST", MESSAGES, [], "it: list is no object"),
        ("PATCH", f"{MESSAGES}/1", message(nonce="a"), "nonce: unknown field"),
        ("DELETE", f"{MESSAGES}/1", {}, "takes no body"),
        ("GET", f"{MESSAGES}/one", None, 'message_id: Value "one" is not snowflake.'),
        ("GET", f"{MESSAGES}?limit=101", None, "limit: int value should be less than or equal to 100."),
        ("GET", f"{MESSAGES}?limit=0", None, "limit: int value should be greater than or equal to 1."),
        ("GET", f"{MESSAGES}?since=1", None, "query: since: unknown field"),
        ("PUT", COMMANDS, [{"name": "New", "description": "a"}], "0.name: Command name is invalid"),
        ("PUT", COMMANDS, [{"name": "new", "description": ""}], "0.description: Must be between 1 and 100 in length."),
        ("PUT", COMMANDS, [{"name": "new"}], "0.description: required"),
        ("PUT", COMMANDS, [{"name": "new", "description": "a"}] * 2, "Application command names must be unique"),
        ("POST", "/interactions/1/a/callback", {"type": 9}, "type: 9 is none of 4, 5"),
        ("POST", f"{MESSAGES}/1/crosspost", None, "the tests' Discord has no such route"),
        ("PUT", MESSAGES, message(), "the tests' Discord has no such route"),
    ],
)
async def test_a_call_outside_the_description_is_refused_and_noted(
    method: str, path: str, body: object, words: str, bot: RawClient
) -> None:
    status, answer = await bot.call(method, path, body)
    (refusal,) = bot.server.refusals

    assert status in (400, 404)
    assert set(answer) >= {"message", "code"}
    assert words in refusal
    assert bot.server.screen() == []


async def test_a_form_and_what_is_no_json_are_refused_and_errors_are_written_as_discord_writes_them(
    bot: RawClient,
) -> None:
    url, headers = bot.server.base_url + MESSAGES, {"Authorization": bot.token}
    async with bot.client.post(url, data={"content": "a"}, headers=headers) as response:
        form = response.status
    async with bot.client.post(url, data="{", headers={**headers, "Content-Type": "application/json"}) as response:
        broken, content_type = response.status, response.headers["Content-Type"]
    too_long = await bot.call("POST", MESSAGES, message(content="x" * 2001))
    unknown = await bot.call("GET", "/channels/1")

    assert (form, broken, content_type) == (400, 400, "application/json")
    assert too_long == (
        400,
        {
            "message": "Invalid Form Body",
            "code": 50035,
            "errors": {
                "content": {
                    "_errors": [{"code": "BASE_TYPE_MAX_LENGTH", "message": "Must be 2000 or fewer in length."}]
                }
            },
        },
    )
    assert unknown == (404, {"message": "Unknown Channel", "code": 10003})
    assert [refusal.startswith(SEND) for refusal in bot.server.refusals] == [True, True, True]


async def test_only_the_bots_own_token_is_taken_and_one_that_was_revoked_is_refused_without_blame(
    bot: RawClient,
) -> None:
    good = await bot.call("GET", "/users/@me")
    bot.server.is_revoked = True
    revoked = await bot.call("GET", "/users/@me")
    noted = list(bot.server.refusals)
    bot.server.is_revoked = False
    bot.token = "Bot other"
    other = await bot.call("GET", "/users/@me")
    bot.token = ""
    none = await bot.call("GET", "/users/@me")
    gateway = await bot.call("GET", "/gateway")

    assert good[0] == gateway[0] == 200
    assert revoked == other == none == (401, {"message": "401: Unauthorized", "code": 0})
    assert (noted, bot.server.refusals) == ([], ["a token that is not the bot's"])


async def test_a_message_pings_only_whom_it_is_allowed_to(bot: RawClient) -> None:
    content = f"<@{ADA}> <@!{BOT}> <@&{ADA}> @everyone"
    asked = bot.server.post("what?")
    for allowed in (
        NOBODY,
        {"parse": ["users"]},
        {"users": [str(BOT)], "roles": [str(ADA)]},
        {"parse": ["everyone"], "replied_user": True},
    ):
        reference = {"message_id": str(asked)}
        sent = message(content=content, allowed_mentions=allowed, message_reference=reference)
        assert (await bot.call("POST", MESSAGES, sent))[0] == 200

    ada, own, role = str(ADA), str(BOT), str(ADA)
    assert [shown.pings for shown in bot.server.screen()] == [[], [ada, own], [own, role], [ada, "@everyone"]]


async def test_the_server_itself_cannot_send_what_the_description_does_not_know(bot: RawClient) -> None:
    with pytest.raises(NotDescribed, match="MESSAGE_CREATE: colour: unknown field"):
        bot.server.post("one", more={"colour": "red"})
    (shown,) = bot.server.history.of(ADA_DM)[:1]
    shown.kind = 1000
    headers = {"Authorization": bot.token}
    async with bot.client.get(f"{bot.server.base_url}{MESSAGES}/{shown.id}", headers=headers) as response:
        status = response.status

    assert status == 500
    assert bot.server.refusals[0].startswith(
        "answer to GET /channels/{channel_id}/messages/{message_id}: type: 1000 is"
    )
