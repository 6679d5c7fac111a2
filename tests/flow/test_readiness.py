"""These tests check what the daemon tells its supervisor, from its start to its end."""

from __future__ import annotations

import signal
from pathlib import Path

from tests.flow.process import started, write_config
from tests.platforms.notify_socket import open_notify_socket
from tests.platforms.openai_server import OpenAIServer
from tests.platforms.telegram_behaviours import refusing
from tests.platforms.telegram_server import TOKEN, TelegramServer


def telegram(server: TelegramServer) -> str:
    """Return the channel's section."""
    return f'[channels_config.telegram]\ntoken = "{TOKEN}"\napi_base_url = "{server.base_url}"\nallowed_users = ["*"]'


async def test_it_is_ready_once_its_channel_has_answered_and_says_that_it_stops(tmp_path: Path) -> None:
    async with open_notify_socket(tmp_path) as supervisor, OpenAIServer() as model, TelegramServer() as platform:
        platform.enqueue("getMe", *[refusing(502, "Bad Gateway")] * 2)
        config = write_config(tmp_path, model.base_url, telegram(platform))
        async with started(config, extra={"NOTIFY_SOCKET": supervisor.address}) as process:
            await supervisor.until(lambda: bool(supervisor.count("READY")))
            calls = [name for name, _ in platform.calls]
            process.send_signal(signal.SIGTERM)
            await process.communicate()
            await supervisor.until(lambda: bool(supervisor.count("STOPPING")))

    assert calls.count("getMe") == 3
    assert supervisor.words == ["READY", "STOPPING"]
    assert any(status == "Starting: waiting for telegram" for status in supervisor.statuses)
    assert any(status.startswith("Answering on telegram") for status in supervisor.statuses)
    assert process.returncode == 0
