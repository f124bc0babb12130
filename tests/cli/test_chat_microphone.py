"""/mic and --mic with the real PortAudio and a PulseAudio whose only source is a tone."""

from __future__ import annotations

import base64
import importlib.util
import io
import shutil
import subprocess
import tempfile
import wave
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from support.chat_server import chat_server, finish, piece
from support.terminal import CTRL_C, ENTER, terminal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.cli import Cli
    from support.parts import Parts

TONE = 440


@pytest.fixture
def sound_server(parts: Parts) -> Iterator[dict[str, str]]:
    """The environment in which the default microphone hears a tone."""
    programs = [name for name in ("pulseaudio", "pactl") if not shutil.which(name)]
    if programs or not importlib.util.find_spec("sounddevice"):
        parts.lack("microphone", "PulseAudio, ALSA's plugins for it, libportaudio2 and sounddevice")
    with tempfile.TemporaryDirectory() as folder:  # a socket's path must be short
        environment = {"XDG_RUNTIME_DIR": folder, "PULSE_SERVER": f"unix:{folder}/native", "PATH": "/usr/bin:/bin"}
        with pulseaudio(folder, environment):
            if not list(Path("/usr/lib").glob("*/alsa-lib/libasound_module_pcm_pulse.so")):
                parts.lack("microphone", "ALSA has no plugin for PulseAudio: libasound2-plugins")
            parts.have("microphone", "PortAudio, by PulseAudio")
            yield {name: environment[name] for name in ("XDG_RUNTIME_DIR", "PULSE_SERVER")}


@contextmanager
def pulseaudio(folder: str, environment: dict[str, str]) -> Iterator[None]:
    modules = (
        f"module-native-protocol-unix socket={folder}/native",
        f"module-sine-source source_name=tone frequency={TONE} rate=16000",
    )
    loads = [word for module in modules for word in ("-L", module)]
    command = ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", *loads]
    env = {**environment, "HOME": folder}
    with subprocess.Popen(command, env=env, stderr=subprocess.DEVNULL) as server:
        while server.poll() is None and not (Path(folder) / "native").exists():
            pass
        assert server.returncode is None, "PulseAudio ended at once"
        yield
        server.terminate()


def pitch_of(wav: bytes) -> float:
    with wave.open(io.BytesIO(wav)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    return float(np.argmax(np.abs(np.fft.rfft(samples))) * 16000 / len(samples))


def test_what_the_microphone_hears_is_sent(run_cli: Cli, sound_server: dict[str, str]) -> None:
    with chat_server() as server:
        server.says(piece("</think>A tone."), *finish())
        done = run_cli("chat", "--endpoint", server.url, stdin="/mic 1\nwhat?\n", env=sound_server)
        ((body, _),) = server.requests
    assert done.code == 0
    assert "attached microphone, 1.0 s" in done.stderr
    sent = base64.b64decode(body["messages"][0]["content"][0]["input_audio"]["data"])
    assert pitch_of(sent) == pytest.approx(TONE, abs=2)


def test_ask_records_too(run_cli: Cli, sound_server: dict[str, str]) -> None:
    with chat_server() as server:
        server.says(piece("</think>A tone."), *finish())
        done = run_cli("ask", "--mic", "1", "what?", "--endpoint", server.url, env=sound_server)
        ((body, _),) = server.requests
    assert (done.code, done.stdout) == (0, "A tone.\n")
    content = body["messages"][0]["content"]
    assert pitch_of(base64.b64decode(content[0]["input_audio"]["data"])) == pytest.approx(TONE, abs=2)
    assert content[1]["text"] == "what?"


def test_without_a_terminal_the_length_must_be_given(run_cli: Cli) -> None:
    done = run_cli("ask", "what?", "--endpoint", "http://127.0.0.1:1", "--mic")
    assert done.code == 2
    assert "how long to record must be said here" in done.stderr


def test_enter_ends_a_recording_and_ctrl_c_drops_it(run_cli: Cli, sound_server: dict[str, str]) -> None:
    with chat_server() as server, terminal(run_cli, "chat", "--endpoint", server.url, env=sound_server) as chat:
        chat.shows(">>>")
        chat.type("/mic", ENTER)
        chat.shows("Enter stops")
        chat.type(CTRL_C)
        chat.shows("the recording was dropped")
        chat.shows(">>>")
        chat.type("/mic", ENTER)
        chat.shows("█")
        chat.type(ENTER)
        chat.shows("attached microphone")
        chat.shows("1 sound >>>")
