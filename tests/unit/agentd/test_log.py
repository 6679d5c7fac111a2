"""These tests check that foreign values cannot break the log: one event a line, and no terminal control characters."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from agentd.log import LogSettings, configure_log

HOSTILE = (
    'x\n{"event": "forged", "level": "info"}\r\n2026-01-01 00:00:00 [info     ] forged\x1b[2J\x9b31m\x00'
    "\u2028\u2029\x85\u202eevil\ud800\x7f"
)
STEERING = {"\x1b", "\x9b", "\x00", "\r", "\x85", "\u2028", "\u2029", "\u202e", "\x7f"}


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """Leave structlog, and the root logger, as they were."""
    handlers, level = logging.root.handlers[:], logging.root.level
    yield
    logging.root.handlers[:], logging.root.level = handlers, level
    structlog.reset_defaults()


def opened(form: str, level: str = "info") -> io.TextIOWrapper:
    stream = io.TextIOWrapper(io.BytesIO(), "utf-8", errors="backslashreplace")
    configure_log(LogSettings.model_validate({"format": form, "level": level}), stream)
    return stream


def written(stream: io.TextIOWrapper) -> str:
    stream.flush()
    assert isinstance(stream.buffer, io.BytesIO)
    return stream.buffer.getvalue().decode()


def fail(text: str) -> None:
    raise ValueError(text)


def log_everything() -> None:
    """Put hostile text wherever a value can stand: 5 events."""
    log = structlog.get_logger()
    log.info(
        "one", fault=HOSTILE, names=[HOSTILE], tree={"a": (HOSTILE,)}, path=ValueError(HOSTILE), short="\x1b[2J\x9b"
    )
    with structlog.contextvars.bound_contextvars(session=HOSTILE):
        log.warning("two")
    try:
        fail(HOSTILE)
    except ValueError:
        log.exception("three")
        logging.getLogger("library").exception("said: %s", HOSTILE)
    logging.getLogger("library").error(HOSTILE, "an argument for which there is no place")


def test_json_has_one_object_a_line_whatever_stands_in_the_values() -> None:
    stream = opened("json")
    log_everything()
    lines = written(stream).splitlines()
    events = [json.loads(line) for line in lines]

    assert [event["event"] for event in events] == ["one", "two", "three", "library_logged", "library_logged"]
    assert not STEERING & set("".join(lines))
    assert events[0]["fault"].startswith('x\\n{"event": "forged"')
    assert events[0]["tree"] == {"a": [events[0]["fault"]]}
    assert (events[3]["logger"], events[3]["level"]) == ("library", "error")
    assert "ValueError" in events[2]["exception"]


def test_on_the_console_nothing_but_an_event_stands_at_the_start_of_a_line() -> None:
    stream = opened("console")
    log_everything()
    lines = written(stream).splitlines()
    begun = [line for line in lines if not line.startswith("    ")]

    assert [line.split("]")[1].split()[0] for line in begun] == ["one", "two", "three", *["library_logged"] * 2]
    assert not STEERING & set("".join(lines))
    assert any("ValueError" in line for line in lines)


def test_what_is_printable_is_left_as_it_is_in_every_script() -> None:
    stream = opened("json")
    structlog.get_logger().info("one", name="Анна 安娜 שלום 👩‍👧 a\\b", empty="", number=3)
    [event] = map(json.loads, written(stream).splitlines())

    assert event["name"].startswith("Анна 安娜 שלום 👩")
    assert (event["empty"], event["number"]) == ("", 3)


def test_libraries_are_heard_from_warnings_on_and_no_louder_than_the_log() -> None:
    stream = opened("json", "debug")
    logging.getLogger("library.of.ours").info("GET https://host/bot1:secret/getMe")
    logging.getLogger("library.of.ours").debug("a request")
    assert written(stream) == ""

    stream = opened("json", "error")
    logging.getLogger("library.of.ours").warning("a warning")
    logging.getLogger("library.of.ours").error("an error")

    assert [json.loads(line)["said"] for line in written(stream).splitlines()] == ["an error"]


class Unsayable:
    """What a library may give its log."""

    def __str__(self) -> str:
        raise RuntimeError("it cannot be said")


def test_a_librarys_record_that_cannot_be_put_together_is_told_and_its_fault_stays_here() -> None:
    stream = opened("json", "debug")
    logger = logging.getLogger("library.of.faults")
    logger.setLevel(logging.DEBUG)  # as a library may say of itself
    logger.info("too much")
    logger.warning("no %(name)s", {"another": 1})
    logger.log(35, "between two levels")
    logger.error("%s", Unsayable())
    logger.critical(Unsayable())
    events = [json.loads(line) for line in written(stream).splitlines()]

    assert [(event["said"], event["level"]) for event in events] == [
        ("no %(name)s", "warning"),
        ("between two levels", "warning"),
        ("%s", "error"),
        ("Unsayable", "critical"),
    ]


SECRETS = {
    "slack's ticket": ("url='wss://wss.slack.example/link/?ticket={}&app_id=1'", "2f1e7c-11aa"),
    "slack's token": ("refused {}", "xoxb-" + "123456789012-abcdef"),
    "slack's app token": ("refused {}", "xapp-" + "1-A0123-456-abcdef"),
    "telegram's token": (
        "https://api.telegram.example/bot{}/getMe",
        "123456789:" + "AAabcdefghijklmnopqrstuvwxyz0123456",
    ),
    "discord's token": ("the token {} is wrong", "MTIzNDU2Nzg5MDEyMzQ1Njc4.GabcdE." + "abcdefghijklmnopqrstuvwxyz01"),
    "a provider's key": ("Incorrect API key provided: {}.", "sk-" + "abcdef0123456789"),
    "a header": ("{{'Authorization': 'Bearer {}'}}", "abc.def"),
    "a header alone": ("refused BEARER {}", "abcdefghijklmnop0123"),
    "a password": ("postgresql://{}@host/db", "ada:her-own"),
}


@pytest.mark.parametrize("form", ["json", "console"])
@pytest.mark.parametrize(("text", "secret"), SECRETS.values(), ids=SECRETS)
def test_what_looks_like_a_secret_is_blotted_out_of_values_and_exceptions(form: str, text: str, secret: str) -> None:
    stream = opened(form)
    log, said = structlog.get_logger(), text.format(secret)
    log.info("one", fault=said, faults=[said], tree={said: (said,)})
    log.info("one", fault=ValueError(said), raw=said.encode(), several={said})
    try:
        fail(said)
    except ValueError:
        log.exception("two")
        logging.getLogger("library").exception("said: %s", said)

    assert secret not in written(stream)
    assert written(stream).count(text.format("(blotted out)").splitlines()[0].replace('"', '\\"')) >= 4
    assert "ValueError" in written(stream)


def test_what_only_resembles_a_secret_stays() -> None:
    stream = opened("json")
    harmless = (
        "http://127.0.0.1:8080/metrics at 12:30:45, telegram:123456789, session telegram~1~2~~3, https://a.example/b@c,"
        " Bearer [key]"
    )
    structlog.get_logger().info("one", said=harmless)
    [event] = map(json.loads, written(stream).splitlines())

    assert event["said"] == harmless
