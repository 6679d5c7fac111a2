"""These tests check that Slack's mrkdwn is read as what people typed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.slack.mrkdwn import mentioned, read_text
from channels.slack.writing import escape_text

ME = "U0BOT"
NAMES = {"U0BOB": "bob", ME: "agentd"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1 &lt; 2 &amp;&amp; 3 &gt; 2", "1 < 2 && 3 > 2"),
        ("&amp;lt;", "&lt;"),
        ("<@U0BOT> what is this?", "what is this?"),
        ("<@U0BOT|agentd>: what is this?", "what is this?"),
        ("what is this, <@U0BOT>?", "what is this, @agentd?"),
        ("ask <@U0BOB>", "ask @bob"),
        ("ask <@U0EVE>", "ask @U0EVE"),
        ("ask <@W0EVE|eve>", "ask @eve"),
        ("in <#C0GENERAL|general> or <#C0OTHER>", "in #general or #C0OTHER"),
        ("<!here> and <!subteam^S1|@all-of-us> and <!subteam^S2>", "@here and @all-of-us and @S2"),
        ("<!date^1392734382^{date}|18 February>", "18 February"),
        ("<https://x.test/?a=1&amp;b=2>", "https://x.test/?a=1&b=2"),
        ("<https://x.test|this page>", "this page (https://x.test)"),
        ("<http://x.test|x.test>", "x.test"),
        ("<mailto:ada@x.test|ada@x.test>", "ada@x.test"),
        ("a \ud800 half", "a \N{REPLACEMENT CHARACTER} half"),
        ("*bold* _it_ ~no~ `x` :smile:", "*bold* _it_ ~no~ `x` :smile:"),
    ],
)
def test_tokens_become_words(text: str, words: str) -> None:
    assert read_text(text, ME, NAMES) == words


@given(st.text())
def test_what_somebody_types_comes_back_as_it_was(text: str) -> None:
    whole = "".join(character for character in text if not "\ud800" <= character <= "\udfff")

    assert read_text(escape_text(whole), ME, NAMES) == whole


def test_whom_a_text_names_is_read_once_and_not_from_what_is_only_typed() -> None:
    assert mentioned("<@U0BOB> <@U0BOT|agentd> <@U0BOB> &lt;@U0EVE&gt; @U0EVE") == ["U0BOB", "U0BOT"]
