"""Whose a session file is: found by its first lines, or by its name."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentd.transcript.key import SessionKey
from agentd.transcript.reading import find_key
from agentd.transcript.records import SessionHeader, encode_line
from tests.unit.agentd.transcript.building import KEY, OTHER_KEY

PATH = Path(f"/nowhere/{KEY.file_name}.jsonl")


def test_the_key_inside_decides_whose_a_file_is() -> None:
    header = encode_line(SessionHeader(version=1, key=OTHER_KEY))

    assert find_key(header + b"{}\n", PATH) == OTHER_KEY


@pytest.mark.parametrize("start", [b"", b"{}", b'{"role":"user","content":"x"}\n', b"torn\n\xff\n"])
def test_a_file_without_a_header_has_the_key_of_its_name(start: bytes) -> None:
    assert find_key(start, PATH) == KEY


def test_a_header_behind_a_torn_one_is_found() -> None:
    long = SessionKey("fake", "bot", "x" * 300)
    header = encode_line(SessionHeader(version=1, key=long))

    assert find_key(header[:50] + b"\n" + header, Path(f"/nowhere/{long.file_name}.jsonl")) == long


def test_a_shortened_name_alone_is_no_key() -> None:
    long = SessionKey("fake", "bot", "x" * 300)

    assert find_key(b"torn", Path(f"/nowhere/{long.file_name}.jsonl")) is None
