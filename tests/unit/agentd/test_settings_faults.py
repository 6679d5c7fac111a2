"""These tests check what an operator is told about wrong settings, and what is never shown."""

from __future__ import annotations

import os
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentd.errors import ConfigError
from agentd.settings import Settings, load_settings
from agentd.settings.shape import leaves

SECRET = "xoxb-hush-0123456789"


def load(toml: str | bytes, folder: Path, **environ: str) -> Settings:
    """Load one file and these variables, and nothing that happens to lie on this machine."""
    file = folder / "config.toml"
    file.write_bytes(toml if isinstance(toml, bytes) else toml.encode())
    return load_settings(file, environ)


def load_environ(**environ: str) -> Settings:
    return load_settings(None, environ, search=())


def fault(toml: str | bytes, folder: Path, **environ: str) -> str:
    """What the operator is told, without the folder's path."""
    with pytest.raises(ConfigError) as caught:
        load(toml, folder, **environ)
    return str(caught.value).replace(f"{folder}{os.sep}", "")


def fault_environ(**environ: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load_environ(**environ)
    return str(caught.value)


def credentials(folder: Path, **files: str | bytes) -> str:
    """A `$CREDENTIALS_DIRECTORY` with these files."""
    for name, content in files.items():
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(folder)


class TestFaults:
    @pytest.mark.parametrize(
        ("toml", "told"),
        [
            (
                "[agent]\nmax_context_token = 1",
                "agent.max_context_token: unknown key; did you mean max_context_tokens?",
            ),
            ("[tasks]\nzzz = 1", "tasks.zzz: unknown key; known here: concurrency, max_attempts"),
            ("[agnet]\nmailbox_size = 1", "agnet: unknown key; did you mean agent?"),
            ("[[provider.fallbacks]]\nmodle = 1", "provider.fallbacks[0].modle: unknown key; did you mean model?"),
            ("[provider.background]\nkin = 1", "provider.background.kin: unknown key; did you mean kind?"),
            ("[agent]\nmailbox_size = -1", "agent.mailbox_size: must be greater than 0, not -1"),
            ("[agent]\ncollect_window_ms = -1", "agent.collect_window_ms: must be at least 0, not -1"),
            ("[provider]\ntemperature = 2.5", "provider.temperature: must be at most 2, not 2.5"),
            ('[agent]\nmailbox_size = "many"', "agent.mailbox_size: must be a whole number"),
            ("[agent]\nmailbox_size = 1.5", "agent.mailbox_size: must be a whole number"),
            ("[agent]\nidle_minutes = [1]", "agent.idle_minutes: must be a number"),
            ("[gate]\npairing = 'perhaps'", "gate.pairing: must be true or false"),
            ("[agent]\nsystem_prompt = 1", "agent.system_prompt: must be text"),
            ("workspace = 1", "workspace: must be text"),
            ("workspace = ''", "workspace: must not be empty"),
            (r'workspace = "a\u0000b"', "workspace: is no path: it holds a NUL character"),
            ("workspace = '~nobody-has-this-name/x'", "workspace: no home directory for ~: write an absolute path"),
            ("agent = 1", "agent: must be a section of keys"),
            ("[[agent]]", "agent: must be a section of keys"),
            ("[provider]\nbackground = 1", "provider.background: must be a section of keys"),
            (
                "[service]\nmetrics_listen = '9464'",
                "service.metrics_listen: must be HOST:PORT, for example 127.0.0.1:9464",
            ),
            (
                "[channels_config]\ntelegram.allowed_users = 'x'",
                'channels_config.telegram.allowed_users: must be a list, for example ["a", "b"]',
            ),
            (
                "[channels_config]\ntelegram.allowed_users = ['']",
                "channels_config.telegram.allowed_users[0]: must not be empty",
            ),
            (
                "[channels_config]\ntelegram.api_base_url = 'localhost'",
                "channels_config.telegram.api_base_url: must start with http:// or https://",
            ),
            (
                "[channels_config]\ndiscord.gateway_url = 'http://x'",
                "channels_config.discord.gateway_url: must start with ws:// or wss://",
            ),
        ],
    )
    def test_one_line_names_file_key_and_fault(self, tmp_path: Path, toml: str, told: str) -> None:
        assert fault(toml, tmp_path) == f"config.toml: {told}"

    @pytest.mark.parametrize(
        ("key", "choices"),
        [
            ("provider.kind", "'local', 'openai' or 'anthropic'"),
            ("agent.when_busy", "'collect', 'followup' or 'interrupt'"),
            ("channels_config.session_scope", "'sender' or 'chat'"),
            ("channels_config.stream", "'edit' or 'off'"),
            ("channels_config.telegram.groups", "'mention', 'all' or 'off'"),
            ("channels_config.discord.guilds", "'mention', 'all' or 'off'"),
            ("channels_config.slack.channels", "'mention', 'all' or 'off'"),
            ("memory.embeddings", "'none', 'minilm' or 'openai'"),
            ("log.level", "'debug', 'info', 'warning' or 'error'"),
            ("log.format", "'auto', 'console' or 'json'"),
        ],
    )
    def test_a_wrong_choice_lists_the_right_ones(self, tmp_path: Path, key: str, choices: str) -> None:
        assert fault(f"{key} = 'wrong'", tmp_path) == f"config.toml: {key}: must be one of {choices}"

    @pytest.mark.parametrize("key", ["agent.idle_minutes", "provider.timeout_seconds", "provider.temperature"])
    @pytest.mark.parametrize("number", ["nan", "inf", "-inf"])
    def test_a_number_is_finite(self, tmp_path: Path, key: str, number: str) -> None:
        assert fault(f"{key} = {number}", tmp_path).startswith(f"config.toml: {key}: must be ")
        assert fault(f"[[provider.fallbacks]]\ntimeout_seconds = {number}", tmp_path).startswith(
            "config.toml: provider.fallbacks[0].timeout_seconds: must be "
        )

    @pytest.mark.parametrize(
        ("content", "told"),
        [
            (b"[agent]\n\nx = \n", "config.toml line 3: not valid TOML: Invalid value"),
            (b"[agent]\n[agent]\n", "config.toml line 2: not valid TOML: Cannot declare ('agent',) twice"),
            (b"x = '''", "config.toml: not valid TOML: Expected \"'''\" (at end of document)"),
            (b"x = " + b"[" * 20000, "config.toml: not valid TOML: nested too deep"),
            (b"[agent]\nsystem_prompt = '\xff'\n", "config.toml line 2: not UTF-8"),
        ],
    )
    def test_a_file_that_is_no_toml_is_one_clear_line(self, tmp_path: Path, content: bytes, told: str) -> None:
        assert fault(content, tmp_path) == told

    def test_a_directory_is_no_file(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="is a directory, not a file"):
            load_settings(tmp_path, {})

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
    def test_a_closed_file_is_reported(self, tmp_path: Path) -> None:
        file = tmp_path / "config.toml"
        file.touch(mode=0o000)

        with pytest.raises(ConfigError, match=r"config\.toml: cannot be read: Permission denied"):
            load_settings(None, {}, search=(str(file),))

    def test_several_faults_are_counted(self, tmp_path: Path) -> None:
        text = fault("[agent]\nmailbox_size = 0\nidle_minutes = 0\nzzz = 1\n", tmp_path)

        assert text == "config.toml: agent.mailbox_size: must be greater than 0, not 0 (and 2 more)"

    def test_a_strange_key_cannot_break_the_line(self, tmp_path: Path) -> None:
        assert "\n" not in fault('"a\\nb\\u001b" = 1', tmp_path)

    @given(data=st.data())
    def test_any_typo_in_any_key_is_named_with_the_right_key(
        self, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
    ) -> None:
        key = data.draw(st.sampled_from(sorted(leaves(Settings))))
        right = data.draw(st.sampled_from(key))
        at, letter = data.draw(st.integers(0, len(right) - 1)), data.draw(st.sampled_from(string.ascii_lowercase + "_"))
        edits = [right[:at] + letter + right[at:], right[:at] + letter + right[at + 1 :], right[:at] + right[at + 1 :]]
        wrong = data.draw(st.sampled_from([edit for edit in edits if edit != right]))
        place = key.index(right)
        toml = ".".join((*key[:place], wrong, *key[place + 1 :])) + " = 0\n"

        dotted = ".".join((*key[:place], wrong))
        expected = f"config.toml: {dotted}: unknown key; did you mean {right}?"
        assert fault(toml, tmp_path_factory.mktemp("typo")) == expected


class TestNamedFaults:
    @pytest.mark.parametrize(
        ("name", "value", "told"),
        [
            ("PROVIDER__API_KYE", SECRET, "provider.api_kye: unknown key; did you mean AGENTD_PROVIDER__API_KEY?"),
            ("PROVIDER_API_KEY", SECRET, "provider_api_key: unknown key; did you mean AGENTD_PROVIDER__API_KEY?"),
            ("PROVIDR__API_KEY", SECRET, "providr.api_key: unknown key; did you mean AGENTD_PROVIDER__API_KEY?"),
            ("TASKS__ZZZ", SECRET, "tasks.zzz: unknown key; known here: concurrency, max_attempts"),
            ("Log__Level", "info", "log.level: unknown key; did you mean AGENTD_LOG__LEVEL?"),
            ("TASKS", "{}", "tasks: is a section; set its keys one by one, for example AGENTD_TASKS__CONCURRENCY"),
            ("AGENT__MAILBOX_SIZE", "-1", "agent.mailbox_size: must be greater than 0, not -1"),
            ("AGENT__MAILBOX_SIZE", "", "agent.mailbox_size: must be a whole number"),
            ("AGENT__IDLE_MINUTES", "nan", "agent.idle_minutes: must be greater than 0, not nan"),
            ("AGENT__IDLE_MINUTES", "inf", "agent.idle_minutes: must be a finite number"),
            ("PROVIDER__FALLBACKS", "[", 'provider.fallbacks: must be a list, for example ["a", "b"]'),
            ("PROVIDER__FALLBACKS", '[{"modle": 1}]', "provider.fallbacks[0].modle: unknown key; did you mean model?"),
        ],
    )
    def test_a_variable_is_named_with_its_key_and_fault(self, name: str, value: str, told: str) -> None:
        assert fault_environ(**{f"AGENTD_{name}": value}) == f"AGENTD_{name}: {told}"

    def test_a_variable_that_is_no_utf_8_is_named(self) -> None:
        assert fault_environ(AGENTD_AGENT__SYSTEM_PROMPT="a\udcff") == "AGENTD_AGENT__SYSTEM_PROMPT: not UTF-8"

    def test_an_unknown_variable_without_neighbours_lists_the_sections(self) -> None:
        assert "foo: unknown key; known here: workspace, agent, provider" in fault_environ(AGENTD_FOO="x")

    @pytest.mark.parametrize(
        ("name", "content", "told"),
        [
            ("provider__api_kye", SECRET, "provider.api_kye: unknown key; did you mean provider__api_key?"),
            ("agent__mailbox_size", "0\n", "agent.mailbox_size: must be greater than 0, not 0"),
        ],
    )
    def test_a_credential_file_is_named_with_its_key(self, tmp_path: Path, name: str, content: str, told: str) -> None:
        directory = credentials(tmp_path, **{name: content})

        assert fault_environ(CREDENTIALS_DIRECTORY=directory) == f"{tmp_path / name}: {told}"

    def test_a_credential_that_cannot_be_read_is_named(self, tmp_path: Path) -> None:
        directory = credentials(tmp_path, provider__api_key=b"\xff")

        assert fault_environ(CREDENTIALS_DIRECTORY=directory) == f"{tmp_path}/provider__api_key line 1: not UTF-8"
        assert "cannot be read: No such file" in fault_environ(CREDENTIALS_DIRECTORY=str(tmp_path / "none"))

    def test_the_source_that_won_is_the_one_named(self, tmp_path: Path) -> None:
        text = fault("[agent]\nmailbox_size = 5\n", tmp_path, AGENTD_AGENT__MAILBOX_SIZE="0")

        assert text.startswith("AGENTD_AGENT__MAILBOX_SIZE: agent.mailbox_size: ")


class TestContradictions:
    def test_a_memory_that_is_switched_off_needs_no_embeddings(self, tmp_path: Path) -> None:
        (tmp_path / "config.toml").write_text("[memory]\nenabled = false\nembeddings = 'openai'")

        assert not load_settings(tmp_path / "config.toml", {}).memory.enabled

    @pytest.mark.parametrize(
        ("toml", "told"),
        [
            (
                "[agent]\nkeep_recent_messages = 30\nmax_history_messages = 20",
                "agent.keep_recent_messages: must be less than agent.max_history_messages, which is 20, not 30",
            ),
            (
                "[agent]\nmax_context_tokens = 1000\n[provider]\nmax_output_tokens = 1000",
                "provider.max_output_tokens: must be less than agent.max_context_tokens, which is 1000, not 1000",
            ),
            ("[provider]\nkind = 'openai'\nmodel = 'm'", 'provider.base_url: missing; for kind "openai" write'),
            (
                "[provider]\nkind = 'openai'\nbase_url = 'http://x/v1'",
                'provider.model: missing; for kind "openai" write',
            ),
            (
                "[provider]\nkind = 'anthropic'\nmodel = 'm'",
                'provider.api_key: missing; for kind "anthropic" write the key, or the base_url',
            ),
            ("[[provider.fallbacks]]\nkind = 'anthropic'\napi_key = 'k'", "provider.fallbacks[0].model: missing"),
            (
                "[provider]\nkind = 'anthropic'\nmodel = 'm'\nbase_url = 'http://x/v1/'",
                'provider.base_url: for kind "anthropic" it is the server\'s root, without /v1',
            ),
            ("[provider]\nbase_url = 'x/v1'", "provider.base_url: must start with http:// or https://"),
            ("[[provider.fallbacks]]\nkind = 'openai'\nmodel = 'm'", "provider.fallbacks[0].base_url: missing"),
            (
                "[memory]\nembeddings = 'openai'",
                'memory.embeddings: "openai" asks the server of [provider], whose kind is "local": set provider.kind',
            ),
            ("[provider.background]\nkind = 'openai'\nmodel = 'm'", "provider.background.base_url: missing"),
        ],
    )
    def test_keys_that_do_not_go_together_are_one_line(self, tmp_path: Path, toml: str, told: str) -> None:
        assert fault(toml, tmp_path).startswith(f"config.toml: {told}")

    @pytest.mark.parametrize(("given_key", "missing"), [("bot_token", "app_token"), ("app_token", "bot_token")])
    def test_half_of_slack_is_a_fault(self, tmp_path: Path, given_key: str, missing: str) -> None:
        text = fault(f'[channels_config.slack]\n{given_key} = "{SECRET}"\n', tmp_path)

        assert text.startswith(f"config.toml: channels_config.slack.{missing}: missing; Slack needs both bot_token")
        assert SECRET not in text

    def test_the_source_named_is_where_either_key_was_set(self) -> None:
        text = fault_environ(AGENTD_AGENT__MAX_HISTORY_MESSAGES="5", AGENTD_AGENT__KEEP_RECENT_MESSAGES="9")

        assert text.startswith("AGENTD_AGENT__KEEP_RECENT_MESSAGES: agent.keep_recent_messages: ")

    @pytest.mark.parametrize(
        "toml",
        [
            "[agent]\nmax_history_messages = 10",
            "[agent]\nmax_context_tokens = 500",
            "[provider]\nkind = 'openai'\nmodel = 'm'\napi_key = 'k'",
            "[provider]\nkind = 'anthropic'\nmodel = 'm'\napi_key = 'k'",
            "[provider]\nkind = 'anthropic'\nmodel = 'm'\nbase_url = 'http://x'",
        ],
    )
    def test_a_default_gives_way_to_what_was_chosen(self, tmp_path: Path, toml: str) -> None:
        assert load(toml, tmp_path).given


class TestSecrets:
    SECRET_KEYS = (
        "provider.api_key",
        "channels_config.telegram.token",
        "channels_config.slack.app_token",
        "storage.url",
    )

    @pytest.mark.parametrize("key", SECRET_KEYS)
    @pytest.mark.parametrize("value", ["{value = '%s'}", "['%s']", "'%s'\nagent.mailbox_size = 0"])
    def test_no_fault_shows_what_was_given_for_a_secret(self, tmp_path: Path, key: str, value: str) -> None:
        with pytest.raises(ConfigError) as caught:
            load(f"{key} = {value % SECRET}\n", tmp_path)

        assert SECRET not in repr(caught.value)
        assert "input" not in str(caught.value)
        assert caught.value.__cause__ is None
        assert caught.value.__context__ is None

    @pytest.mark.parametrize("key", ["provider.kind", "agent.mailbox_size", "log.level", "api_key", "gate.pairing"])
    def test_nor_one_that_stands_under_the_wrong_key(self, tmp_path: Path, key: str) -> None:
        assert SECRET not in fault(f"{key} = '{SECRET}'\n", tmp_path)

    @pytest.mark.parametrize("key", SECRET_KEYS)
    def test_nor_a_number_given_for_a_secret(self, tmp_path: Path, key: str) -> None:
        assert fault(f"{key} = 8675309\n", tmp_path) == f"config.toml: {key}: must be text"

    def test_settings_do_not_print_their_secrets(self, tmp_path: Path) -> None:
        settings = load(f"provider.api_key = '{SECRET}'\nstorage.url = 'postgresql://u:{SECRET}@h/d'\n", tmp_path)

        assert SECRET not in repr(settings)
        assert SECRET not in str(settings.model_dump())
