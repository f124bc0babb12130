"""The key reaches the engine and nobody else."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from rehearsed import Rehearsed
    from support.cli import Cli

KEY = "sk-nobody-else-may-see-this"
CLIP = str(files("stepaudio_serve.startup") / "canary.wav")


def _status(url: str, key: str = "") -> int:
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {key}"} if key else {})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_it_is_nowhere_to_be_seen(rehearsed: Rehearsed, run_cli: Cli) -> None:
    up = rehearsed.up("--json", env={"STEPAUDIO_API_KEY": KEY})

    assert (up.code, up.json["canary"]["heard"]) == (0, True)
    assert KEY not in up.stdout + up.stderr
    assert KEY not in json.dumps(rehearsed.container)
    assert KEY not in run_cli("logs", rehearsed.name).stdout
    assert KEY not in run_cli("status", rehearsed.name, "--json").stdout
    plan = run_cli("plan", "--json", "--engine", "rehearsal", env={"STEPAUDIO_API_KEY": KEY})
    assert KEY not in plan.stdout
    top = rehearsed.docker.containers.get(rehearsed.name).top(ps_args="-eo pid,args")
    assert KEY not in json.dumps(top)
    held = [path for path in rehearsed.files() if KEY in path.read_text("utf-8")]
    assert [path.stat().st_mode & 0o777 for path in held] == [0o600]


def test_every_route_but_health_asks_for_it(rehearsed: Rehearsed) -> None:
    assert rehearsed.up("--no-wait", env={"STEPAUDIO_API_KEY": KEY}).code == 0
    assert rehearsed.cli("wait", rehearsed.name).code == 0

    assert _status(f"{rehearsed.endpoint}/health") == 200
    for route in ("/v1/models", "/metrics", "/version"):
        assert (route, _status(rehearsed.endpoint + route)) == (route, 401)
        assert _status(rehearsed.endpoint + route, "another key") == 401
    assert _status(f"{rehearsed.endpoint}/v1/models", KEY) == 200


def test_ask_finds_it(rehearsed: Rehearsed, run_cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "key file"
    file.write_text(KEY + "\n")
    assert rehearsed.up("--api-key-file", file).code == 0

    asked = run_cli("ask", "--name", rehearsed.name, CLIP, "What is said?", "--json")
    assert asked.code == 0, asked.stderr
    assert "2.88 s" in asked.json["text"]
    assert KEY not in asked.stdout + asked.stderr


def test_restart_keeps_it(rehearsed: Rehearsed, run_cli: Cli) -> None:
    assert rehearsed.up(env={"STEPAUDIO_API_KEY": KEY}).code == 0
    assert run_cli("restart", rehearsed.name).code == 0

    assert _status(f"{rehearsed.endpoint}/v1/models") == 401
    assert _status(f"{rehearsed.endpoint}/v1/models", KEY) == 200
