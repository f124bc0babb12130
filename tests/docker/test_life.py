"""From `up` to `down`, with everything that can be asked in between."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from rehearsed import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from rehearsed import Rehearsed
    from support.cli import Cli

UNKNOWN = "nobody-has-this-name"


def test_up_tells_in_json_what_it_started(rehearsed: Rehearsed) -> None:
    up = rehearsed.up("--json")

    assert up.code == 0, up.stderr
    told = up.json
    assert {key: told[key] for key in ("name", "runtime", "engine", "phase", "health", "endpoint", "model")} == {
        "name": rehearsed.name,
        "runtime": "docker",
        "engine": "rehearsal",
        "phase": "ready",
        "health": "healthy",
        "endpoint": rehearsed.endpoint,
        "model": "Step-Audio-R1",
    }
    assert told["container_id"] == rehearsed.container["Id"]
    assert told["diagnosis"] is None
    assert told["already_running"] is False
    assert told["canary"]["heard"] is True
    assert told["canary"]["asked"]
    assert "rehearsal" in told["canary"]["answer"]
    assert 0 < told["seconds"]["start"] < told["seconds"]["ready"]
    assert 0 < told["seconds"]["canary"] < told["seconds"]["ready"]
    assert told["uptime_s"] > 0
    assert told["plan_hash"] == rehearsed.container["Config"]["Labels"]["io.stepaudio-serve.plan-hash"]


def test_the_life_of_a_deployment(rehearsed: Rehearsed, run_cli: Cli) -> None:
    name = rehearsed.name
    up = rehearsed.up("--max-model-len", "4096", "--served-model-name", "ears")
    assert up.code == 0, up.stderr
    assert f"{rehearsed.endpoint}/v1" in up.stdout
    assert f"stepaudio-serve down {name}" in up.stdout

    table = run_cli("status", name)
    assert table.code == 0
    assert table.stdout.splitlines()[1].split()[:4] == [name, "ready", "healthy", rehearsed.endpoint]
    assert name in {item["name"] for item in run_cli("status", "--json").json["deployments"]}
    assert rehearsed.status()["model"] == "ears"

    waited = run_cli("wait", name, "--json")
    assert (waited.code, waited.json["phase"], waited.json["already_running"]) == (0, "ready", True)

    first = rehearsed.container["Id"]
    restarted = run_cli("restart", "--name", name, env={"STEPAUDIO_REHEARSAL_LOAD_SECONDS": "0.1"})
    assert restarted.code == 0, restarted.stderr
    assert rehearsed.container["Id"] != first
    command = rehearsed.container["Config"]["Cmd"]
    assert command[command.index("--max-model-len") + 1] == "4096"
    assert rehearsed.status()["model"] == "ears"

    down = run_cli("down", name, "--json")
    assert (down.code, down.json) == (0, {"name": name, "removed": True})
    assert rehearsed.leaves_nothing()
    assert run_cli("status", name).code == 6


def test_logs_are_cut_where_one_asks(rehearsed: Rehearsed, run_cli: Cli) -> None:
    assert rehearsed.up().code == 0
    whole = run_cli("logs", rehearsed.name).stdout.splitlines()

    assert "Application startup complete" in "\n".join(whole)
    assert run_cli("logs", rehearsed.name, "--tail", "2").stdout.splitlines() == whole[-2:]
    assert run_cli("logs", rehearsed.name, "--tail", "0").stdout == ""
    assert run_cli("logs", rehearsed.name, "--since", "1h").stdout.splitlines() == whole
    assert run_cli("logs", rehearsed.name, "--since", "2999-01-01T00:00:00").stdout == ""
    assert run_cli("logs", rehearsed.name, "--since", "yesterday").code == 2


def test_logs_follow_until_the_engine_ends(rehearsed: Rehearsed, run_cli: Cli) -> None:
    assert rehearsed.up().code == 0
    following = run_cli.start("logs", "-f", rehearsed.name)
    assert following.stdout is not None
    seen: list[str] = []
    while not any("startup complete" in line for line in seen):
        seen.append(following.stdout.readline())

    assert run_cli("down", rehearsed.name).code == 0
    rest = following.stdout.read()
    assert following.wait(30) == 0
    assert "Shutting down" in rest


def test_not_waiting_leaves_the_hand_off_to_wait(rehearsed: Rehearsed, run_cli: Cli) -> None:
    up = rehearsed.up("--no-wait", "--json", env={"STEPAUDIO_REHEARSAL_LOAD_SECONDS": "2"})
    assert (up.code, up.json["canary"]["heard"]) == (0, None)
    assert up.json["phase"] != "ready"
    assert rehearsed.container["HostConfig"]["RestartPolicy"]["Name"] == "no"

    assert run_cli("wait", rehearsed.name, "--timeout", "0.05").code == 5
    waited = run_cli("wait", rehearsed.name, "--json")
    assert (waited.code, waited.json["canary"]["heard"]) == (0, True)
    assert rehearsed.container["HostConfig"]["RestartPolicy"]["Name"] == "unless-stopped"


def test_status_names_the_phase_while_it_loads(rehearsed: Rehearsed) -> None:
    assert rehearsed.up("--no-wait", env={"STEPAUDIO_REHEARSAL_LOAD_SECONDS": "12"}).code == 0

    seen = eventually(lambda: (status := rehearsed.status())["phase"] == "loading" and status, "the phase loading")
    assert seen["health"] == "starting"
    assert "weights" in seen["detail"]


def test_down_keeps_the_compile_cache(rehearsed: Rehearsed, run_cli: Cli, as_vllm: tuple[str, ...]) -> None:
    volume = f"{rehearsed.name}-cache"
    assert rehearsed.up(*as_vllm, "--gpus", "none", "--cache", volume).code == 0
    assert run_cli("down", rehearsed.name).code == 0

    kept = rehearsed.docker.volumes.get(volume)
    kept.remove()


def test_a_restart_finds_the_checkpoint_from_any_folder(
    rehearsed: Rehearsed, run_cli: Cli, as_vllm: tuple[str, ...], checkpoint: Path
) -> None:
    (run_cli.folder / "model").symlink_to(checkpoint)
    flags = ["./model" if flag == str(checkpoint) else flag for flag in as_vllm]
    assert rehearsed.up(*flags, "--gpus", "none").code == 0

    (run_cli.folder / "model").unlink()
    (run_cli.folder / "model").symlink_to(run_cli.folder)
    elsewhere = type(run_cli)(checkpoint.parent, run_cli.environment)
    refused = elsewhere("restart", rehearsed.name)
    assert refused.code == 3
    assert str(run_cli.folder / "model") in refused.stderr
    assert rehearsed.status()["phase"] == "ready"


def test_no_such_deployment(run_cli: Cli, rehearsed: Rehearsed) -> None:
    for command in ("down", "restart", "status", "logs", "wait"):
        outcome = run_cli(command, UNKNOWN)
        assert (command, outcome.code) == (command, 6)
        assert UNKNOWN in outcome.stderr
    assert json.loads(run_cli("status", UNKNOWN, "--json").stdout)["error"]["code"] == "no-such-deployment"


def test_a_name_that_is_nobodys_is_answered_with_those_that_there_are(rehearsed: Rehearsed, run_cli: Cli) -> None:
    assert rehearsed.up("--no-wait").code == 0
    assert rehearsed.name in run_cli("down", UNKNOWN, "--json").json["error"]["why"]


def test_an_abbreviated_container_id_is_no_name(rehearsed: Rehearsed, run_cli: Cli) -> None:
    assert rehearsed.up("--no-wait").code == 0
    assert run_cli("status", rehearsed.container["Id"][:12]).code == 6


def test_status_watches_until_interrupted(rehearsed: Rehearsed, run_cli: Cli) -> None:
    assert rehearsed.up().code == 0
    watching = run_cli.start("status", "--watch", rehearsed.name)
    assert watching.stdout is not None
    shown = [watching.stdout.readline() for _ in range(4)]  # two tables
    assert shown[0] == shown[2]
    time.sleep(0.1)
    watching.terminate()
    assert watching.wait(30) == 130
