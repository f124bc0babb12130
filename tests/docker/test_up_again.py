"""`up` where a deployment of the name is there already, or is being started."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from rehearsed import Rehearsed
    from support.cli import Cli


@pytest.mark.parametrize("attempt", range(5))
def test_two_at_once_make_one_deployment(rehearsed: Rehearsed, attempt: int) -> None:
    both = [rehearsed.start("--json"), rehearsed.start("--json")]
    told = [(up.communicate(timeout=120), up.returncode) for up in both]

    assert [code for _, code in told] == [0, 0], told
    ids = {json.loads(out)["container_id"] for (out, _), _ in told}
    assert ids == {rehearsed.container["Id"]}
    label = f"io.stepaudio-serve.deployment={rehearsed.name}"
    assert len(rehearsed.docker.containers.list(all=True, filters={"label": label})) == 1


def test_two_at_once_with_different_plans(rehearsed: Rehearsed) -> None:
    both = [rehearsed.start("--json"), rehearsed.start("--json", "--max-num-seqs", "8")]
    told = {up.wait(120): up.communicate()[0] for up in both}

    assert set(told) == {0, 2}
    assert json.loads(told[2])["error"]["code"] == "plan-differs"


def test_the_same_plan_again(rehearsed: Rehearsed) -> None:
    first = rehearsed.up("--json")
    again = rehearsed.up("--json")

    assert (again.code, again.json["already_running"]) == (0, True)
    assert again.json["container_id"] == first.json["container_id"]
    assert "already runs" in rehearsed.up().stdout


def test_another_plan_is_refused_with_what_differs(rehearsed: Rehearsed) -> None:
    assert rehearsed.up("--max-model-len", "4096").code == 0
    before = rehearsed.container["Id"]

    other = rehearsed.up("--max-model-len", "8192", "--json")
    assert (other.code, other.json["error"]["code"]) == (2, "plan-differs")
    assert {"running": "4096", "wanted": "8192"}.items() <= other.json["differences"][0].items()
    assert "max-model-len" in other.stderr
    assert rehearsed.container["Id"] == before

    replaced = rehearsed.up("--max-model-len", "8192", "--replace")
    assert replaced.code == 0, replaced.stderr
    assert rehearsed.container["Id"] != before
    command = rehearsed.container["Config"]["Cmd"]
    assert command[command.index("--max-model-len") + 1] == "8192"


def test_it_can_be_replaced_on_its_own_port_at_another_address(rehearsed: Rehearsed) -> None:
    assert rehearsed.up().code == 0

    replaced = rehearsed.up("--host", "0.0.0.0", "--insecure", "--replace")
    assert replaced.code == 0, replaced.stderr


def test_another_key_is_another_plan(rehearsed: Rehearsed, run_cli: Cli) -> None:
    assert rehearsed.up(env={"STEPAUDIO_API_KEY": "first-key"}).code == 0

    other = rehearsed.up("--json", env={"STEPAUDIO_API_KEY": "second-key"})
    assert other.code == 2
    assert "api_key" in str(other.json["differences"])
    assert "first-key" not in other.stdout + other.stderr
    assert rehearsed.up("--replace", env={"STEPAUDIO_API_KEY": "second-key"}).code == 0


def test_folders_with_spaces_and_other_letters(
    rehearsed: Rehearsed, run_cli: Cli, as_vllm: tuple[str, ...], tmp_path: Path
) -> None:
    home = tmp_path / "Größe, 音声 und mehr"
    model = home / "my models" / "Step Audio Ω"
    model.parent.mkdir(parents=True)
    (tmp_path / "Step-Audio-R1").rename(model)
    state = home / "state of things"
    flags = [str(model) if flag == str(tmp_path / "Step-Audio-R1") else flag for flag in as_vllm]

    up = rehearsed.up(*flags, "--gpus", "none", env={"XDG_STATE_HOME": str(state)})
    assert up.code == 0, up.stderr
    sources = {mount["Destination"]: mount.get("Source", "") for mount in rehearsed.container["Mounts"]}
    assert sources["/Step-Audio-R1"] == str(model)
    assert sources["/opt/stepaudio"].startswith(str(state))
    down = run_cli("down", rehearsed.name, env={"XDG_STATE_HOME": str(state)})
    assert down.code == 0
    assert not [path for path in state.rglob("*") if path.is_file()]
