from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentd.providers.anthropic_wire import NOTHING_BEFORE, build_body, parse_piece
from agentd.providers.base import (
    UNSEEN_NOTE,
    CompletionRequest,
    Event,
    Finished,
    Image,
    PromptMessage,
    TextDelta,
    Usage,
)
from agentd.providers.refusals import IMAGES
from agentd.providers.reply import parse_document
from tests.unit.agentd.providers.reading import SERVER, read_reply

NONE: frozenset[str] = frozenset()
MARK = {"type": "ephemeral"}

SYSTEM = PromptMessage("system", "be brief")


def user(text: str, *images: Image) -> PromptMessage:
    return PromptMessage("user", text, images)


def assistant(text: str) -> PromptMessage:
    return PromptMessage("assistant", text)


def body(*messages: PromptMessage, refused: frozenset[str] = NONE, temperature: float = 0.5) -> dict[str, Any]:
    written: dict[str, Any] = json.loads(build_body(CompletionRequest(messages, 64, temperature), "tiny", refused))
    return written


def turns(*messages: PromptMessage) -> list[tuple[str, str]]:
    return [
        (message["role"], " + ".join(block["text"] for block in message["content"]))
        for message in body(*messages)["messages"]
    ]


def event(**fields: object) -> bytes:
    return f"event: {fields['type']}\ndata: {json.dumps(fields)}\n\n".encode()


def said(text: str) -> bytes:
    return event(type="content_block_delta", index=0, delta={"type": "text_delta", "text": text})


def ended(reason: str | None, **usage: object) -> bytes:
    return event(type="message_delta", delta={"stop_reason": reason, "stop_sequence": None}, usage=usage)


STOPPED = event(type="message_stop")


def read(*pieces: bytes) -> list[Event | str]:
    return read_reply(parse_piece, pieces)


def test_the_request_is_written_in_full_with_two_places_for_the_cache() -> None:
    written = body(SYSTEM, user("one"), assistant("two"), user("three"))

    assert written == {
        "model": "tiny",
        "max_tokens": 64,
        "stream": True,
        "temperature": 0.5,
        "system": [{"type": "text", "text": "be brief", "cache_control": MARK}],
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "one"}]},
            {"role": "assistant", "content": [{"type": "text", "text": "two", "cache_control": MARK}]},
            {"role": "user", "content": [{"type": "text", "text": "three"}]},
        ],
    }


def test_what_stands_before_the_newest_message_is_the_same_bytes_a_turn_later() -> None:
    before = (SYSTEM, user("one"), assistant("two"), user("three"))
    earlier = body(*before, refused=frozenset({"cache_control"}))
    later = body(*before, assistant("four"), user("five"), refused=frozenset({"cache_control"}))

    assert later["system"] == earlier["system"]
    assert later["messages"][:3] == earlier["messages"]


def test_refused_parameters_are_left_out() -> None:
    written = body(SYSTEM, user("1"), assistant("2"), user("3"), refused=frozenset({"temperature", "cache_control"}))

    assert "temperature" not in written
    assert "cache_control" not in json.dumps(written)


def test_a_temperature_beyond_the_protocols_is_its_highest() -> None:
    assert body(user("a"), temperature=1.7)["temperature"] == 1


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([user("a"), user("b")], [("user", "a + b")]),
        ([assistant("a"), user("b")], [("user", NOTHING_BEFORE), ("assistant", "a"), ("user", "b")]),
        ([user("a"), assistant(" \n"), user("b")], [("user", "a + b")]),
        ([user("a"), PromptMessage("system", "s"), user("b")], [("user", "a + s + b")]),
        ([user("")], [("user", NOTHING_BEFORE)]),
        ([SYSTEM], [("user", NOTHING_BEFORE)]),
    ],
)
def test_the_roles_alternate_from_the_person_on_and_nothing_is_blank(
    messages: list[PromptMessage], expected: list[tuple[str, str]]
) -> None:
    assert turns(*messages) == expected


def test_system_messages_at_the_head_are_one_and_blank_ones_none() -> None:
    assert body(SYSTEM, PromptMessage("system", "be kind"), user("a"))["system"][0]["text"] == "be brief\n\nbe kind"
    assert "system" not in body(PromptMessage("system", " "), user("a"))


def test_images_stand_before_the_text_of_their_message() -> None:
    picture = Image("image/png", b"\x89PNG")
    [message] = body(user("what?", picture))["messages"]

    source = {"type": "base64", "media_type": "image/png", "data": base64.b64encode(b"\x89PNG").decode()}
    assert message["content"] == [{"type": "image", "source": source}, {"type": "text", "text": "what?"}]


def test_a_model_without_eyes_is_told_of_the_images() -> None:
    [message] = body(user("what?", Image("image/png", b"x")), refused=frozenset({IMAGES}))["messages"]

    assert message["content"] == [{"type": "text", "text": f"what?\n\n{UNSEEN_NOTE}"}]


def test_half_a_surrogate_pair_does_not_break_the_request() -> None:
    assert turns(user("a\ud83d")) == [("user", "a?")]


def test_a_reply_is_its_pieces_then_its_end_with_all_that_was_read() -> None:
    counts = {"input_tokens": 5, "cache_creation_input_tokens": 20, "cache_read_input_tokens": 100, "output_tokens": 1}
    events = read(
        event(type="message_start", message={"model": "tiny-1", "content": [], "usage": counts}),
        event(type="content_block_start", index=0, content_block={"type": "text", "text": ""}),
        event(type="ping"),
        said("Hel"),
        said("lo"),
        event(type="content_block_stop", index=0),
        ended("end_turn", output_tokens=3),
        STOPPED,
    )

    assert events == [TextDelta("Hel"), TextDelta("lo"), Finished("stop", Usage(125, 3, 100), "tiny-1")]


def test_what_is_no_text_is_passed_over() -> None:
    events = read(
        event(type="message_start", message=None),
        event(type="content_block_start", index=0, content_block={"type": "thinking", "thinking": "hm"}),
        event(type="content_block_delta", index=0, delta={"type": "thinking_delta", "thinking": "hm"}),
        event(type="content_block_delta", index=0, delta={"type": "signature_delta", "signature": "x"}),
        event(type="content_block_start", index=1, content_block={"type": "tool_use", "text": "no"}),
        event(type="content_block_delta", index=1, delta={"type": "input_json_delta", "partial_json": "{}"}),
        event(type="unheard_of", of=[1, 2]),
        said("yes"),
        ended(None),
        ended("end_turn"),
        STOPPED,
    )

    assert events == [TextDelta("yes"), Finished("stop", Usage(), "tiny")]


@pytest.mark.parametrize(
    ("reason", "mapped"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("pause_turn", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("refusal", "filtered"),
    ],
)
def test_reasons_are_mapped(reason: str, mapped: str) -> None:
    end = read(said("a"), ended(reason, output_tokens=1), STOPPED)[-1]

    assert isinstance(end, Finished)
    assert end.reason == mapped


def test_a_context_that_was_full_before_the_first_word_is_too_long() -> None:
    assert read(ended("model_context_window_exceeded", output_tokens=0), STOPPED) == ["ContextTooLong"]


@pytest.mark.parametrize("stream", [b"", said("a"), said("a") + STOPPED, said("a") + ended(None) + STOPPED])
def test_a_reply_without_a_reason_may_be_asked_for_again(stream: bytes) -> None:
    assert read(stream)[-1] == "ProviderRetryable"


@pytest.mark.parametrize(
    ("error", "name"),
    [
        ({"type": "overloaded_error", "message": "Overloaded"}, "ProviderRetryable"),
        ({"type": "api_error", "message": "Internal server error"}, "ProviderRetryable"),
        ({"type": "rate_limit_error", "message": "slow down"}, "ProviderRetryable"),
        ({"type": "authentication_error", "message": "invalid x-api-key"}, "ProviderRefused"),
        ({"type": "billing_error", "message": "pay"}, "ProviderRefused"),
        ({"type": "request_too_large", "message": "Request exceeds the maximum size"}, "ContextTooLong"),
        ({"type": "invalid_request_error", "message": "prompt is too long: 9 tokens > 8 maximum"}, "ContextTooLong"),
        (
            {
                "type": "invalid_request_error",
                "message": "input length and `max_tokens` exceed context limit: 9 + 2 > 8, decrease input length",
            },
            "ContextTooLong",
        ),
        (None, "ProviderRetryable"),
    ],
)
def test_an_error_in_the_stream_is_an_error(error: object, name: str) -> None:
    assert read(said("a"), event(type="error", error=error)) == [TextDelta("a"), name]


@pytest.mark.parametrize("data", [b"{", b"null", b'{"type":7}', b'{"type":"content_block_delta","delta":{"text":7}}'])
def test_a_stream_that_cannot_be_read_may_be_asked_for_again(data: bytes) -> None:
    assert read(said("a"), b"data: " + data + b"\n\n") == [TextDelta("a"), "ProviderRetryable"]


def test_halves_of_a_pair_are_joined() -> None:
    assert read(said("a\ud83d"), said("\ude00"), ended("end_turn"), STOPPED)[:2] == [TextDelta("a"), TextDelta("😀")]


def test_a_whole_document_is_one_piece() -> None:
    message = {
        "type": "message",
        "model": "tiny-2",
        "content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "Hello"}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 5, "output_tokens": 1},
    }

    assert list(parse_document(json.dumps(message).encode(), SERVER, parse_piece)) == [
        TextDelta("Hello"),
        Finished("stop", Usage(5, 1), "tiny-2"),
    ]


@given(st.lists(st.builds(PromptMessage, st.sampled_from(["system", "user", "assistant"]), st.text(max_size=3))))
def test_any_prompt_keeps_to_the_protocol(messages: list[PromptMessage]) -> None:
    written = body(*messages)

    roles = [message["role"] for message in written["messages"]]
    blocks = [block for message in written["messages"] for block in message["content"]]
    assert roles == [("user", "assistant")[number % 2] for number in range(len(roles))]
    assert len(roles) > 0
    assert all(message["content"] for message in written["messages"])
    assert all(block["text"].strip() for block in [*blocks, *written.get("system", [])])
    assert json.dumps(written).count('"cache_control"') <= 2
