"""A chat on a real pseudo-terminal: the prompt, the streaming reply, Ctrl-C, Ctrl-D."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

from tests.flow.process import records, write_config
from tests.flow.terminal import CTRL_C, CTRL_D, ENTER, terminal
from tests.platforms.openai_behaviours import slow
from tests.platforms.openai_server import OpenAIServer


async def test_a_chat_shows_a_prompt_an_answer_and_no_log(tmp_path: Path) -> None:
    async with OpenAIServer() as server, terminal(write_config(tmp_path, server.base_url)) as screen:
        await screen.shows("you>")
        await screen.press("hello" + ENTER)
        await screen.shows("You said: hello")
        await screen.shows("you>")
        await screen.press("/new" + ENTER)
        await screen.shows("A new conversation.")
        await screen.shows("you>")
        await screen.press(CTRL_D)
        code = await screen.ended()

    assert code == 0
    assert "Ctrl-D leaves" in screen.screen
    assert "message_accepted" not in screen.screen


async def test_a_reply_appears_as_it_is_made_and_ctrl_c_stops_it_and_nothing_else(tmp_path: Path) -> None:
    async with OpenAIServer() as server:
        server.enqueue(slow(["Once upon ", "a time"], asyncio.Event()))
        config = write_config(tmp_path, server.base_url)
        async with terminal(config) as screen:
            await screen.shows("you>")
            await screen.press("a story" + ENTER)
            await screen.shows("Once upon")
            await screen.press(CTRL_C)
            await screen.shows("[stopped]")
            await screen.press("hello" + ENTER)
            await screen.shows("You said: hello")
            await screen.shows("you>")
            await screen.press(CTRL_D)
            code = await screen.ended()

    assert code == 0
    assert "^C" not in screen.screen
    assert [record["outcome"] for record in records(config) if record.get("role") == "assistant"] == [
        "interrupted",
        "complete",
    ]


async def test_ctrl_c_at_the_prompt_drops_the_line_and_stays(tmp_path: Path) -> None:
    async with OpenAIServer() as server, terminal(write_config(tmp_path, server.base_url)) as screen:
        await screen.shows("you>")
        await screen.press("never sent" + CTRL_C)
        await screen.shows("you>")
        await screen.press("sent" + ENTER)
        await screen.shows("You said: sent")
        await screen.shows("you>")
        await screen.press(CTRL_D)
        await screen.ended()

    assert [request.last_user_text for request in server.requests] == ["sent"]


async def test_a_paste_of_several_lines_is_one_message(tmp_path: Path) -> None:
    async with OpenAIServer() as server, terminal(write_config(tmp_path, server.base_url)) as screen:
        await screen.shows("you>")
        await screen.press("\x1b[200~first line\nsecond line\x1b[201~" + ENTER)
        await screen.shows("You said:")
        await screen.shows("you>")
        await screen.press(CTRL_D)
        await screen.ended()

    assert [request.last_user_text for request in server.requests] == ["first line\nsecond line"]


async def test_a_signal_at_the_prompt_ends_the_chat_in_order(tmp_path: Path) -> None:
    async with OpenAIServer() as server, terminal(write_config(tmp_path, server.base_url)) as screen:
        await screen.shows("you>")
        screen.process.send_signal(signal.SIGINT)

        assert await screen.ended() == 0


async def test_a_line_longer_than_a_terminals_buffer_is_not_cut(tmp_path: Path) -> None:
    text = "x" * 6000
    async with OpenAIServer() as server, terminal(write_config(tmp_path, server.base_url)) as screen:
        await screen.shows("you>")
        await screen.press(text)
        await screen.press(ENTER)
        await screen.shows("You said:")
        await screen.shows("you>")
        await screen.press(CTRL_D)
        await screen.ended()

    assert [request.last_user_text for request in server.requests] == [text]


async def test_a_window_that_is_closed_ends_the_chat_in_order_and_keeps_the_reply(tmp_path: Path) -> None:
    gate = asyncio.Event()
    async with OpenAIServer() as server:
        server.enqueue(slow(["Once upon ", "a time"], gate))
        config = write_config(tmp_path, server.base_url)
        async with terminal(config) as screen:
            await screen.shows("you>")
            await screen.press("a story" + ENTER)
            await screen.shows("Once upon")
            screen.hang_up()
            gate.set()
            code = await screen.ended()

    assert code == 0
    assert [record["content"] for record in records(config) if record.get("role") == "assistant"] == [
        "Once upon a time"
    ]


async def test_a_window_that_is_closed_at_the_prompt_ends_the_chat_in_order(tmp_path: Path) -> None:
    async with OpenAIServer() as server, terminal(write_config(tmp_path, server.base_url)) as screen:
        await screen.shows("you>")
        screen.hang_up()

        assert await screen.ended() == 0
