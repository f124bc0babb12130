"""It fails when told to, in the ways of the real engine."""

from __future__ import annotations

import signal

import httpx
import pytest

from stepaudio_serve.rehearsal.failures import catalogue
from stepaudio_serve.rehearsal.options import parse
from stepaudio_serve.rehearsal.startup_log import filled, steps

WAYS = catalogue()
ENDS_THE_START = [way for way in WAYS.values() if way.when in {"start", "loading"} and way.behaviour == "exit"]


def failing(name: str, **more: str) -> dict[str, str]:
    return {"STEPAUDIO_REHEARSAL_FAIL": name, "STEPAUDIO_REHEARSAL_FAIL_SECONDS": "0", **more}


def test_every_failure_while_loading_names_a_step_that_comes():
    known = {name for step in steps() for name in (step.step, step.halfway)}
    assert {way.step for way in WAYS.values() if way.when == "loading"} <= known


def test_every_text_can_be_filled_in():
    options = parse(["serve", "/my/model", "--port", "9999"], {})
    for way in WAYS.values():
        assert "{model}" not in filled(way, options)
    assert "/my/model" in filled(WAYS["wrong-arch"], options)


def test_help_lists_every_way(capsys):
    with pytest.raises(SystemExit):
        parse(["--help"], {})
    text = capsys.readouterr().out
    assert all(name in text for name in WAYS)


@pytest.mark.parametrize("way", ENDS_THE_START, ids=lambda way: way.id)
def test_a_failing_start_says_why_and_ends(launch, way):
    engine = launch("--max-model-len", "16384", "--enforce-eager", ready=False, environment=failing(way.id))
    assert engine.ended() == way.exit_code
    said = engine.log + engine.errors
    options = parse(["serve", "/Step-Audio-R1", "--host", "127.0.0.1", "--port", engine.url.rsplit(":", 1)[1]], {})
    for line in filled(way, options).replace("65536", "16384").splitlines():
        assert line in said
    assert "Application startup complete" not in said
    if way.speaker == "core":
        assert "EngineCore failed to start." in engine.log
        assert "RuntimeError: Engine core initialization failed. See root cause above." in engine.errors


def test_the_longest_context_that_fits_is_named(launch):
    engine = launch("--max-model-len", "32768", ready=False, environment=failing("kv-cache-too-small"))
    assert engine.ended() == 1
    assert "max seq len (32768)" in engine.log
    assert "the estimated maximum model length is 9856" in engine.log


@pytest.mark.parametrize("name", ["exit-137", "kill-after-ready"])
def test_killed_by_the_kernel(launch, name):
    assert launch(ready=False, environment=failing(name)).ended() == -signal.SIGKILL


def test_a_stall_is_silent_and_never_listens(launch, until):
    engine = launch(ready=False, environment=failing("stall-while-loading"))
    until(lambda: "2/5" in engine.errors)
    before = engine.log + engine.errors
    with pytest.raises(httpx.ConnectError):
        engine.get("/health")
    assert engine.process.poll() is None
    assert (engine.log + engine.errors).strip() == before.strip()


def test_a_dead_engine_says_503_and_ends_with_code_0(launch, until):
    engine = launch(environment=failing("engine-dead"))
    until(lambda: engine.get("/health").status_code == 503)
    assert engine.get("/ping").status_code == 503
    assert engine.get("/v1/models").status_code == 200
    assert engine.ask().status_code == 500
    assert engine.ended() == 0
    assert "EngineCore encountered a fatal error." in engine.log
    assert "EngineDeadError" in engine.log


def test_a_stream_in_flight_ends_with_an_error(launch, read_events):
    engine = launch(
        environment=failing(
            "engine-dead", STEPAUDIO_REHEARSAL_TOKEN_SECONDS="0.1", STEPAUDIO_REHEARSAL_FAIL_SECONDS="2"
        )
    )
    *_, error, done = read_events(engine.ask(stream=True))
    assert error["error"]["code"] == 500
    assert done == "[DONE]"


@pytest.mark.parametrize(
    ("name", "harmless", "deadly", "line"),
    [
        ("long-clip", 29.9, 30.0, "The size of tensor a (1501) must match the size of tensor b (1500)"),
        ("empty-clip", 0.5, 0.0, "Output size is too small"),
    ],
)
def test_a_clip_that_the_encoder_cannot_take_kills_the_engine(launch, part, name, harmless, deadly, line):
    engine = launch(environment=failing(name))
    assert engine.ask(part(harmless)).status_code == 200
    assert engine.ask(part(deadly)).status_code == 500
    assert engine.ended() == 0
    assert line in engine.log


def test_by_default_a_long_clip_is_no_trouble(engine, part):
    assert "Clip 1: 31.00 s" in engine.text(part(31.0))


@pytest.mark.parametrize("status", [500, 503])
def test_health_can_be_bad_while_answers_are_good(launch, until, status):
    engine = launch(environment=failing(f"health-{status}"))
    until(lambda: engine.get("/health").status_code == status)
    assert engine.ask().status_code == 200


def test_requests_can_hang_while_health_is_good(launch):
    engine = launch(environment=failing("hang"))
    with engine.client() as client, pytest.raises(httpx.ReadTimeout):
        client.post("/v1/chat/completions", json={"messages": [{"role": "user", "content": "Hi"}]}, timeout=0.5)
    assert engine.get("/health").status_code == 200


def test_a_wrong_kernel_answers_garbage(launch, part):
    answer = launch(environment=failing("garbage-answer")).text(part())
    assert set(answer) == {"!"}


@pytest.mark.parametrize("name", ["no-template", "placeholders", "no-audio-library"])
def test_requests_can_be_refused(launch, name):
    response = launch(environment=failing(name)).ask()
    assert response.status_code == WAYS[name].status
    assert response.json()["error"]["message"] == WAYS[name].lines
