"""These tests hold a chat on a real pseudo-terminal: the prompt, the streaming reply, Ctrl-C, Ctrl-D."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

from tests.flow.process import journal, records, write_config
from tests.flow.stage import until
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

    left = records(config)
    async with OpenAIServer() as server:
        config = write_config(tmp_path, server.base_url)
        async with terminal(config) as screen:
            await screen.shows("Once upon a time")
            await screen.shows("you>")

    assert code == 0
    assert [record["content"] for record in left if record.get("role") == "assistant"] == ["Once upon a time"]
    assert [record["type"] for record in left].count("delivery") == 0
    assert records(config)[-1]["type"] == "delivery"


async def test_a_window_that_is_closed_at_the_prompt_ends_the_chat_in_order(tmp_path: Path) -> None:
    async with OpenAIServer() as server, terminal(write_config(tmp_path, server.base_url)) as screen:
        await screen.shows("you>")
        screen.hang_up()

        assert await screen.ended() == 0


async def test_a_reply_that_ends_while_the_chat_drains_is_shown_whole(tmp_path: Path) -> None:
    gate = asyncio.Event()
    async with OpenAIServer() as server:
        server.enqueue(slow(["Once upon ", "a time"], gate))
        config = write_config(tmp_path, server.base_url, '[log]\nlevel = "info"')
        async with terminal(config) as screen:
            await screen.shows("you>")
            await screen.press("a story" + ENTER)
            await screen.shows("Once")
            screen.process.send_signal(signal.SIGTERM)
            await screen.shows("daemon_stopping")
            gate.set()
            await screen.shows("a time")
            code = await screen.ended()

    assert code == 0
    assert [record["outcome"] for record in records(config) if record.get("role") == "assistant"] == ["complete"]


async def test_ctrl_c_while_the_chat_drains_asks_again_for_the_end_and_loses_nothing(tmp_path: Path) -> None:
    async with OpenAIServer() as server:
        server.enqueue(slow(["Once upon ", "a time"], asyncio.Event()))
        config = write_config(tmp_path, server.base_url, '[log]\nlevel = "info"')
        async with terminal(config) as screen:
            await screen.shows("you>")
            await screen.press("a story" + ENTER)
            await screen.shows("Once upon")
            screen.process.send_signal(signal.SIGTERM)
            await screen.shows("daemon_stopping")
            await screen.press(CTRL_C)
            await screen.shows("daemon_stopped")
            code = await screen.ended()
        async with terminal(config) as screen:
            await screen.shows("you>")
            await screen.press(CTRL_D)
            await screen.ended()

    assert code == 0
    assert [record["content"] for record in records(config) if record.get("role") == "assistant"] == [
        "You said: a story"
    ]


async def test_a_terminal_that_is_stopped_does_not_hold_up_the_end(tmp_path: Path) -> None:
    gate = asyncio.Event()
    async with OpenAIServer() as server:
        server.enqueue(slow(["Once upon ", "a time"], gate))
        config = write_config(tmp_path, server.base_url, "[service]\ndrain_seconds = 0.2")
        async with terminal(config) as screen:
            await screen.shows("you>")
            await screen.press("a story" + ENTER)
            await screen.shows("Once upon")
            await screen.stop()
            gate.set()
            await until(lambda: b'"assistant"' in journal(config))
            screen.process.send_signal(signal.SIGTERM)
            code = await screen.ended()
        async with terminal(config) as screen:
            await screen.shows("a time")
            await screen.shows("you>")
            await screen.press(CTRL_D)
            await screen.ended()

    assert code == 0
    assert [record["type"] for record in records(config)].count("delivery") == 1


async def test_a_level_that_is_chosen_while_the_chat_runs_counts_beside_it(tmp_path: Path) -> None:
    async with OpenAIServer() as server:
        config = write_config(tmp_path, server.base_url)
        async with terminal(config) as screen:
            await screen.shows("you>")
            config.write_text(f'{config.read_text("utf-8")}\n[log]\nlevel = "info"\n', "utf-8")
            screen.process.send_signal(signal.SIGHUP)
            await screen.shows("reloaded")
            await screen.press("hello" + ENTER)
            await screen.shows("message_accepted")
            await screen.shows("turn_finished")
            await screen.shows("you>")
            await screen.press(CTRL_D)
            code = await screen.ended()

    assert code == 0
