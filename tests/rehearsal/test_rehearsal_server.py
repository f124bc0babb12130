"""The process around the answers: command line, start-up, routes, keys, middleware, end."""

from __future__ import annotations

import re
import socket
import threading

import pytest

from stepaudio_serve.errors import SettingsError
from stepaudio_serve.rehearsal.options import parse
from stepaudio_serve.rehearsal.settings import RehearsalSettings

MODEL_CARD = [
    "--served-model-name",
    "Step-Audio-R1",
    "--port",
    "9999",
    "--max-model-len",
    "16384",
    "--max-num-seqs",
    "32",
    "--chat-template",
    "{{x}}",
    "--enable-log-requests",
    "--interleave-mm-strings",
    "--trust-remote-code",
]

PHASES = (
    "non-default args",
    "Resolved architecture: StepAudio2ForCausalLM",
    "Starting to load model",
    "Loading weights took",
    "Model loading took",
    "Dynamo bytecode transform time",
    "torch.compile takes",
    "Available KV cache memory:",
    "GPU KV cache size: 18,320 tokens",
    "Maximum concurrency for 16,384 tokens per request: 1.12x",
    "Graph capturing finished",
    "init engine (profile, create kv cache, warmup model) took",
    "Starting vLLM API server 0 on",
)


def test_the_model_cards_command_line_is_understood():
    options = parse(["vllm", "serve", "/Step-Audio-R1", *MODEL_CARD], {})
    assert options.model == "/Step-Audio-R1"
    assert options.served_model_names == ("Step-Audio-R1",)
    assert (options.port, options.max_model_len, options.max_num_seqs) == (9999, 16384, 32)
    assert options.enable_log_requests


@pytest.mark.parametrize(
    "flags",
    [
        ["--max_model_len", "16384"],
        ["--max-model-len=16384"],
        ["--max-model-len", "16K"],
    ],
)
def test_flags_may_be_spelled_in_all_of_vllms_ways(flags):
    assert parse(["serve", "/m", *flags], {}).max_model_len == 16384


@pytest.mark.parametrize(
    "flags",
    [
        ["--gpu-memory-utilization", "0.9", "-tp", "2", "--no-enable-prefix-caching"],
        ["--limit-mm-per-prompt.audio", "4", "--generation-config", "/g", "--kv-cache-dtype", "auto"],
        ["--limit_mm_per_prompt", '{"audio": 4}', "--swap-space", "4", "--disable-log-requests"],
    ],
)
def test_other_flags_of_vllm_are_taken(flags):
    assert parse(["serve", "/m", *flags], {}).model == "/m"


def test_lists_follow_one_flag():
    options = parse(["serve", "/m", "--served-model-name", "a", "b", "--api-key", "k1", "k2"], {})
    assert options.served_model_names == ("a", "b")
    assert options.api_keys == ("k1", "k2")


def test_a_config_file_gives_way_to_the_command_line(tmp_path):
    file = tmp_path / "vllm.yaml"
    file.write_text("port: 1234\nmax_model_len: 2048\nserved-model-name: [x]\nenforce-eager: true\n")
    options = parse(["serve", "/m", "--config", str(file), "--port", "4321"], {})
    assert (options.port, options.max_model_len, options.enforce_eager) == (4321, 2048, True)
    assert options.served_model_names == ("x",)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--no-such-flag", "3"], "vllm: error: unrecognized arguments: --no-such-flag 3"),
        (["--port", "abc"], "argument --port: invalid int value: 'abc'"),
        (["--max-model", "1"], "unrecognized arguments: --max-model 1"),
    ],
)
def test_a_wrong_flag_is_a_usage_error(flags, message, capsys):
    with pytest.raises(SystemExit) as end:
        parse(["serve", "/m", *flags], {})
    assert end.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "value", "hint"),
    [("FAIL", "oomm", "did you mean oom"), ("LOAD_SECONDS", "soon", "number"), ("FIAL", "oom", "known: ")],
)
def test_a_wrong_variable_is_refused_with_what_is_known(name, value, hint):
    with pytest.raises(SettingsError) as refusal:
        RehearsalSettings.from_environment({f"STEPAUDIO_REHEARSAL_{name}": value})
    assert hint in refusal.value.fix


def test_the_start_up_reads_like_vllms(launch):
    engine = launch("--max-model-len", "16384")
    places = [engine.log.index(phase) for phase in PHASES]
    assert places == sorted(places)
    assert "REHEARSAL" in engine.log.splitlines()[0]
    assert re.match(r"\(APIServer pid=\d+\) INFO \d\d-\d\d \d\d:\d\d:\d\d \[\w+\.py:\d+\] ", engine.log)
    assert re.search(r"\rLoading safetensors checkpoint shards:  40% Completed \| 2/5 \[", engine.errors)
    assert "INFO:     Application startup complete." in engine.errors


def test_eager_mode_neither_compiles_nor_captures(launch):
    engine = launch("--enforce-eager")
    assert "torch.compile" not in engine.log
    assert "Capturing" not in engine.errors


def test_nothing_listens_before_the_start_up_is_over(launch, until):
    engine = launch(ready=False, environment={"STEPAUDIO_REHEARSAL_LOAD_SECONDS": "60"})
    until(lambda: "Resolved architecture" in engine.log)
    port = int(engine.url.rsplit(":", 1)[1])
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def test_every_answer_says_that_it_is_a_rehearsal(engine):
    for response in (engine.get("/health"), engine.get("/nowhere"), engine.ask(), engine.ask(n=0)):
        assert response.headers["x-stepaudio-rehearsal"] == "no model listened"
        assert response.headers["server"] == "stepaudio-rehearsal"


def test_the_small_routes_answer_as_in_vllm(engine):
    for path in ("/health", "/ping"):
        assert (engine.get(path).status_code, engine.get(path).content) == (200, b"")
    (model,) = engine.get("/v1/models").json()["data"]
    assert (model["id"], model["root"], model["max_model_len"]) == ("Step-Audio-R1", "/Step-Audio-R1", 4096)
    assert model["owned_by"] == "stepaudio-rehearsal"
    assert engine.get("/version").json()["version"].endswith("+rehearsal")
    assert engine.get("/load").json() == {"server_load": 0}
    assert engine.get("/nowhere").json() == {"detail": "Not Found"}
    assert engine.get("/v1/chat/completions").status_code == 405


def test_metrics_count_under_vllms_names(launch):
    engine = launch()
    usage = engine.ask().json()["usage"]
    assert engine.metric("vllm:prompt_tokens_total{") == usage["prompt_tokens"]
    assert engine.metric("vllm:generation_tokens_total{") == usage["completion_tokens"]
    assert engine.metric('vllm:request_success_total{engine="0",finished_reason="stop"') == 1
    assert engine.metric("vllm:num_requests_waiting{") == 0


def test_requests_beyond_max_num_seqs_wait(launch, until):
    engine = launch("--max-num-seqs", "1", environment={"STEPAUDIO_REHEARSAL_TOKEN_SECONDS": "0.05"})
    threads = [threading.Thread(target=engine.ask, kwargs={"max_tokens": 20}) for _ in range(3)]
    for thread in threads:
        thread.start()
    until(lambda: engine.metric("vllm:num_requests_waiting{") == 2)
    assert engine.metric("vllm:num_requests_running{") == 1
    for thread in threads:
        thread.join()
    assert engine.metric("vllm:num_requests_waiting{") == 0


def test_requests_are_logged_only_when_asked_for(engine, launch):
    engine.ask()
    assert "Received request chatcmpl-" in engine.log
    silent = launch()
    silent.ask()
    assert "Received request" not in silent.log


@pytest.mark.parametrize(
    ("flags", "environment"), [(("--api-key", "secret", "other"), {}), ((), {"VLLM_API_KEY": "secret"})]
)
def test_an_api_key_guards_v1_and_nothing_else(launch, flags, environment):
    engine = launch(*flags, environment=environment)
    body = {"messages": [{"role": "user", "content": "Hi"}]}
    refused = engine.post("/v1/chat/completions", body)
    assert (refused.status_code, refused.json()) == (401, {"error": "Unauthorized"})
    assert engine.get("/v1/models", headers={"authorization": "Bearer wrong"}).status_code == 401
    assert engine.get("/v1/models", headers={"authorization": "Bearer secret"}).status_code == 200
    assert engine.get("/health").status_code == 200
    assert engine.post("/invocations", body).status_code == 200
    assert "secret" not in engine.log


def test_middleware_runs_outside_the_key_check(launch, tmp_path):
    (tmp_path / "my_middleware.py").write_text(
        "class Door:\n"
        "    def __init__(self, app): self.app = app\n"
        "    async def __call__(self, scope, receive, send):\n"
        "        if scope['type'] == 'http' and scope['path'] == '/v1/door':\n"
        "            await send({'type': 'http.response.start', 'status': 299, 'headers': []})\n"
        "            await send({'type': 'http.response.body', 'body': b'open'})\n"
        "        else:\n"
        "            await self.app(scope, receive, send)\n"
    )
    flags = ("--api-key", "secret", "--middleware", "my_middleware.Door")
    engine = launch(*flags, environment={"PYTHONPATH": str(tmp_path)})
    assert engine.get("/v1/door").status_code == 299
    assert engine.get("/v1/models").status_code == 401


def test_middleware_that_cannot_be_imported_is_noticed_after_loading(launch):
    engine = launch("--middleware", "no_such_module.Guard", ready=False)
    assert engine.ended() == 1
    assert "ModuleNotFoundError: No module named 'no_such_module'" in engine.errors
    assert "Starting vLLM API server" in engine.log


def test_a_taken_port_is_noticed_at_once(engine, launch):
    port = engine.url.rsplit(":", 1)[1]
    late = launch("--port", port, ready=False, environment={"STEPAUDIO_REHEARSAL_LOAD_SECONDS": "60"})
    assert late.ended() == 1
    assert "Address already in use" in late.errors


def test_terminated_while_loading_it_ends_at_once(launch, terminate, until):
    engine = launch(ready=False, environment={"STEPAUDIO_REHEARSAL_LOAD_SECONDS": "60"})
    until(lambda: "Resolved architecture" in engine.log)
    terminate(engine)
    assert engine.ended() == 1


def _stream_until_terminated(engine, terminate, **more):
    body = {"messages": [{"role": "user", "content": "Hi"}], "stream": True}
    with engine.client() as client, client.stream("POST", "/v1/chat/completions", json=body) as response:
        received = ""
        for text in response.iter_text():
            if not received:
                terminate(engine)
            received += text
    return received


def test_terminated_it_finishes_what_is_in_flight(launch, terminate):
    engine = launch(environment={"STEPAUDIO_REHEARSAL_TOKEN_SECONDS": "0.02"})
    received = _stream_until_terminated(engine, terminate)
    assert received.endswith("data: [DONE]\n\n")
    assert engine.ended() == 0


def test_the_shutdown_timeout_limits_the_grace(launch, terminate):
    import httpx

    engine = launch("--shutdown-timeout", "1", environment={"STEPAUDIO_REHEARSAL_TOKEN_SECONDS": "20"})
    with pytest.raises(httpx.RemoteProtocolError):
        _stream_until_terminated(engine, terminate)
    assert engine.ended() == 0
