"""These tests check `agentd init` on a terminal, from a pipe, interrupted, and on to the first answer."""

from __future__ import annotations

import os
import termios
from pathlib import Path

from tests.flow.commands import run_command
from tests.flow.process import started
from tests.flow.terminal import CTRL_C, ENTER, Terminal, terminal
from tests.platforms.openai_server import OpenAIServer
from tests.platforms.telegram_behaviours import hang
from tests.platforms.telegram_server import TOKEN, TelegramServer

ADA = 7
DOCUMENT = Path(__file__).parents[2] / "docs" / "configuration.md"
QUESTIONS = ("Numbers, several with commas", "The bot's token", "Who may talk", "A number [1]")
"""What a newcomer with Telegram and the embedded model is asked."""


def surroundings(folder: Path, telegram: TelegramServer) -> dict[str, str]:
    return {
        "AGENTD_WORKSPACE": str(folder / "workspace"),
        "AGENTD_MEMORY__ENABLED": "false",
        "AGENTD_CHANNELS_CONFIG__TELEGRAM__API_BASE_URL": telegram.base_url,
    }


async def answer(screen: Terminal, *answers: tuple[str, str]) -> None:
    """Give each answer once its question stands there."""
    for question, keys in answers:
        await screen.shows(question)
        await screen.press(keys + ENTER)


async def first_answer(telegram: TelegramServer, text: str) -> None:
    while not any(text in shown.text for shown in telegram.screen(ADA)):
        telegram.changed.clear()
        await telegram.changed.wait()


async def test_a_newcomer_is_asked_four_questions_and_is_then_answered_on_telegram(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    async with TelegramServer() as telegram, OpenAIServer() as model:
        around = surroundings(tmp_path, telegram)
        async with terminal(config, "init", extra=around) as screen:
            await answer(screen, *zip(QUESTIONS, ("1", TOKEN, str(ADA), ""), strict=True))
            await screen.shows("is written; nobody else may read it")
            await screen.shows("Start the daemon:")
            assert await screen.ended() == 0
        # The answers of the embedded model differ from time to time.
        spoken = {"KIND": "openai", "BASE_URL": model.base_url, "MODEL": "any"}
        around |= {f"AGENTD_PROVIDER__{key}": value for key, value in spoken.items()}
        async with started(config, extra=around):
            telegram.post("hello")
            await first_answer(telegram, "You said: hello")

    assert screen.screen.count("]: ") + screen.screen.count("Who may talk: ") + screen.screen.count("token: ") == 4
    assert TOKEN not in screen.screen
    assert "That is the bot @agentd_bot." in screen.screen
    assert config.stat().st_mode & 0o777 == 0o600
    assert "AGENTD" not in config.read_text()
    assert "workspace" not in config.read_text()


async def test_ctrl_c_leaves_nothing_behind_at_a_question_or_while_telegram_is_asked(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    async with TelegramServer() as telegram:
        around = surroundings(tmp_path, telegram)
        async with terminal(config, "init", extra=around) as screen:
            await answer(screen, (QUESTIONS[0], "1"))
            await screen.shows(QUESTIONS[1])
            echoes = termios.tcgetattr(screen.descriptor)[3] & termios.ECHO
            await screen.press(CTRL_C)
            await screen.shows("Nothing was written. Run agentd init to start over.")
            code = await screen.ended()
        telegram.enqueue("getMe", hang())
        async with terminal(config, "init", extra=around) as again:
            await answer(again, (QUESTIONS[0], "1"), (QUESTIONS[1], TOKEN))
            while not telegram.calls:
                telegram.changed.clear()
                await telegram.changed.wait()
            await again.press(CTRL_C)
            await again.shows("Nothing was written. Run agentd init to start over.")
            code_again = await again.ended()

    assert code == code_again == 130
    assert not echoes
    assert os.listdir(tmp_path) == []
    assert "Traceback" not in screen.screen + again.screen
    assert TOKEN not in again.screen


async def test_bytes_that_are_no_text_are_asked_for_again_where_nothing_is_shown(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    async with TelegramServer() as telegram, terminal(config, "init", extra=surroundings(tmp_path, telegram)) as screen:
        await answer(screen, (QUESTIONS[0], "1"))
        await screen.shows(QUESTIONS[1])
        os.write(screen.descriptor, b"\xff\xfe\r")
        await screen.shows("that has characters which cannot be seen: type it, or paste it, again")
        await answer(screen, *zip(QUESTIONS[1:], (TOKEN, str(ADA), ""), strict=True))
        code = await screen.ended()

    assert code == 0
    assert TOKEN in config.read_text()
    assert TOKEN not in screen.screen


async def test_a_place_that_takes_no_file_costs_no_answer(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("# mine\n")
    too_long, answers = tmp_path / f"{'x' * 300}.toml", f"{'9' * 5000}\n4\n1\n~nobody-has-this/a\nmine.toml\nm y.toml\n"
    config = tmp_path / "config.toml"
    async with started(config, "init", "--output", str(too_long)) as process:
        output, errors = await process.communicate(answers.encode())

    assert (process.returncode, errors) == (0, b"")
    assert b"write a number from 1 to 4" in output
    assert f"{too_long} cannot be written: File name too long.".encode() in output
    assert b"nobody here has that home: write the path without ~" in output
    assert b"mine.toml exists already, and is left as it is: write another" in output
    assert b"--config 'm y.toml' run" in output
    assert "the console" in (tmp_path / "m y.toml").read_text()
    assert (tmp_path / "mine.toml").read_text() == "# mine\n"


def test_an_input_that_ends_says_what_to_do(tmp_path: Path) -> None:
    done = run_command(tmp_path / "config.toml", "init")

    assert done.returncode == 1
    assert b"run agentd init on a terminal, or give it one answer a line" in done.stderr
    assert os.listdir(tmp_path) == []


async def test_a_pipe_gives_one_answer_a_line(tmp_path: Path) -> None:
    config = tmp_path / "own.toml"
    async with (
        TelegramServer() as telegram,
        started(config, "init", extra=surroundings(tmp_path, telegram)) as process,
    ):
        output, errors = await process.communicate(f"1\n{TOKEN}\n\n1\n".encode())

    # Each question and each answer to it stands in the document as it is, but for what is typed.
    shown = DOCUMENT.read_text("utf-8").partition("$ make init\n")[2].partition("\nconfig.toml is written")[0]
    lines = [line.replace("ada_helper_bot", "agentd_bot").removesuffix(" 1").rstrip() for line in shown.splitlines()]
    said = [line.rstrip() for line in output.decode().splitlines()]

    assert process.returncode == 0
    assert errors == b""
    assert said[1 : len(lines)] == lines[1:]
    assert TOKEN.encode() not in output
    assert f"--config {config} run".encode() in output
    assert f"--config {config} pair approve CODE".encode() in output
    assert f'token = "{TOKEN}"' in config.read_text()
    assert f'api_base_url = "{telegram.base_url}"' in config.read_text()


def test_a_configuration_that_is_there_is_refused_before_the_first_question(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text("# mine\n")
    done = run_command(config, "init")

    assert done.returncode == 1
    assert done.stdout == b""
    assert b"exists already, and is left as it is" in done.stderr
    assert config.read_text() == "# mine\n"


async def test_one_that_comes_into_being_meanwhile_costs_no_answer(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    async with terminal(config, "init") as screen:
        await answer(screen, (QUESTIONS[0], "4"))
        await screen.shows("A number [1]")
        config.write_text("# another's\n")
        await screen.press(ENTER)
        await screen.shows("has come into being meanwhile")
        await answer(screen, ("Write to", str(tmp_path / "other.toml")))
        await screen.shows("other.toml is written")
        code = await screen.ended()

    assert code == 0
    assert config.read_text() == "# another's\n"
    assert "the console" in (tmp_path / "other.toml").read_text()
