"""These tests check where settings come from, and which source wins."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from agentd.errors import ConfigError
from agentd.providers.settings import ModelSettings
from agentd.settings import SEARCH, Settings, load_settings
from agentd.settings.shape import leaves

EXAMPLE = Path(__file__).parents[3] / "config.toml.example"


def load(toml: str, folder: Path, **environ: str) -> Settings:
    """Load one file and these variables, and nothing that happens to lie on this machine."""
    file = folder / "config.toml"
    file.write_text(toml)
    return load_settings(file, environ)


def load_environ(**environ: str) -> Settings:
    return load_settings(None, environ, search=())


def credentials(folder: Path, **files: str | bytes) -> str:
    """A `$CREDENTIALS_DIRECTORY` with these files."""
    for name, content in files.items():
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(folder)


class TestSources:
    def test_no_file_at_all_means_the_defaults(self) -> None:
        settings = load_settings(None, {}, search=())

        assert settings == Settings()
        assert settings.given == frozenset()

    def test_environment_wins_over_credentials_over_file_over_defaults(self, tmp_path: Path) -> None:
        toml = '[provider]\nkind = "anthropic"\nmodel = "file"\napi_key = "file"\nbase_url = "http://file"\n'
        (tmp_path / "creds").mkdir()
        directory = credentials(tmp_path / "creds", provider__api_key="creds", provider__model="creds")
        provider = load(toml, tmp_path, CREDENTIALS_DIRECTORY=directory, AGENTD_PROVIDER__API_KEY="env").provider

        assert provider.api_key.get_secret_value() == "env"
        assert provider.model == "creds"
        assert provider.base_url == "http://file"
        assert provider.max_output_tokens == 1024

    def test_a_variable_replaces_one_key_and_leaves_its_neighbours(self, tmp_path: Path) -> None:
        toml = '[channels_config.telegram]\ntoken = "1:a"\nallowed_users = ["1", "2"]\n'
        telegram = load(
            toml, tmp_path, AGENTD_CHANNELS_CONFIG__TELEGRAM__ALLOWED_USERS='["3"]'
        ).channels_config.telegram

        assert telegram.allowed_users == ("3",)
        assert telegram.token.get_secret_value() == "1:a"

    def test_only_the_environment_that_is_passed_in_is_read(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AGENTD_LOG__LEVEL", "debug")
        monkeypatch.setenv("LOG", '{"level": "debug"}')

        assert load_settings(None, {}, search=()).log.level == "info"
        assert Settings().log.level == "info"

    def test_lists_and_tables_in_arrays_are_json_in_a_variable(self) -> None:
        settings = load_environ(
            AGENTD_CHANNELS_CONFIG__TELEGRAM__ALLOWED_USERS='["@a", 2]',
            AGENTD_PROVIDER__FALLBACKS='[{"kind": "local"}]',
            AGENTD_PROVIDER__BACKGROUND__TEMPERATURE="0",
        )

        assert settings.channels_config.telegram.allowed_users == ("@a", "2")
        assert settings.provider.fallbacks == (ModelSettings.model_validate({}),)
        assert settings.provider.background == ModelSettings.model_validate({"temperature": 0})

    def test_ids_may_be_numbers_in_the_file(self, tmp_path: Path) -> None:
        settings = load('[channels_config.discord]\nallowed_users = [80351110224678912, "@b"]\n', tmp_path)

        assert settings.channels_config.discord.allowed_users == ("80351110224678912", "@b")

    @pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
    def test_a_credential_loses_its_trailing_newline_and_no_more(self, tmp_path: Path, ending: str) -> None:
        directory = credentials(tmp_path, channels_config__telegram__token=f" 1:a b{ending}")
        settings = load_environ(CREDENTIALS_DIRECTORY=directory)

        assert settings.channels_config.telegram.token.get_secret_value() == " 1:a b"
        assert settings.given == {"channels_config.telegram.token"}

    def test_credentials_of_other_programs_are_left_alone(self, tmp_path: Path) -> None:
        directory = credentials(tmp_path, tls="x", other__key="x", **{"cert.der": b"\xff\x00", "a__b.pem": b"\xff"})

        assert load_environ(CREDENTIALS_DIRECTORY=directory) == Settings()

    def test_the_config_variable_is_no_setting(self, tmp_path: Path) -> None:
        file = tmp_path / "other.toml"
        file.write_text('[log]\nlevel = "debug"\n')

        assert load_settings(None, {"AGENTD_CONFIG": str(file)}, search=()).log.level == "debug"
        assert load_settings(None, {"AGENTD_CONFIG": ""}, search=()).log.level == "info"

    def test_given_tells_a_choice_from_a_default(self, tmp_path: Path) -> None:
        settings = load('[log]\nlevel = "info"\n[agent]\n', tmp_path, AGENTD_CHANNELS_CONFIG__CONSOLE__ENABLED="false")

        assert settings.given == {"log.level", "channels_config.console.enabled"}

    def test_a_fifo_is_read_like_a_file(self) -> None:
        reading, writing = os.pipe()
        os.write(writing, b'[log]\nlevel = "error"\n')
        os.close(writing)
        settings = load_settings(Path(f"/dev/fd/{reading}"), {})
        os.close(reading)

        assert settings.log.level == "error"


class TestSearch:
    def place(self, folder: Path, *levels: str) -> tuple[str, ...]:
        """One file for each level, in folders of their own."""
        files = [folder / str(number) / "config.toml" for number in range(len(levels))]
        for file, level in zip(files, levels, strict=True):
            file.parent.mkdir()
            file.write_text(f'[log]\nlevel = "{level}"\n')
        return tuple(str(file) for file in files)

    def test_the_places_are_those_of_the_manual_in_its_order(self) -> None:
        assert SEARCH == ("config.toml", "~/.config/agentd/config.toml", "/etc/agentd/config.toml")

    def test_the_command_line_wins_over_the_variable_over_the_places(self, tmp_path: Path) -> None:
        argument, variable, first, second = self.place(tmp_path, "debug", "warning", "error", "info")
        environ, search = {"AGENTD_CONFIG": variable}, (first, second)

        assert load_settings(Path(argument), environ, search=search).log.level == "debug"
        assert load_settings(None, environ, search=search).log.level == "warning"
        assert load_settings(None, {}, search=search).log.level == "error"
        assert load_settings(None, {}, search=(f"{first}.not", second)).log.level == "info"

    def test_home_is_that_of_the_environment(self, tmp_path: Path) -> None:
        self.place(tmp_path, "debug")

        assert load_settings(None, {"HOME": str(tmp_path)}, search=("~/0/config.toml",)).log.level == "debug"
        assert load_settings(None, {}, search=("~/0/config.toml",)).log.level == "info"

    @pytest.mark.parametrize("named_by", ["argument", "variable"])
    def test_a_file_that_was_named_must_exist(self, tmp_path: Path, named_by: str) -> None:
        file = tmp_path / "nowhere.toml"
        environ = {"AGENTD_CONFIG": str(file)} if named_by == "variable" else {}
        with pytest.raises(ConfigError) as caught:
            load_settings(file if named_by == "argument" else None, environ, search=())

        assert str(caught.value) == f"{file}: cannot be read: No such file or directory"

    def test_a_dangling_link_in_a_place_is_reported(self, tmp_path: Path) -> None:
        link = tmp_path / "config.toml"
        link.symlink_to(tmp_path / "gone")

        with pytest.raises(ConfigError, match="cannot be read: No such file"):
            load_settings(None, {}, search=(str(link),))


class TestWorkspace:
    def test_home_is_expanded(self, tmp_path: Path) -> None:
        assert load_environ().workspace == Path("~/.local/share/agentd").expanduser()
        assert load('workspace = "~/there"\n', tmp_path).workspace == Path("~/there").expanduser()

    def test_systemds_directory_is_the_default_but_no_choice(self) -> None:
        settings = load_environ(STATE_DIRECTORY="/var/lib/agentd:/var/lib/other")

        assert settings.workspace == Path("/var/lib/agentd")
        assert settings.given == frozenset()

    def test_a_configured_workspace_wins_over_systemds(self, tmp_path: Path) -> None:
        settings = load('workspace = "/srv/a"\n', tmp_path, STATE_DIRECTORY="/var/lib/agentd")

        assert settings.workspace == Path("/srv/a")
        assert settings.given == {"workspace"}
        assert load_environ(AGENTD_WORKSPACE="/srv/b", STATE_DIRECTORY="/var/lib/x").workspace == Path("/srv/b")


class TestChannels:
    @pytest.mark.parametrize(
        ("toml", "enabled"),
        [
            ("", ("console",)),
            ('[channels_config.telegram]\ntoken = "x"', ("telegram",)),
            ('[channels_config.discord]\ntoken = "x"', ("discord",)),
            ('[channels_config.slack]\nbot_token = "x"\napp_token = "y"', ("slack",)),
            ('[channels_config]\nconsole.enabled = true\ntelegram.token = "x"', ("telegram", "console")),
        ],
    )
    def test_a_token_enables_its_channel_and_the_console_stands_in(
        self, tmp_path: Path, toml: str, enabled: tuple[str, ...]
    ) -> None:
        assert load(toml, tmp_path).channels_config.enabled == enabled


class TestExample:
    def test_the_example_as_it_stands_is_the_defaults(self) -> None:
        assert load_settings(EXAMPLE, {}) == Settings()

    def test_the_example_has_every_key_and_no_other(self) -> None:
        # What is commented out starts right behind its mark, and prose after a space.
        document = tomllib.loads(re.sub(r"(?m)^#(?=\S)", "", EXAMPLE.read_text()))
        fallbacks = {("provider", "fallbacks", name) for name in ModelSettings.model_fields}

        assert set(_keys(document)) == set(leaves(Settings)) - {("provider", "fallbacks")} | fallbacks

    def test_every_table_that_is_commented_out_shows_the_defaults(self) -> None:
        document = tomllib.loads(re.sub(r"(?m)^#(?=\S)", "", EXAMPLE.read_text()))
        default = ModelSettings.model_validate({})

        assert Settings.model_validate(document).provider.fallbacks == (default,)
        assert Settings.model_validate(document).provider.background == default

    def test_every_section_is_frozen_and_closed(self) -> None:
        sections = [field.annotation for field in Settings.model_fields.values()]
        models = [section for section in sections if isinstance(section, type) and issubclass(section, BaseModel)]

        assert len(models) == 10
        assert all(model.model_config["frozen"] and model.model_config["extra"] == "forbid" for model in models)


def _keys(document: dict[str, Any], above: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    for name, value in document.items():
        table = value[0] if isinstance(value, list) and value else value
        found += _keys(table, (*above, name)) if isinstance(table, dict) else [(*above, name)]
    return found
