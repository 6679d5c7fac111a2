"""These tests check that the loopback Telegram refuses what the API's description does not know."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.platforms.botapi.description import NotDescribed
from tests.platforms.telegram_clients import RawClient, open_raw


@pytest.fixture
async def bot() -> AsyncIterator[RawClient]:
    async with open_raw() as client:
        client.server.post("one")
        yield client


@pytest.mark.parametrize(
    ("method", "params", "words"),
    [
        ("sendMessage", {"chat_id": 7, "text": "a", "colour": "red"}, "sendMessage has no parameter colour"),
        ("sendMessage", {"chat_id": 7, "text": 5}, "text: Input should be a valid string"),
        ("sendMessage", {"chat_id": 7}, "text: Field required"),
        ("sendMessage", {"chat_id": 7, "text": "a", "entities": {}}, "entities: Input should be a valid list"),
        ("sendMessage", {"chat_id": 7, "text": "a", "entities": "[{"}, "entities: Input should be a valid list"),
        ("sendMessage", {"chat_id": 7, "text": "a", "entities": None}, "null is no value of entities"),
        ("sendMessage", {"chat_id": 7, "text": "a", "message_thread_id": "x"}, "message_thread_id: Input should be"),
        ("sendMessage", {"chat_id": 7, "text": "a", "reply_to_message_id": 1}, "sendMessage had a parameter reply"),
        ("sendMessage", {"chat_id": 7, "text": "a", "parse_mode": "HTML"}, "the tests' Telegram does not understand"),
        ("sendMessage", {"chat_id": 7, "text": "a", "reply_parameters": {"message_id": 1, "x": 1}}, "unknown field"),
        ("sendPhoto", {"chat_id": 7, "photo": "a"}, "the tests' Telegram has no sendPhoto"),
        ("getUpdates", {"allowed_updates": ["massage"]}, "there are no updates of the kind massage"),
        ("sendChatAction", {"chat_id": 7, "action": "typing", "seconds": 3}, "sendChatAction has no parameter"),
    ],
)
async def test_a_call_outside_the_description_is_refused_and_noted(
    method: str, params: dict[str, object], words: str, bot: RawClient
) -> None:
    code, description = await bot.refusal(method, **params)

    assert code == 400
    assert description.startswith(f"Bad Request: {words}")
    assert bot.server.refusals == [f"{method}: {description}"]


async def test_an_unknown_method_and_a_body_that_is_no_object_are_refused_and_noted(bot: RawClient) -> None:
    unknown = await bot.refusal("sendMassage")
    broken = (
        await bot.client.post(f"{bot.url}/getMe", content="{", headers={"Content-Type": "application/json"})
    ).json()
    array = (await bot.client.post(f"{bot.url}/getMe", json=[])).json()

    assert unknown == (404, "Not Found: method not found")
    assert broken["description"].startswith("Bad Request: can't parse object")
    assert array["description"] == "Bad Request: JSON object expected"
    assert len(bot.server.refusals) == 3


async def test_parameters_come_in_a_form_in_the_query_or_as_json_and_the_name_in_any_case(bot: RawClient) -> None:
    entities = '[{"type":"bold","offset":0,"length":"1"}]'
    form = {"chat_id": "7", "text": "form", "entities": entities, "disable_notification": "true"}
    answers = [
        await bot.client.post(f"{bot.url}/SENDMESSAGE", data=form),
        await bot.client.get(
            f"{bot.url}/sendmessage", params={"chat_id": "7", "text": "query", "message_thread_id": ""}
        ),
        await bot.client.post(f"{bot.url}/sendMessage", json={"chat_id": "7", "text": "json", "entities": entities}),
    ]

    assert [answer.json()["result"]["text"] for answer in answers] == ["form", "query", "json"]
    assert answers[0].json()["result"]["entities"] == [{"type": "bold", "offset": 0, "length": 1}]
    assert {name for name, _ in bot.server.calls} == {"sendMessage"}
    assert bot.server.refusals == []


async def test_only_the_bots_own_token_is_taken(bot: RawClient) -> None:
    bot.token = "1:other"
    other = await bot.refusal("getMe")
    bot.token = "nonsense"
    nonsense = await bot.refusal("getMe")

    assert other == (401, "Unauthorized")
    assert nonsense == (401, "Unauthorized: invalid token specified")


async def test_the_server_itself_cannot_send_what_the_description_does_not_know(bot: RawClient) -> None:
    with pytest.raises(NotDescribed, match="unknown field"):
        bot.server.post("one", more={"colour": "red"})
    with pytest.raises(NotDescribed, match="Field required"):
        bot.server.push("message", {})
    bot.server.chats.chats[7].title = "changes nothing"
    bot.server.chats.person(7).first_name = 5  # type: ignore[assignment]  # what no type checker would let pass

    with pytest.raises(NotDescribed):
        bot.server.post("two")
