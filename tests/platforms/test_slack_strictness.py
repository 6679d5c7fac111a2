"""These tests check that the loopback Slack refuses and notes what its description or Slack's rules forbid."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.platforms.slack_clients import RawClient, open_raw
from tests.platforms.slack_server import APP_TOKEN, BOT_TOKEN, DM, OPEN


@pytest.fixture
async def raw() -> AsyncIterator[RawClient]:
    async with open_raw() as client:
        yield client


def blocks(*blocks: object) -> dict[str, object]:
    return {"channel": DM, "text": "a", "blocks": list(blocks)}


def section(text: object, kind: str = "mrkdwn") -> dict[str, object]:
    return {"type": "section", "text": {"type": kind, "text": text}}


HALF = {"type": "markdown", "text": "a" * 6_001}


@pytest.mark.parametrize(
    ("method", "params", "sentence"),
    [
        ("chat.postMassage", {}, "unknown_method: there is no method chat.postMassage"),
        ("api.call", {}, "unknown_method: there is no method api.call"),
        ("chat.scheduleMessage", {"channel": DM, "post_at": 1}, "unknown_method: the tests' Slack has no chat.sch"),
        ("chat.postMessage", {"channel": DM, "text": "a", "colour": "red"}, "invalid_arguments: chat.postMessage has"),
        ("chat.postMessage", {"text": "a"}, "invalid_arguments: missing required field: channel"),
        ("chat.postMessage", {"channel": DM, "text": 5}, "invalid_arguments: text must not be 5"),
        ("chat.postMessage", {"channel": DM, "text": None}, "invalid_arguments: text must not be null"),
        ("chat.postMessage", {"channel": DM, "text": "a", "thread_ts": 1.5}, "invalid_arguments: thread_ts must not"),
        ("chat.postMessage", {"channel": DM, "text": "a", "username": "x"}, "invalid_arguments: the tests' Slack does"),
        ("chat.postMessage", {"channel": DM, "text": "a" * 40_001}, "msg_too_long: a text of 40001 characters"),
        ("chat.postMessage", blocks({"type": "markdown"}), "invalid_blocks: must be a string of at least 1"),
        ("chat.postMessage", blocks({"type": "markdown", "text": "a", "colour": 1}), "invalid_blocks: additional"),
        ("chat.postMessage", blocks({"type": "marquee"}), "invalid_blocks: unsupported type: marquee"),
        ("chat.postMessage", blocks(section("a" * 3_001)), "invalid_blocks: must be 1 to 3000 characters"),
        ("chat.postMessage", blocks(section("a", "markdown")), "invalid_blocks: must be an object of type mrkdwn or"),
        ("chat.postMessage", blocks(*[{"type": "divider"}] * 51), "invalid_blocks: no more than 50 items"),
        ("chat.postMessage", blocks(HALF, HALF), "msg_blocks_too_long: markdown of more than 12000 characters"),
        ("conversations.history", {"channel": DM, "limit": 1_000}, "invalid_limit"),
        ("conversations.history", {"channel": DM, "oldest": "yesterday"}, "invalid_ts_oldest"),
        ("conversations.history", {"channel": DM, "cursor": "next"}, "invalid_cursor"),
        ("conversations.open", {}, "users_list_not_supplied"),
        (OPEN, {}, "not_allowed_token_type: apps.connections.open does not take xoxb- tokens"),
    ],
)
async def test_a_call_outside_the_description_is_refused_and_noted(
    method: str, params: dict[str, Any], sentence: str, raw: RawClient
) -> None:
    error = await raw.refusal(method, **params)

    assert error == sentence.partition(":")[0]
    (noted,) = raw.server.refusals
    assert noted.startswith(f"{method}: {sentence}")
    assert raw.server.screen() == []


async def test_the_text_of_an_edit_is_measured_in_bytes_and_escaped(raw: RawClient) -> None:
    ts = (await raw.call("chat.postMessage", channel=DM, text="a" * 40_000))["ts"]
    fits = await raw.call("chat.update", channel=DM, ts=ts, text="é" * 1_000 + "<&amp;>" + "a" * 1_987)
    long = await raw.refusal("chat.update", channel=DM, ts=ts, text="é" * 1_000 + "<&amp;>" + "a" * 1_988)

    assert (fits["ok"], long) == (True, "msg_too_long")
    assert len(raw.server.refusals) == 1


async def test_a_reply_to_a_reply_is_refused_and_noted(raw: RawClient) -> None:
    reply = raw.server.post("reply", thread=raw.server.post("root"))

    assert await raw.refusal("chat.postMessage", channel=DM, text="a", thread_ts=reply) == "cannot_reply_to_message"
    assert len(raw.server.refusals) == 1


async def test_arguments_come_in_a_form_in_the_query_or_as_json(raw: RawClient) -> None:
    address, headers = f"{raw.server.base_url}chat.postMessage", {"Authorization": f"Bearer {BOT_TOKEN}"}
    markdown = '[{"type":"markdown","text":"form"}]'
    sent = [
        {"data": {"channel": DM, "text": "a", "blocks": markdown, "token": BOT_TOKEN}},
        {"params": {"channel": DM, "text": "query", "unfurl_links": "0"}, "headers": headers},
        {"json": {"channel": DM, "text": "a", "blocks": markdown.replace("form", "json")}, "headers": headers},
    ]
    for how in sent:
        async with raw.session.post(address, **how) as response:  # type: ignore[arg-type]  # of several kinds
            assert (await response.json())["ok"] is True

    assert [shown.seen for shown in raw.server.screen()] == ["form", "query", "json"]
    assert raw.server.refusals == []


async def test_stray_addresses_bodies_that_are_no_object_and_tokens_in_the_query_are_noted(raw: RawClient) -> None:
    address, headers = f"{raw.server.base_url}auth.test", {"Content-Type": "application/json"}
    errors = []
    async with raw.session.get(f"{raw.server.root_url}/apis/auth.test") as response:
        assert response.status == 404
    for query, body in (("", "{"), ("", "[]"), (f"?token={BOT_TOKEN}", "{}")):
        async with raw.session.post(address + query, data=body, headers=headers) as response:
            errors.append((await response.json())["error"])

    assert errors == ["invalid_json", "json_not_object", "not_authed"]
    assert raw.server.refusals[0] == "there is nothing at /apis/auth.test"
    assert len(raw.server.refusals) == 4


async def test_only_the_apps_own_tokens_are_taken_each_where_it_belongs(raw: RawClient) -> None:
    assert await raw.refusal("auth.test", token="") == "not_authed"
    assert await raw.refusal("auth.test", token="xoxb-other") == "invalid_auth"
    assert await raw.refusal("auth.test", token=APP_TOKEN) == "not_allowed_token_type"
    raw.server.revoke(APP_TOKEN, "account_inactive")
    assert await raw.refusal(OPEN, token=APP_TOKEN) == "account_inactive"
    assert len(raw.server.refusals) == 1
