"""What a running engine takes and has to do: the memory plan beside what the engine's own log says."""

from __future__ import annotations

import http.server
import json
import os
import subprocess
import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from stepaudio_serve.lifecycle.readings import Measured, gpus_of, memory_of, requests_of
from stepaudio_serve.lifecycle.status import Status, closely
from stepaudio_serve.runtime.deployment import Deployment, Exit

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping

    from support.nvml import NvmlStandin

    from stepaudio_serve.plan.plan import Plan

LOGS = Path(__file__).parents[1] / "startup/logs"
MINE = Deployment(
    name="mine",
    runtime="docker",
    engine="vllm",
    model="Step-Audio-R1",
    endpoint="http://127.0.0.1:1",
    plan_hash="",
    id="1",
    state="running",
    plan={"gpus": {"driver": "none", "ids": []}},
    settings={},
    started_at=1.0,
    memory={"kv_tokens": 21_000},
)
MEASURED_LINES = (
    "INFO 08-29 03:13:26 [gpu_worker.py:276] Available KV cache memory: 5.00 GiB",
    "INFO 08-29 03:13:26 [kv_cache_utils.py:849] GPU KV cache size: 20,000 tokens",
    "INFO 08-29 03:13:26 [kv_cache_utils.py:853] Maximum concurrency for 16,384 tokens per request: 1.22x",
)


@dataclass
class Engine:
    """A runtime with one engine that has written this log; it counts the lines that were read."""

    lines: tuple[str, ...] = ()
    read: list[str] = field(default_factory=list)

    def logs(
        self, deployment: Deployment, *, follow: bool = False, tail: int | None = None, since: float | None = None
    ) -> Generator[bytes, None, None]:
        for line in self.lines:
            self.read.append(line)
            yield f"{line}\n".encode()

    def wait(self, deployment: Deployment) -> Exit:
        return Exit(0)

    def find(self, name: str) -> Deployment | None: ...
    def deployments(self) -> tuple[Deployment, ...]:
        return ()

    def create(self, plan: Plan) -> Deployment:
        raise NotImplementedError

    def start(self, deployment: Deployment) -> Deployment:
        return deployment

    def hand_over(self, deployment: Deployment) -> str:
        return ""

    def stop(self, deployment: Deployment, grace: int) -> None: ...
    def remove(self, deployment: Deployment) -> None: ...


@contextmanager
def answering(status: int, text: str) -> Iterator[str]:
    """An endpoint that answers every path so."""

    class Metrics(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Metrics) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


# ---- memory


def test_prediction_and_measurement_stand_side_by_side() -> None:
    memory = memory_of(Engine(MEASURED_LINES), MINE)
    assert memory is not None
    assert memory.to_json() == {
        "predicted": {"kv_tokens": 21_000},
        "measured": {"kv_tokens": 20_000, "kv_cache_gib": 5.0, "concurrency": 1.22},
        "error_percent": 5.0,
    }


def test_too_few_predicted_is_a_negative_error() -> None:
    memory = memory_of(Engine(MEASURED_LINES), replace(MINE, memory={"kv_tokens": 18_000}))
    assert memory is not None
    assert memory.error_percent == -10.0


def test_the_log_is_read_as_far_as_the_measurement() -> None:
    engine = Engine((*MEASURED_LINES, *["INFO later"] * 1000))
    assert memory_of(engine, MINE) is not None
    assert "INFO later" not in engine.read


@pytest.mark.parametrize("log", ["vllm-0.32-compiled.log", "vllm-0.32-eager.log", "stepfun.log"])
def test_recorded_logs_tell_it(log: str) -> None:
    memory = memory_of(Engine(tuple((LOGS / log).read_text("utf-8").splitlines())), MINE)
    assert memory is not None
    assert memory.measured is not None
    assert memory.measured.kv_tokens > 0


def test_until_the_engine_has_said_so_nothing_is_measured() -> None:
    memory = memory_of(Engine(MEASURED_LINES[:1]), MINE)
    assert memory is not None
    assert (memory.measured, memory.error_percent) == (None, None)


def test_without_a_prediction_there_is_a_measurement_and_no_error() -> None:
    memory = memory_of(Engine(MEASURED_LINES), replace(MINE, memory={}))
    assert memory is not None
    assert memory.measured == Measured(20_000, 5.0, 1.22)
    assert memory.to_json()["predicted"] is None
    assert memory.error_percent is None


@pytest.mark.parametrize("changes", [{"engine": "rehearsal"}, {"state": "created"}])
def test_what_has_no_kv_cache_is_not_looked_at(changes: dict[str, Any]) -> None:
    engine = Engine(MEASURED_LINES)
    assert memory_of(engine, replace(MINE, **changes)) is None
    assert engine.read == []


# ---- requests


def test_requests_are_summed_over_labels() -> None:
    text = (
        "# HELP vllm:num_requests_running Number of requests\n"
        'vllm:num_requests_running{engine="0"} 2.0\n'
        'vllm:num_requests_running{engine="1"} 1.0\n'
        'vllm:num_requests_waiting{engine="0"} 5.0\n'
        'vllm:num_requests_waiting_by_reason{reason="x"} 9.0\n'
    )
    with answering(200, text) as at:
        requests = requests_of(at)
    assert requests is not None
    assert (requests.running, requests.waiting) == (3, 5)


@pytest.mark.parametrize(("status", "text"), [(401, "no key"), (200, "something else"), (200, "vllm:num_requests_x 1")])
def test_metrics_that_are_not_given_are_not_known(status: int, text: str) -> None:
    with answering(status, text) as at:
        assert requests_of(at) is None


def test_an_endpoint_that_does_not_answer_is_not_known(free_port: int) -> None:
    assert requests_of(f"http://127.0.0.1:{free_port}") is None


# ---- GPUs, and all together


def test_a_deployment_without_gpus_has_none_to_show() -> None:
    assert gpus_of(MINE) == ()


@pytest.mark.parametrize(("ids", "shown"), [([], [0, 1, 2, 3]), (["1", "3"], [1, 3])], ids=["all", "by index"])
def test_gpus_are_those_that_it_may_use(ids: list[str], shown: list[int], nvml_standin: NvmlStandin) -> None:
    assert indices_seen(ids, nvml_standin("l40s-x4")) == shown


def test_a_driver_that_hangs_does_not_hold_up_the_status(nvml_standin: NvmlStandin) -> None:
    assert indices_seen([], nvml_standin("h100", hang={"nvmlInitWithFlags": 600})) == []


def indices_seen(ids: list[str], environment: Mapping[str, str]) -> list[int]:
    """What a new process sees, for a library is found when a process starts."""
    code = (
        "import json, sys\n"
        "from dataclasses import replace\n"
        "from stepaudio_serve.lifecycle.readings import gpus_of\n"
        "from stepaudio_serve.runtime.deployment import Deployment\n"
        "it = Deployment('a', 'docker', 'vllm', 'm', 'http://127.0.0.1:1', '', '1', 'running', {}, {})\n"
        "it = replace(it, plan={'gpus': {'driver': 'nvidia', 'ids': json.loads(sys.argv[1])}})\n"
        "print(json.dumps([gpu.index for gpu in gpus_of(it)]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(ids)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    seen: list[int] = json.loads(done.stdout)
    return seen


def test_the_status_of_a_running_one_has_them(free_port: int) -> None:
    at = replace(MINE, endpoint=f"http://127.0.0.1:{free_port}")
    seen = closely(Engine(MEASURED_LINES), Status(at, "loading", "", "starting", None, None))
    assert seen.to_json()["memory"]["error_percent"] == 5.0
    assert seen.requests is None


def test_one_that_has_ended_is_not_looked_at_again() -> None:
    status = Status(replace(MINE, state="exited"), "failed", "", "none", None, None)
    assert closely(Engine(MEASURED_LINES), status) is status
