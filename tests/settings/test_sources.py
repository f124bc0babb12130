"""Where settings come from, which wins, and what is said of a wrong one."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepaudio_serve.errors import SettingsError
from stepaudio_serve.settings.declared import options
from stepaudio_serve.settings.options import Settings
from stepaudio_serve.settings.sources import from_file, resolve

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    WriteFile = Callable[[str], Path]


@pytest.fixture
def written(tmp_path: Path) -> WriteFile:
    def write(text: str) -> Path:
        path = tmp_path / "stepaudio.yaml"
        path.write_text(text, "utf-8")
        return path

    return write


def refused(
    flags: Mapping[str, object] | None = None, *, environ: Mapping[str, str] | None = None, file: Path | None = None
) -> SettingsError:
    with pytest.raises(SettingsError) as caught:
        resolve(flags, environ=environ, files=[file] if file else ())
    return caught.value


# ---- precedence


def test_each_source_yields_to_the_one_before_it(tmp_path: Path) -> None:
    here, users = tmp_path / "here.yaml", tmp_path / "users.yaml"
    here.write_text("max_num_seqs: 3\nport: 3\nname: here\n")
    users.write_text("max_num_seqs: 4\nport: 4\nname: users\nserved_model_name: users\n")
    resolved = resolve(
        {"max_num_seqs": "1"},
        environ={"STEPAUDIO_MAX_NUM_SEQS": "2", "STEPAUDIO_PORT": "2"},
        files=[here, users],
        profile="rtx-5090",
    )
    chosen = resolved.settings
    assert (chosen.max_num_seqs, chosen.port, chosen.name, chosen.served_model_name) == (1, 2, "here", "users")
    assert chosen.max_num_batched_tokens == 1024
    assert chosen.canary == "lenient"


def test_every_value_knows_where_it_comes_from(written: WriteFile) -> None:
    path = written("# mine\n\nname: here\n")
    resolved = resolve({"max_num_seqs": "1"}, environ={"STEPAUDIO_PORT": "2"}, files=[path], profile="rtx-5090")
    places = {name: (origin.source, origin.place) for name, origin in resolved.origins.items()}
    assert places["max_num_seqs"] == ("flag", "--max-num-seqs")
    assert places["port"] == ("environment", "STEPAUDIO_PORT")
    assert places["name"] == ("file", f"{path}:3")
    assert places["gpus"] == ("profile", "rtx-5090")
    assert places["canary"] == ("default", "default")
    assert places.keys() == Settings.model_fields.keys()


def test_the_profile_can_be_named_by_a_variable_and_a_flag_wins_over_it() -> None:
    environ = {"STEPAUDIO_PROFILE": "rtx-5090"}
    assert resolve(environ=environ).settings.max_num_seqs == 4
    assert resolve(environ=environ, profile="rtx-pro-6000").settings.max_num_seqs == 32


def test_an_empty_variable_says_nothing() -> None:
    assert resolve(environ={"STEPAUDIO_PORT": ""}).settings.port == 9999


def test_files_that_are_not_there_are_skipped(tmp_path: Path) -> None:
    assert resolve(files=[tmp_path / "absent.yaml"]).settings == Settings()


# ---- wrong values


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("port", "70000", "a whole number from 1 up to 65535"),
        ("port", "http", "a whole number from 1 up to 65535"),
        ("port", "9" * 10_000, "a whole number from 1 up to 65535"),
        ("max_model_len", "0", "a whole number from 1 or auto"),
        ("max_model_len", "autp", "did you mean auto?"),
        ("gpu_memory_utilization", "1.01", "a number above 0 up to 1"),
        ("gpu_memory_utilization", "nan", "a number above 0 up to 1"),
        ("ready_timeout", "inf", "a number above 0 up to 604800"),
        ("stop_grace", "-1", "a whole number from 0"),
        ("engine", "vlm", "allowed are vllm, rehearsal - did you mean vllm?"),
        ("canary", "strikt", "did you mean strict?"),
        ("guard", "maybe", "allowed are on and off"),
        ("gpus", "al", "did you mean all?"),
        ("gpus", "-1", "all, none, 0,1"),
        ("gpus", "0,0", "a GPU is named twice"),
        ("host", "999.1.1.1", "does not appear to be an IPv4 or IPv6 address"),
        ("host", "example.com", "for example 127.0.0.1"),
        ("name", "../x", "for example step-audio-r1"),
        ("image", "--privileged", "for example stepfun2025/"),
        ("cache", "/root/.cache", "for example stepaudio-serve-cache"),
        ("model", "", "text that is not empty"),
        ("model", "a\0b", "control characters"),
        ("models_dir", "~nobody-of-that-name/x", "home directory"),
        ("api_key", "two words", "visible ASCII"),
        ("engine_args", "--seed '1", "No closing quotation"),
    ],
)
def test_a_wrong_value_is_named_with_its_origin_and_what_is_allowed(name: str, value: str, said: str) -> None:
    variable = f"STEPAUDIO_{name.upper()}"
    error = refused({name: value})
    assert error.what.startswith(f"{name} = ")
    assert said in error.what
    if value:
        assert f"({variable})" in refused(environ={variable: value}).what


@pytest.mark.parametrize(
    ("flags", "environ", "text", "fix"),
    [
        ({"port": "x"}, {}, "", "--port 9999"),
        ({"engine": "vlm"}, {}, "", "--engine vllm"),
        ({}, {"STEPAUDIO_GPUS": "al"}, "", "STEPAUDIO_GPUS=all"),
        ({}, {}, "canary: strikt", "canary: strict"),
        ({"name": "../x", "port": "x"}, {}, "", "--name step-audio-r1   --port 9999"),
        ({"engine_args": ("--port", "8080")}, {}, "", "--port 8080   (before the --)"),
        ({"engine_args": ("--max-model-len=4096",)}, {}, "", "--max-model-len 4096   (before the --)"),
        ({"engine_args": ("--no-trust-remote-code",)}, {}, "", "--trust-remote-code off   (before the --)"),
        ({"engine_args": ("--no_enable_log_requests",)}, {}, "", "--no-log-requests   (before the --)"),
        ({"engine_args": ("--uds", "/run/r1")}, {}, "", "--host 127.0.0.1   (before the --)"),
    ],
)
def test_the_fix_is_what_to_write_in_its_place(
    flags: dict[str, object], environ: dict[str, str], text: str, fix: str, written: WriteFile
) -> None:
    assert refused(flags, environ=environ, file=written(text)).fix == fix


def test_an_empty_value_is_called_empty(written: WriteFile) -> None:
    assert refused(file=written("port:\n")).what.startswith("port is empty (")


def test_every_wrong_value_is_named_at_once(written: WriteFile) -> None:
    error = refused({"port": "0"}, environ={"STEPAUDIO_CANARY": "x"}, file=written("gpus: al\n"))
    lines = error.what.splitlines()
    assert len(lines) == 3
    assert any("(--port)" in line for line in lines)
    assert any("(STEPAUDIO_CANARY)" in line for line in lines)
    assert any("stepaudio.yaml:1)" in line for line in lines)


@pytest.mark.parametrize("words", [(), ("--seed", "1")])
def test_engine_arguments_are_said_to_stand_after_the_dashes(words: tuple[str, ...]) -> None:
    assert "(after --)" in refused({"engine_args": (*words, "--port=1")}).what


def test_the_two_ways_to_give_a_key_exclude_each_other() -> None:
    error = refused({"api_key_file": "key"}, environ={"STEPAUDIO_API_KEY": "secret-one"})
    assert error.what == "api_key and api_key_file exclude each other (from STEPAUDIO_API_KEY and --api-key-file)"


def test_an_unknown_profile_is_refused_with_the_nearest() -> None:
    with pytest.raises(SettingsError, match=r"no profile `rtx-5080` - did you mean rtx-5090\?"):
        resolve(profile="rtx-5080")


def settled(flags: Mapping[str, object], environ: Mapping[str, str], *files: Path) -> Settings | None:
    """Settings, or None for a SettingsError; another error is raised."""
    with suppress(SettingsError):
        return resolve(flags, environ=environ, files=files).settings
    return None


@given(name=st.sampled_from([option.name for option in options()]), text=st.text())
def test_any_text_for_any_setting_is_a_value_or_a_settings_error(name: str, text: str) -> None:
    for settings in (settled({name: text}, {}), settled({}, {f"STEPAUDIO_{name.upper()}": text})):
        assert settings is None or Settings.model_validate(settings.model_dump()) == settings


@given(
    name=st.sampled_from([option.name for option in options()]),
    value=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dates(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=2),
        max_leaves=4,
    ),
)
def test_anything_that_yaml_can_hold_is_a_value_or_a_settings_error(name: str, value: object) -> None:
    settled({name: value}, {})


# ---- the file


@pytest.mark.parametrize(
    ("text", "name", "meant"),
    [
        ("restart: no", "restart", "no"),
        ("canary: off", "canary", "off"),
        ("trust_remote_code: on", "trust_remote_code", "on"),
        ("guard: off", "guard", False),
        ("gpus: 0", "gpus", "0"),
        ("gpus: [0, 1]", "gpus", "0,1"),
        ("gpus: none", "gpus", "none"),
        ("engine_args: --seed 1", "engine_args", ("--seed", "1")),
        ("engine_args: [--seed, '1']", "engine_args", ("--seed", "1")),
        ("image:", "image", None),
        ("host: localhost", "host", "127.0.0.1"),
    ],
)
def test_what_yaml_makes_of_a_value_is_read_as_meant(text: str, name: str, meant: object, written: WriteFile) -> None:
    assert getattr(resolve(files=[written(text)]).settings, name) == meant


@pytest.mark.parametrize(
    "text", ["port: yes", "max_num_seqs: on", "gpu_memory_utilization: true", "gpus: true", "host: 127", "name: 5"]
)
def test_what_yaml_makes_of_a_value_is_not_guessed_at(text: str, written: WriteFile) -> None:
    assert "stepaudio.yaml:1" in refused(file=written(text)).what


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "---\n"])
def test_an_empty_file_sets_nothing(text: str, written: WriteFile) -> None:
    assert from_file(written(text)) == {}


def test_an_unknown_key_is_an_error_with_its_line_and_the_nearest(written: WriteFile) -> None:
    path = written("port: 1\nmax-model-length: 4096\n")
    error = refused(file=path)
    assert error.what == f"{path}:2: unknown setting `max-model-length` - did you mean max_model_len?"


def test_a_key_set_twice_is_an_error_with_both_lines(written: WriteFile) -> None:
    error = refused(file=written("port: 1\nname: a\nport: 2\n"))
    assert "stepaudio.yaml:3: `port` is set twice" in error.what
    assert error.why.endswith("stepaudio.yaml:1")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- port\n", "does not hold settings"),
        ("port\n", "does not hold settings"),
        ("port: [1\n", "is not valid YAML"),
        ("port:\t1\n\t- x", "is not valid YAML"),
        ("model: !!python/object:os.system x\n", "the value of `model` cannot be read"),
        ("port: !!int x\n", "the value of `port` cannot be read"),
        ("model: 2026-99-99\n", "the value of `model` cannot be read"),
        ("engine_args: &a [*a]\n", "the value of `engine_args` cannot be read"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_in_words(text: str, said: str, written: WriteFile) -> None:
    assert said in refused(file=written(text)).what


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "stepaudio.yaml"
    path.write_bytes(b"\xff\xfe\xfd")
    assert "cannot be read" in refused(file=path).what


@pytest.mark.parametrize(
    "text",
    [
        'api_key: "top-secret\n',
        "api_key: *top-secret\n",
        "api_key: !top-secret x\n",
        "api_key: !!int top-secret\n",
        "name: !top-secret x\n",
    ],
)
def test_a_broken_file_is_refused_without_showing_what_may_be_a_key(text: str, written: WriteFile) -> None:
    path = written(f"port: 1\n{text}")
    error = refused(file=path)
    assert "top-secret" not in f"{error.what} {error.why} {error.fix}"
    assert str(path) in error.what
    assert "unicode string" not in error.why


def test_a_folder_in_place_of_the_file_is_refused_in_words(tmp_path: Path) -> None:
    error = refused(file=tmp_path)
    assert (error.why, error.fix) == ("Is a directory", f"ls -ld {tmp_path}")


@given(text=st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=60))
def test_any_text_in_a_file_is_settings_or_a_settings_error(
    text: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_text(text, "utf-8")
    settled({}, {}, path)


# ---- engine arguments


@pytest.mark.parametrize(
    ("argument", "owner"),
    [
        ("--api-key", "api_key_file"),
        ("--max_model_len=4096", "max_model_len"),
        ("--port", "port"),
        ("-tp=2", "tensor_parallel_size"),
        ("--no-trust-remote-code", "trust_remote_code"),
        ("--no_enable_log_requests", "log_requests"),
        ("--uds", "host"),
    ],
)
def test_an_engine_argument_that_contradicts_a_setting_is_refused(argument: str, owner: str) -> None:
    error = refused({"engine_args": ("--enforce-eager", argument)})
    assert f"contradicts the setting {owner}" in error.what
    assert owner.replace("_", "-") in error.fix


@pytest.mark.parametrize("words", [("--api-key=top-secret",), ("--api-key", "top-secret")])
def test_a_key_among_the_engine_arguments_is_not_repeated(words: tuple[str, ...]) -> None:
    error = refused({"engine_args": words})
    assert "top-secret" not in f"{error.what} {error.why} {error.fix}"
    assert "--api-key-file FILE" in error.fix


def test_other_engine_arguments_pass_through() -> None:
    words = ("--enforce-eager", "--middleware", "mine.Class", "--kv-cache-dtype=fp8")
    assert resolve({"engine_args": words}).settings.engine_args == words


# ---- notices


def test_a_variable_that_is_no_setting_is_noticed_with_the_nearest() -> None:
    (notice,) = resolve(environ={"STEPAUDIO_PROT": "1", "OTHER": "2"}).notices
    assert "STEPAUDIO_PROT is not a setting" in notice
    assert "did you mean STEPAUDIO_PORT?" in notice


def test_variables_with_another_purpose_are_not_noticed() -> None:
    environ = {"STEPAUDIO_PROFILE": "rtx-5090", "STEPAUDIO_REHEARSAL_FAIL": "oom", "STEPAUDIO_REQUIRE": "docker"}
    assert resolve(environ=environ).notices == ()


def test_a_key_on_the_command_line_is_noticed() -> None:
    (notice,) = resolve({"api_key": "k"}).notices
    assert "--api-key-file" in notice
    assert resolve(environ={"STEPAUDIO_API_KEY": "k"}).notices == ()
