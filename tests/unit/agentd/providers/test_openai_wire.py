from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentd.providers.base import CompletionRequest, Event, Finished, PromptMessage, TextDelta, Usage
from agentd.providers.errors import ContextTooLong, ProviderRefused, ProviderRetryable
from agentd.providers.faults import parse_fault
from agentd.providers.openai_wire import OPTIONAL, build_body, parse_piece
from agentd.providers.refusals import parse_refused_parameter
from agentd.providers.reply import MAX_BODY_BYTES, MAX_EVENT_BYTES, StreamedReply, parse_document
from tests.unit.agentd.providers.reading import SERVER, read_reply

REQUEST = CompletionRequest((PromptMessage("system", "be brief"), PromptMessage("user", "hi 👋")), 64, 0.5)
NONE: frozenset[str] = frozenset()


def chunk(content: object = None, reason: str | None = None, **more: object) -> bytes:
    body = {"model": "tiny-1", "choices": [{"index": 0, "delta": {"content": content}, "finish_reason": reason}]}
    return b"data: " + json.dumps({**body, **more}).encode() + b"\n\n"


def counted(prompt: object, completion: object) -> bytes:
    usage = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": 1}
    return b"data: " + json.dumps({"choices": [], "usage": usage}).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"


def read(*pieces: bytes) -> list[Event | str]:
    return read_reply(parse_piece, pieces)


def said(events: list[Event | str]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def test_the_request_is_written_in_full() -> None:
    assert json.loads(build_body(REQUEST, "tiny", NONE)) == {
        "model": "tiny",
        "messages": [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hi 👋"}],
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": 64,
        "temperature": 0.5,
    }


def test_refused_parameters_are_left_out_but_the_reply_stays_bounded() -> None:
    body = json.loads(build_body(REQUEST, "tiny", frozenset({"max_tokens", "temperature", "stream_options"})))

    assert body.keys() == {"model", "messages", "stream", "max_completion_tokens"}
    assert body["max_completion_tokens"] == 64


def test_half_a_surrogate_pair_does_not_break_the_request() -> None:
    request = CompletionRequest((PromptMessage("user", "a\ud83d"),), 64, 0.5)

    assert json.loads(build_body(request, "tiny", NONE))["messages"][0]["content"] == "a?"


def test_a_reply_is_its_pieces_then_its_end() -> None:
    events = read(chunk("Hel"), chunk("lo"), chunk(None, "stop"), counted(12, 3), DONE)

    assert events == [TextDelta("Hel"), TextDelta("lo"), Finished("stop", Usage(12, 3), "tiny-1")]


def test_what_is_no_text_is_passed_over() -> None:
    events = read(
        b": OPENROUTER PROCESSING\n\n",
        b'data: {"choices":[{"delta":{"role":"assistant","content":""}}],"usage":null}\n\n',
        b'data: {"choices":[{"delta":{"reasoning_content":"hm","content":null}}]}\n\n',
        b'data: {"choices":[{"delta":{}}]}\n\ndata: {"choices":[{"delta":null}]}\n\n',
        b'data: {"choices":null}\n\ndata:\n\n',
        b'data: {"unheard":{"of":[1,2]},"choices":[{"delta":{"content":"yes","tool_calls":[]},"logprobs":{}}]}\n\n',
        b'data: {"choices":[{"delta":{"content":""},"finish_reason":"stop"}]}\n\n',
        DONE,
    )

    assert events == [TextDelta("yes"), Finished("stop", Usage(), "tiny")]


def test_content_in_parts_gives_its_text() -> None:
    parts = [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": "yes"}]

    assert read(chunk(parts), chunk(None, "stop"))[0] == TextDelta("yes")


@pytest.mark.parametrize(
    ("reason", "mapped"),
    [
        ("stop", "stop"),
        ("length", "length"),
        ("content_filter", "filtered"),
        ("tool_calls", "stop"),
        ("function_call", "stop"),
        ("model_length", "length"),
        ("eos", "stop"),
    ],
)
def test_reasons_are_mapped(reason: str, mapped: str) -> None:
    end = read(chunk("a", reason), DONE)[-1]

    assert isinstance(end, Finished)
    assert end.reason == mapped


def test_the_end_of_the_stream_will_do_for_done() -> None:
    assert read(chunk("a"), chunk(None, "stop").rstrip())[-1] == Finished("stop", Usage(), "tiny-1")


def test_nothing_after_done_is_read() -> None:
    assert read(chunk("a", "stop"), DONE, chunk("b"), b"data: rubbish\n\n")[1:] == [Finished("stop", Usage(), "tiny-1")]


@pytest.mark.parametrize(
    "stream",
    [b"", DONE, chunk("a"), chunk("a") + DONE, chunk("a", "error") + DONE, chunk("a", "abort") + DONE],
    ids=["nothing", "only done", "cut", "done without a reason", "error", "abort"],
)
def test_a_reply_without_a_proper_end_may_be_asked_for_again(stream: bytes) -> None:
    assert read(stream)[-1] == "ProviderRetryable"


@pytest.mark.parametrize(
    "data",
    [
        b"{",
        b"null",
        b'"text"',
        b'{"choices":[{"delta":{"content":7}}]}',
        b'{"choices":[{"delta":{"content":"\xff"}}]}',
        b'{"choices":[{"delta":{"content":"\\ud83d',
        b'{"choices":[{"delta":{"content":["\\ud83d"]}}]}',
        b'{"\\ud83d":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"x":"\\ud83d","usage":{"prompt_tokens":NaN}}',
        b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"error":' + b'{"error":' * 100_000,
    ],
)
def test_a_stream_that_cannot_be_read_may_be_asked_for_again(data: bytes) -> None:
    assert read(chunk("a"), b"data: " + data + b"\n\n") == [TextDelta("a"), "ProviderRetryable"]


@pytest.mark.parametrize(
    ("pieces", "text"),
    [
        (["\ud83d", "\ude00"], "😀"),
        (["a\ud83d", "\ude00b"], "a😀b"),
        (["\ud83d", "", "\ude00"], "😀"),
        (["\ud83d\ude00\ud83d", "\ude01"], "😀😁"),
        (["a\ud83d"], "a\ufffd"),
        (["\ud83d", "a"], "\ufffda"),
        (["\ude00a\ude00", "b"], "\ufffda\ufffdb"),
        (["\ud83d", "\ud83d", "\ude00"], "\ufffd😀"),
    ],
    ids=ascii,
)
def test_halves_of_a_pair_are_joined_and_lone_ones_replaced(pieces: list[str], text: str) -> None:
    events = read(*[chunk(piece) for piece in pieces], chunk(None, "stop"), DONE)

    assert said(events) == text
    assert isinstance(events[-1], Finished)
    assert TextDelta("") not in events


def test_a_half_waits_for_the_next_piece_and_no_longer() -> None:
    reply = StreamedReply(SERVER, parse_piece)

    assert list(reply.feed(chunk("a\ud83d"))) == [TextDelta("a")]
    assert list(reply.feed(chunk("\ude00"))) == [TextDelta("😀")]


def test_a_half_in_another_place_does_not_leave_either() -> None:
    assert read(chunk("a", "stop", model="\ud83d", x="\ude00"))[-1] == Finished("stop", Usage(), "\ufffd")
    with pytest.raises(ProviderRefused, match="odd \ufffd"):
        list(parse_document(b'{"error":{"code":418,"message":"odd \\ud83d"}}', SERVER, parse_piece))


@given(st.text(st.sampled_from('a\\"ü漢\u2028😀👩🇩\ufffd'), max_size=12), st.data())
def test_any_cutting_of_a_text_even_within_a_character_gives_the_whole_text(text: str, data: st.DataObject) -> None:
    units = text.encode("utf-16-le")
    places = sorted(2 * place for place in data.draw(st.lists(st.integers(0, len(units) // 2), max_size=12)))
    cuts = zip([0, *places], [*places, len(units)], strict=True)
    pieces = [units[start:end].decode("utf-16-le", "surrogatepass") for start, end in cuts]

    assert said(read(*[chunk(piece) for piece in pieces], chunk(None, "stop"), DONE)) == text


@given(st.lists(st.text(st.characters() | st.characters(categories=["Cs"]), max_size=5), max_size=6))
def test_no_half_ever_leaves(pieces: list[str]) -> None:
    events = read(*[chunk(piece) for piece in pieces], chunk(None, "stop"), DONE)

    said(events).encode()
    assert isinstance(events[-1], Finished)
    assert all(event.text for event in events if isinstance(event, TextDelta))


def test_odd_token_counts_do_no_harm() -> None:
    assert read(chunk("a", "stop"), counted(None, -3))[-1] == Finished("stop", Usage(), "tiny-1")
    assert read(chunk("a", "stop"), counted(10**40, 2.7))[-1] == Finished("stop", Usage(2**53, 2), "tiny-1")


@pytest.mark.parametrize(
    ("error", "name"),
    [
        ({"code": 502, "message": "upstream"}, "ProviderRetryable"),
        ({"code": "insufficient_quota", "message": "pay"}, "ProviderRefused"),
        ({"code": 400, "message": "maximum context length is 8 tokens"}, "ContextTooLong"),
        ("it broke", "ProviderRetryable"),
    ],
)
def test_an_error_in_the_stream_is_an_error(error: object, name: str) -> None:
    assert read(chunk("a"), b"data: " + json.dumps({"error": error}).encode() + b"\n\n") == [TextDelta("a"), name]


def test_an_endless_line_is_refused_early() -> None:
    piece = b"data: " + b"x" * 65_530

    assert read(*[piece] * (MAX_EVENT_BYTES // len(piece) + 1)) == ["ProviderRefused"]


def test_an_endless_reply_is_refused_early() -> None:
    events = read(*[chunk("x" * 500_000)] * 100)

    assert sum(len(event.text) for event in events if isinstance(event, TextDelta)) == 4_000_000
    assert events[-1] == "ProviderRefused"


def test_a_whole_document_is_one_piece() -> None:
    body = (
        b'{"model":"tiny-2","choices":[{"message":{"role":"assistant","content":"Hello"},"finish_reason":"stop"}],'
        b'"usage":{"prompt_tokens":5,"completion_tokens":1}}'
    )

    assert list(parse_document(body, SERVER, parse_piece)) == [
        TextDelta("Hello"),
        Finished("stop", Usage(5, 1), "tiny-2"),
    ]


def test_a_document_can_be_an_error() -> None:
    with pytest.raises(ContextTooLong):
        list(parse_document(b'{"error":{"message":"prompt is too long"}}', SERVER, parse_piece))
    with pytest.raises(ProviderRetryable):
        list(parse_document(b'{"object":"error","message":"odd"}', SERVER, parse_piece))
    with pytest.raises(ProviderRefused):
        list(parse_document(b" " * (MAX_BODY_BYTES + 1), SERVER, parse_piece))


@pytest.mark.parametrize(
    ("message", "parameter", "code", "expected"),
    [
        (
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens'.",
            "max_tokens",
            "unsupported_parameter",
            "max_tokens",
        ),
        ("'temperature' does not support 0.7. Only the default (1) value is supported.", None, None, "temperature"),
        ("Unrecognized request argument supplied: stream_options", None, None, "stream_options"),
        ("Unsupported parameter: 'max_completion_tokens'", None, None, None),
        ("max_tokens is too large: 9. This model supports at most 8.", "max_tokens", "invalid_value", None),
        ("temperature must be at most 1", "temperature", None, None),
        ("Unknown role; the temperature is fine", "messages[0].role", None, None),
    ],
)
def test_a_parameter_that_the_model_does_not_know_is_found(
    message: str, parameter: str | None, code: str | None, expected: str | None
) -> None:
    body = json.dumps({"error": {"message": message, "param": parameter, "code": code}}).encode()

    assert parse_refused_parameter(parse_fault(400, body), OPTIONAL, NONE) == expected


def test_a_parameter_is_given_up_only_once_and_only_where_the_request_was_at_fault() -> None:
    fault = parse_fault(400, b'{"detail":[{"loc":["body","stream_options"],"msg":"Extra inputs are not permitted"}]}')
    failure = parse_fault(500, b'{"error":{"message":"temperature is not supported"}}')

    assert parse_refused_parameter(fault, OPTIONAL, NONE) == "stream_options"
    assert parse_refused_parameter(fault, OPTIONAL, frozenset({"stream_options"})) is None
    assert parse_refused_parameter(failure, OPTIONAL, NONE) is None


STREAM_PARTS = [
    chunk("Hel"),
    chunk("lo 👋"),
    chunk(None, "stop"),
    counted(1, 2),
    DONE,
    b": keep-alive\r\n\r\n",
    b"data: {broken\n\n",
    b'data: {"error":{"code":502}}\n\n',
    b"\r",
    chunk("ü").replace(b"\n", b"\r\n"),
]


@given(st.lists(st.sampled_from(STREAM_PARTS), max_size=6), st.data())
def test_any_cutting_of_a_stream_gives_the_same_events(parts: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(parts)
    places = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=20)))
    pieces = [stream[start:end] for start, end in zip([0, *places], [*places, len(stream)], strict=True)]

    assert read(*pieces) == read(stream)
