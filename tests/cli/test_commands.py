"""Commands that need no container engine, and what the others say without one."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from stepaudio_serve.settings.options import Settings
from stepaudio_serve.settings.profiles import profile_names
from stepaudio_serve.settings.sources import resolve

if TYPE_CHECKING:
    from support.cli import Cli

NO_DOCKER = {"DOCKER_HOST": "unix:///nonexistent"}


# ---- config


def test_config_show_says_every_value_with_its_place(run_cli: Cli) -> None:
    (run_cli.folder / "stepaudio.yaml").write_text("name: here\n")
    done = run_cli("config", "show", "--port", "1", "--profile", "rtx-5090", "--json", env={"STEPAUDIO_CANARY": "off"})
    shown = done.json
    assert shown.keys() == Settings.model_fields.keys()
    assert shown["port"] == {"value": 1, "source": "flag", "place": "--port"}
    assert shown["canary"] == {"value": "off", "source": "environment", "place": "STEPAUDIO_CANARY"}
    assert shown["name"] == {"value": "here", "source": "file", "place": "stepaudio.yaml:1"}
    assert shown["gpus"] == {"value": "0", "source": "profile", "place": "rtx-5090"}
    assert shown["host"] == {"value": "127.0.0.1", "source": "default", "place": "default"}


@pytest.mark.parametrize("words", [[], ["--json"]])
def test_config_show_hides_the_key(words: list[str], run_cli: Cli) -> None:
    done = run_cli("config", "show", *words, env={"STEPAUDIO_API_KEY": "k-very-secret"})
    assert done.code == 0
    assert "k-very-secret" not in done.stdout + done.stderr


def test_the_users_own_file_comes_after_the_one_here(run_cli: Cli) -> None:
    paths = run_cli("config", "path").stdout.splitlines()
    assert [item["exists"] for item in run_cli("config", "path", "--json").json["files"]] == [False, False]
    assert [path.endswith("(not there)") for path in paths] == [True, True]
    users = paths[1].removesuffix("  (not there)")
    Path(users).parent.mkdir(parents=True)
    Path(users).write_text("port: 2\nname: users\n")
    (run_cli.folder / "stepaudio.yaml").write_text("port: 1\n")
    shown = run_cli("config", "show", "--json").json
    assert (shown["port"]["value"], shown["name"]["value"]) == (1, "users")
    assert shown["name"]["place"] == f"{users}:2"


def test_config_init_writes_the_defaults_commented_out(run_cli: Cli) -> None:
    assert run_cli("config", "init").stdout == "stepaudio.yaml\n"
    path = run_cli.folder / "stepaudio.yaml"
    assert resolve(files=[path]).settings == Settings()
    lines = [line.removeprefix("#") for line in path.read_text().splitlines() if not line.startswith("# ")]
    assert yaml.safe_load("\n".join(lines)).keys() == Settings.model_fields.keys()
    path.write_text("\n".join(lines))
    assert resolve(files=[path]).settings == Settings()


def test_config_init_overwrites_only_when_told_to(run_cli: Cli) -> None:
    path = run_cli.folder / "stepaudio.yaml"
    path.write_text("port: 1\n")
    refused = run_cli("config", "init")
    assert (refused.code, "fix  stepaudio-serve config init --force" in refused.stderr) == (2, True)
    assert path.read_text() == "port: 1\n"
    assert run_cli("config", "init", "--force", "--json").json == {"path": "stepaudio.yaml"}
    assert path.read_text() != "port: 1\n"


def test_config_schema_is_a_json_schema_of_the_file(run_cli: Cli) -> None:
    assert run_cli("config", "schema").json["properties"].keys() == Settings.model_fields.keys()


# ---- profiles


def test_profiles_are_listed_and_shown(run_cli: Cli) -> None:
    listed = run_cli("profiles", "list", "--json").json["profiles"]
    assert [item["name"] for item in listed] == list(profile_names())
    assert "RTX 5090" in run_cli("profiles", "list").stdout
    assert run_cli("profiles", "show", "rtx-5090", "--json").json["settings"]["max_num_seqs"] == 4
    assert run_cli("profiles", "show", "rtx-5090").stdout.startswith("# ")


def test_an_unknown_profile_is_refused_with_the_nearest(run_cli: Cli) -> None:
    done = run_cli("profiles", "show", "rtx-509")
    assert done.code == 2
    assert "did you mean rtx-5090?" in done.stderr


# ---- plan, render


def test_a_plan_needs_neither_docker_nor_a_checkpoint(run_cli: Cli) -> None:
    done = run_cli("plan", env=NO_DOCKER)
    assert done.code == 0
    assert "docker run" in done.stdout
    assert "planned without a container engine" in done.stderr
    assert "stepaudio-serve pull" in done.stderr
    document = run_cli("plan", "--json", env=NO_DOCKER).json
    assert document["image"]
    assert document["memory"]["fits"] is None


def test_the_same_machine_makes_the_same_plan(run_cli: Cli) -> None:
    assert run_cli("plan", "--json", env=NO_DOCKER).stdout == run_cli("plan", "--json", env=NO_DOCKER).stdout


def test_render_run_is_one_command(run_cli: Cli) -> None:
    done = run_cli("render", "run", env=NO_DOCKER)
    assert done.stdout.startswith("docker run ")
    source = re.search(r"source=(\S+),target=/opt/stepaudio,", done.stdout)
    assert source
    assert Path(source[1]).is_dir()  # the line can be pasted: what it mounts is there


def test_render_writes_everything_to_a_folder(run_cli: Cli) -> None:
    done = run_cli("render", "run", "-o", "out put", env=NO_DOCKER)
    folder = run_cli.folder / "out put"
    assert done.stdout.splitlines()[0] == "out put/run.sh"
    assert f"{folder}/engine" in (folder / "run.sh").read_text()
    assert (folder / "engine" / "chat_template.jinja").exists()
    assert (folder / "engine" / "stepaudio_guard" / "__init__.py").exists()


# ---- template


def test_template_render_prints_the_prompt_and_nothing_else(run_cli: Cli) -> None:
    conversation = {"messages": [{"role": "user", "content": "Hello"}]}
    done = run_cli("template", "render", "-", stdin=json.dumps(conversation))
    assert done.stdout == "<|BOT|>human\nHello<|EOT|><|BOT|>assistant\n<think>\n"
    bare = run_cli("template", "render", "--no-generation-prompt", "-", stdin=json.dumps(conversation))
    assert bare.stdout == "<|BOT|>human\nHello<|EOT|>"


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"messages": []}', '{"messages": 1}', '{"messages": [1]}', "\\x00"])
def test_a_conversation_that_cannot_be_rendered_leaves_stdout_empty(text: str, run_cli: Cli) -> None:
    done = run_cli("template", "render", "-", stdin=text)
    assert done.code == 2
    assert done.stdout == ""
    assert done.stderr
    assert "Traceback" not in done.stderr


def test_template_show_and_check(run_cli: Cli) -> None:
    shown = run_cli("template", "show", "--template", "official").stdout
    (run_cli.folder / "mine.jinja").write_text(shown)
    assert run_cli("template", "check", "mine.jinja", "--json").json["ok"] is True
    (run_cli.folder / "mine.jinja").write_text("{% if %}")
    broken = run_cli("template", "check", "mine.jinja", "--json")
    assert (broken.code, broken.json["ok"]) == (3, False)
    told = run_cli("template", "check", "mine.jinja")
    assert (told.stdout.count("✗"), told.stderr) == (1, "")
    assert told.stdout.endswith("mine.jinja: not usable\n")


def test_a_template_that_does_not_exist_is_a_settings_error(run_cli: Cli) -> None:
    done = run_cli("plan", "--chat-template", "oficial", env=NO_DOCKER)
    assert done.code == 2
    assert "official" in done.stderr


# ---- without Docker, without a checkpoint


def test_up_without_docker_is_refused_in_words(run_cli: Cli) -> None:
    done = run_cli("up", env=NO_DOCKER)
    assert done.code == 3
    assert done.stdout == ""
    assert "no container engine answers at DOCKER_HOST=unix:///nonexistent" in done.stderr
    assert "fix" in done.stderr


def test_a_docker_context_that_does_not_exist_is_refused_by_its_name(run_cli: Cli) -> None:
    done = run_cli("up", env={"DOCKER_HOST": "", "DOCKER_CONTEXT": "nowhere"})
    assert done.code == 3
    assert "nowhere" in done.stderr


def test_a_repository_that_is_not_on_disk_is_refused_with_the_download(run_cli: Cli) -> None:
    done = run_cli("up", "--runtime", "process", "--model", "Org/R1")
    assert done.code == 3
    assert "stepaudio-serve pull --model Org/R1" in done.stderr


def test_a_folder_that_does_not_exist_is_refused(run_cli: Cli) -> None:
    done = run_cli("up", "--runtime", "process", "--model", "./no such folder")
    assert done.code == 3
    assert "no such folder" in done.stderr


def test_an_open_address_is_refused_before_anything_is_started(run_cli: Cli, free_port: int) -> None:
    words = ("--engine", "rehearsal", "--runtime", "process", "--host", "0.0.0.0", "--port", str(free_port))
    done = run_cli("up", *words, "--json")
    assert done.code == 3
    assert [finding["id"] for finding in done.json["findings"]] == ["open-to-neighbours"]
    assert run_cli("status", "--json", env=NO_DOCKER).json["error"]["code"] == "runtime-unavailable"


@pytest.mark.parametrize("command", ["down", "restart", "status", "logs", "wait", "ask"])
def test_a_name_that_is_nobodys_is_looked_for_in_docker_too(command: str, run_cli: Cli) -> None:
    (run_cli.folder / "a.wav").write_bytes(b"RIFF")
    words = ["a.wav", "--name", "nobody"] if command == "ask" else ["nobody"]
    done = run_cli(command, *words, env=NO_DOCKER)
    assert done.code in {2, 3}
    assert done.stdout == ""
    assert "Traceback" not in done.stderr


# ---- diagnose


def test_diagnose_reads_any_log(run_cli: Cli) -> None:
    log = "INFO fine\nValueError: No available memory for the cache blocks. Try increasing gpu_memory_utilization.\n"
    (run_cli.folder / "engine.log").write_text(log)
    for done in (run_cli("diagnose", "engine.log", "--json"), run_cli("diagnose", "-", "--json", stdin=log)):
        found = done.json["diagnoses"][0]
        assert found["severity"] == "fatal"
        assert found["evidence"]["line"] == 2
        assert found["fix"]
    assert "\n  fix  " in run_cli("diagnose", "engine.log").stdout


def test_a_log_without_a_known_failure_says_so(run_cli: Cli) -> None:
    done = run_cli("diagnose", "-", stdin="all is well\n")
    assert (done.code, done.stdout) == (0, "")
    assert "nothing" in done.stderr
