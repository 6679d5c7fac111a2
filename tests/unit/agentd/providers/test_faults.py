from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentd.providers.errors import ContextTooLong, ProviderError, ProviderRefused, ProviderRetryable
from agentd.providers.faults import Server, build_error, clean_text, parse_fault, parse_fault_tree, parse_retry_after

SERVER = Server("models.example:8080", "http://models.example:8080/v1", "tiny", "sk-planted")
NOW = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)


def error_of(status: int, body: object = None, wait_seconds: float | None = None) -> ProviderError:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return build_error(parse_fault(status, data, wait_seconds), SERVER)


def openai(message: str, code: str | int | None = None, kind: str = "invalid_request_error") -> dict[str, object]:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 504, 529])
def test_overload_and_the_servers_own_faults_may_pass(status: int) -> None:
    error = error_of(status, openai("busy"), 7.0)

    assert isinstance(error, ProviderRetryable)
    assert error.retry_after_seconds == 7.0


@pytest.mark.parametrize(
    ("status", "message", "code"),
    [
        (400, "Please shorten your input.", "context_length_exceeded"),
        (400, "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000.", None),
        (400, "This endpoint's maximum context length is 32768 tokens. However, you requested about 40000.", 400),
        (400, "the request exceeds the available context size. try increasing the context size", None),
        (500, "the request exceeds the available context size, try increasing it", None),
        (500, "input is too large to process. increase the physical batch size", None),
        (400, "prompt is too long: 210000 tokens > 200000 maximum", None),
        (400, "Please reduce the length of the messages or completion.", None),
        (413, "Request too large for model `x` on tokens per minute (TPM): Limit 6000", "rate_limit_exceeded"),
        (429, "Request too large for gpt-4 on tokens per min (TPM): Limit 10000, Requested 12000.", None),
        (400, "Prompt contains 40000 tokens, too large for model with 32768 maximum context length", None),
        (400, "prompt too long; exceeded max context length by 4096 tokens", None),
        (400, "the input length exceeds the context length", None),
        (400, "The decoder prompt (length 5000) is longer than the maximum model length of 4096.", None),
        (400, "'max_tokens' is too large: 99. This model's maximum context length is 64 tokens", None),
        (400, "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).", None),
        (400, "This model's maximum prompt length is 131072 but the request contains 140000 tokens.", None),
        (400, "The number of tokens to keep from the initial prompt is greater than the context length.", None),
        (422, "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4097.", None),
        (400, "Your request exceeded model token limit: 8192", None),
        (400, "too many tokens: size limit exceeded by 11326 tokens", None),
    ],
)
def test_a_prompt_that_is_too_long_is_told_apart(status: int, message: str, code: str | int | None) -> None:
    assert isinstance(error_of(status, openai(message, code)), ContextTooLong)


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (400, "max_tokens is too large: 100000. This model supports at most 16384 completion tokens."),
        (400, "Invalid value for 'temperature'."),
        (401, "maximum context length"),
        (404, "The model does not exist: maximum context length"),
    ],
)
def test_other_refusals_are_not_taken_for_a_long_prompt(status: int, message: str) -> None:
    assert isinstance(error_of(status, openai(message)), ProviderRefused)


def test_a_rate_limit_on_tokens_is_no_long_prompt() -> None:
    assert isinstance(error_of(429, openai("Too many tokens per minute")), ProviderRetryable)


@pytest.mark.parametrize(("status", "code"), [(429, "insufficient_quota"), (402, None)])
def test_an_empty_account_is_not_asked_again(status: int, code: str | None) -> None:
    error = error_of(status, openai("You exceeded your current quota.", code))

    assert isinstance(error, ProviderRefused)
    assert "no credit" in str(error)


def test_a_refused_key_is_told_without_the_servers_words() -> None:
    error = error_of(401, openai("Incorrect API key provided: sk-planted"))

    assert isinstance(error, ProviderRefused)
    assert str(error) == "the model's server at models.example:8080 refused the key: set provider.api_key"


def test_a_forbidden_request_says_why() -> None:
    error = error_of(403, openai("Country not supported"))

    assert isinstance(error, ProviderRefused)
    assert "set provider.api_key (it said: Country not supported)" in str(error)


def test_an_unknown_model_is_told_with_its_address() -> None:
    error = error_of(404, {"error": "model 'tiny' not found, try pulling it first"})

    assert isinstance(error, ProviderRefused)
    assert "tiny under http://models.example:8080/v1" in str(error)
    assert "try pulling it first" in str(error)


def test_a_server_that_has_moved_is_told_so() -> None:
    assert "check provider.base_url" in str(error_of(308, b""))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"object": "error", "message": "no such role", "code": 400}, "no such role"),
        ({"object": "error", "message": {"detail": [{"loc": ["body", "seed"], "msg": "Extra"}]}}, "body seed Extra"),
        ({"detail": "not like this"}, "not like this"),
        ([{"error": {"code": 400, "message": "in a list"}}], "in a list"),
        ({"error": {"message": "Provider returned error", "metadata": {"raw": "from behind"}}}, "from behind"),
        (b"plain words", "plain words"),
        (b"<html>a page</html>", "check provider.model and provider.base_url"),
        (b"", "check provider.model and provider.base_url"),
        (b"null", "check provider.model and provider.base_url"),
        (b"[" * 100_000, "[[["),
        (b'{"error":' * 100_000 + b"1" + b"}" * 100_000, "{"),
    ],
)
def test_every_shape_of_error_is_read(body: object, words: str) -> None:
    error = error_of(400, body)

    assert isinstance(error, ProviderRefused)
    assert words in str(error)


def test_the_servers_words_come_out_short_clean_and_without_the_key() -> None:
    said = clean_text("bad\x1b[31m\n key\u202e sk-pla\x00nted and sk-p******ted" + " x" * 500, "sk-planted")

    assert said.startswith("bad[31m key [key] and [key] x x")
    assert len(said) == 200


def test_an_endless_word_is_cut_at_once() -> None:
    assert len(clean_text("x" * 1_000_000, "sk-planted")) == 200


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"code": 429, "message": "slow down"}, ProviderRetryable),
        ({"code": "502", "message": "upstream"}, ProviderRetryable),
        ({"message": "overloaded", "type": "overloaded_error"}, ProviderRetryable),
        ({"message": "no", "type": "invalid_request_error"}, ProviderRefused),
        ({"code": "insufficient_quota", "message": "pay"}, ProviderRefused),
        ({"code": 403, "message": "flagged"}, ProviderRefused),
        ({"code": "context_length_exceeded", "message": "long"}, ContextTooLong),
        ("something broke", ProviderRetryable),
    ],
)
def test_an_error_inside_a_stream_carries_its_own_status(error: object, kind: type[ProviderError]) -> None:
    assert isinstance(build_error(parse_fault_tree({"error": error}), SERVER), kind)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "20"}, 20.0),
        ({"retry-after": " 1.5 "}, 1.5),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after-ms": "250", "retry-after": "20"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "20"}, 20.0),
        ({"retry-after": "Wed, 02 Jan 2030 03:05:05 GMT"}, 60.0),
        ({"retry-after": "Wed, 02 Jan 2030 03:05:05 -0000"}, 60.0),
        ({"retry-after": "Wed, 02 Jan 2030 03:00:00 GMT"}, 0.0),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "tomorrow"}, None),
    ],
)
def test_the_wait_is_read_in_every_form(headers: dict[str, str], seconds: float | None) -> None:
    assert parse_retry_after(headers, NOW) == seconds


@given(st.text(max_size=40), st.text(max_size=40))
def test_no_header_is_too_odd_to_read(milliseconds: str, seconds: str) -> None:
    wait_seconds = parse_retry_after({"retry-after-ms": milliseconds, "retry-after": seconds}, NOW)

    assert wait_seconds is None or 0 <= wait_seconds < float("inf")


@given(st.integers(300, 599), st.binary(max_size=200))
def test_no_answer_is_too_odd_to_be_told(status: int, body: bytes) -> None:
    text = str(error_of(status, body))

    assert text.isprintable()
    assert SERVER.key not in text


def test_the_key_is_no_part_of_how_a_server_prints() -> None:
    assert SERVER.key not in repr(SERVER)
