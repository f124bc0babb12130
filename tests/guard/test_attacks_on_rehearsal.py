"""The attack list against an engine that dies as the model's own does: of a clip over 29.98 s, and of an empty one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from support import sounds
from support.attacks.attack import Target, input_audio, text
from support.attacks.corpus import ATTACKS
from support.attacks.sounds_sent import SAFE_SAMPLES, samples
from support.attacks.wire import URLS, Catcher, fetch
from support.engines import Running, rehearsal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY = "a-key-of-the-tests"
NOT_REHEARSED = {"/v1/completions with a placeholder"}
"""The rehearsal has no such route."""

HASTE = {"STEPAUDIO_GUARD_BODY_TIMEOUT": "1.5"}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("guarded rehearsal")
    (folder / "keys").write_text(KEY)
    environment = {
        **HASTE,
        "STEPAUDIO_GUARD_API_KEY_FILE": str(folder / "keys"),
        "STEPAUDIO_REHEARSAL_FAIL": "long-clip",
    }
    with rehearsal(folder, environment=environment) as running:
        yield running.wait_until_ready()


@pytest.fixture(scope="module")
def target(engine: Running) -> Target:
    return Target(engine.port, "Step-Audio-R1", KEY)


def hears(target: Target, hertz: int) -> bool:
    clip = sounds.encode(sounds.tone(hertz, 0.5))
    reply = target.chat([input_audio(clip), text("What do you hear?")], max_tokens=400)
    return reply.status == 200 and f"pitch about {hertz} Hz" in reply.text


@pytest.mark.parametrize("name", [name for name in ATTACKS if name not in NOT_REHEARSED])
def test_it_is_answered_rightly_and_the_next_one_too(engine: Running, target: Target, name: str) -> None:
    attack = ATTACKS[name]
    reply = attack.send(target)
    assert reply.status in attack.expected, reply.text[:500]
    if reply.status >= 400:
        assert attack.said in reply.text
    assert hears(target, 440)
    assert engine.is_alive


@pytest.mark.parametrize("url", URLS)
def test_no_address_is_fetched_for_a_client(target: Target, url: str) -> None:
    with Catcher() as catcher:
        assert fetch(target, catcher.port, "127.0.0.1", url).status == 400
        assert catcher.asked == []


@pytest.mark.parametrize("name", sounds.ODD_FORMATS)
def test_odd_formats_are_heard_as_they_sound(target: Target, name: str) -> None:
    reply = target.chat([input_audio(sounds.odd(name)), text("What do you hear?")], max_tokens=400)
    assert "16000 Hz, mono" in json.loads(reply.text)["choices"][0]["message"]["content"]
    assert "pitch about 250 Hz" in reply.text or "pitch about 249 Hz" in reply.text


@pytest.mark.parametrize("count", [0, SAFE_SAMPLES + 1])
def test_without_the_guard_one_such_clip_ends_it(tmp_path: Path, count: int) -> None:
    failure = {"STEPAUDIO_REHEARSAL_FAIL": "long-clip" if count else "empty-clip"}
    with rehearsal(tmp_path, guarded=False, environment=failure) as running:
        unprotected = Target(running.wait_until_ready().port, "Step-Audio-R1")
        assert unprotected.chat([input_audio(samples(count)), text("?")]).status == 500
        running.process.wait(20)


def test_nor_does_an_empty_clip_end_it_behind_the_guard(tmp_path: Path) -> None:
    with rehearsal(tmp_path, environment={"STEPAUDIO_REHEARSAL_FAIL": "empty-clip"}) as running:
        protected = Target(running.wait_until_ready().port, "Step-Audio-R1")
        assert protected.chat([input_audio(samples(0)), text("?")]).status == 400
        assert hears(protected, 440)
