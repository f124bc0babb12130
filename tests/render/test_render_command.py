"""`render` and `plan` as commands: what they write, what they refuse, what they say of the checks."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from support.cli import Cli

NO_DOCKER = {"DOCKER_HOST": "unix:///nonexistent"}


def test_a_printed_line_has_its_files_where_it_looks_for_them(run_cli: Cli) -> None:
    words = shlex.split(run_cli("render", "run", env=NO_DOCKER).stdout)
    (ours,) = [word for word in words if word.endswith(",target=/opt/stepaudio,readonly")]
    folder = Path(ours.split(",")[1].removeprefix("source="))
    assert (folder / "chat_template.jinja").is_file()
    assert Path(words[words.index("--label-file") + 1]).is_file()


def test_a_plan_says_how_to_get_the_files_and_writes_none(run_cli: Cli) -> None:
    shown = run_cli("plan", env=NO_DOCKER).stdout
    assert "stepaudio-serve render run" in shown
    assert not [path for path in Path(run_cli.environment["XDG_STATE_HOME"]).rglob("*") if path.is_file()]


@pytest.mark.parametrize("form", ["run", "compose"])
def test_a_key_that_is_in_no_file_is_not_rendered(form: str, run_cli: Cli) -> None:
    done = run_cli("render", form, "-o", "out", env={**NO_DOCKER, "STEPAUDIO_API_KEY": "top-secret"})
    assert done.code == 2
    assert "--api-key-file" in done.stderr
    assert "top-secret" not in done.stderr
    assert not (run_cli.folder / "out").exists()


def test_compose_has_no_process(run_cli: Cli) -> None:
    done = run_cli("render", "compose", "--runtime", "process", "-o", "out")
    assert (done.code, "--runtime docker" in done.stderr) == (2, True)
    assert not (run_cli.folder / "out").exists()


def test_the_findings_are_in_the_plans_document(run_cli: Cli) -> None:
    done = run_cli("plan", "--json", env=NO_DOCKER)
    assert done.code == 0
    assert "checkpoint-missing" in {finding["id"] for finding in done.json["findings"]}


def test_what_is_not_known_about_memory_is_explained(run_cli: Cli) -> None:
    done = run_cli("plan", "--json", "--model", "someone/Step-Audio-R1-own", env=NO_DOCKER)
    assert "someone/Step-Audio-R1-own is not on this disk" in done.json["memory"]["unknown"]
    shown = run_cli("plan", "--model", "someone/Step-Audio-R1-own", env=NO_DOCKER).stdout
    assert "Step-Audio-R1-own is not on this disk" in shown.split("Memory")[1]


@pytest.mark.parametrize("form", ["run", "compose"])
def test_upstream_is_rendered_with_its_plugin_beside_the_guard(form: str, run_cli: Cli) -> None:
    done = run_cli("render", form, "--engine-image", "upstream", "-o", "out", env=NO_DOCKER)
    assert done.code == 0
    engine = run_cli.folder / "out" / "engine"
    assert (engine / "stepaudio_vllm" / "register.py").is_file()
    assert (engine / "stepaudio_guard" / "__init__.py").is_file()
    (metadata,) = engine.glob("stepaudio_vllm-*.dist-info")
    assert "step_audio_2 = stepaudio_vllm:register" in (metadata / "entry_points.txt").read_text()
    written = "\n".join(path.read_text() for path in (run_cli.folder / "out").glob("*") if path.is_file())
    assert "vllm/vllm-openai:v0.32.0" in written
    assert "--shutdown-timeout" in written
    assert "--trust-remote-code" not in written
    assert '"engine_image": "upstream"' in written  # the label that `restart` goes by
