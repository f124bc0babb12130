"""The microphone: with a stand-in for PortAudio here; with the real one where `test_chat_microphone.py` finds it."""

from __future__ import annotations

import sys
import threading
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from stepaudio_serve.client import microphone
from stepaudio_serve.client.microphone import record
from stepaudio_serve.errors import RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TONE = 440


class PortAudioError(Exception):
    pass


@dataclass
class PortAudio:
    """What of `sounddevice` is used: one device that hears a tone, as fast as it is asked."""

    rates: tuple[int, ...] = (16000, 44100)
    level: float = 0.5
    devices: int = 1
    busy: bool = False
    overflows: bool = False
    says_nothing: bool = False
    opened: list[int] = field(default_factory=list)
    PortAudioError: type[Exception] = PortAudioError

    def query_devices(self, *, kind: str) -> dict[str, Any]:
        if not self.devices:
            raise PortAudioError("Error querying device -1")
        return {"name": "a microphone", "index": 0, "default_samplerate": 44100.0}

    def check_input_settings(self, *, samplerate: int, **_: object) -> None:
        if samplerate not in self.rates:
            raise PortAudioError("Invalid sample rate [PaErrorCode -9997]")

    def InputStream(  # noqa: N802 - its name there
        self, *, samplerate: int, blocksize: int, callback: Callable[..., None], **_: object
    ) -> Stream:
        if self.busy:
            raise PortAudioError("Device unavailable [PaErrorCode -9985]")
        self.opened.append(samplerate)
        return Stream(self, samplerate, blocksize, callback)


@dataclass
class Stream:
    device: PortAudio
    rate: int
    block: int
    callback: Callable[..., None]
    over: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread | None = None

    def __enter__(self) -> Stream:
        self.thread = threading.Thread(target=self.hear)
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        assert self.thread
        self.thread.join()

    def hear(self) -> None:
        at = 0
        while not self.over.wait(0.001) and not self.device.says_nothing:
            times = np.arange(at, at + self.block) / self.rate
            block = (self.device.level * np.sin(2 * np.pi * TONE * times)).astype(np.float32)
            status = SimpleNamespace(input_overflow=self.device.overflows and at == 0)
            self.callback(block[:, None], self.block, None, status)
            at += self.block


@pytest.fixture
def portaudio(monkeypatch: pytest.MonkeyPatch) -> PortAudio:
    standin = PortAudio()
    monkeypatch.setitem(sys.modules, "sounddevice", standin)
    return standin


def pitch(samples: np.ndarray[Any, np.dtype[np.float32]]) -> float:
    """The loudest frequency in Hz."""
    return float(np.argmax(np.abs(np.fft.rfft(samples))) * 16000 / len(samples))


# ---- what is recorded


@pytest.mark.parametrize("rates", [(16000,), (44100,)])
def test_sixteen_kilohertz_come_of_any_device(rates: tuple[int, ...], portaudio: PortAudio) -> None:
    portaudio.rates = rates
    take = record(0.5)
    assert portaudio.opened == [rates[0]]
    assert (len(take.samples), take.samples.dtype) == (8000, np.float32)
    assert pitch(take.samples) == pytest.approx(TONE, abs=4)


def test_it_ends_when_it_is_stopped(portaudio: PortAudio) -> None:
    seen: list[float] = []
    take = record(stopped=lambda: len(seen) == 3, on_level=lambda seconds, _peak: seen.append(seconds))
    assert take.seconds == seen[-1] == pytest.approx(0.15)


def test_it_is_as_long_as_was_said(portaudio: PortAudio) -> None:
    assert record(0.12).seconds == 0.12


def test_it_ends_by_itself(portaudio: PortAudio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(microphone, "LONGEST_SECONDS", 1)
    assert record(1000).seconds == 1


def test_the_level_is_told_as_it_comes(portaudio: PortAudio) -> None:
    portaudio.level = 0.25
    levels: list[float] = []
    record(0.2, on_level=lambda _seconds, peak: levels.append(peak))
    assert levels == [pytest.approx(0.25, abs=0.01)] * 4


def test_silence_and_lost_sound_are_known(portaudio: PortAudio) -> None:
    assert (record(0.1).silent, record(0.1).gaps) == (False, False)
    portaudio.level, portaudio.overflows = 0.0005, True
    assert (record(0.1).silent, record(0.1).gaps) == (True, True)


# ---- what can be missing, each with its own fix


def refused() -> RefusedError:
    with pytest.raises(RefusedError) as caught:
        record(0.1)
    return caught.value


def test_the_package_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    assert refused().fix == "pip install sounddevice"


def test_the_library_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "sounddevice.py").write_text("raise OSError('PortAudio library not found')\n")
    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    error = refused()
    assert (error.why, error.fix) == ("PortAudio library not found", "sudo apt install libportaudio2")


def test_there_is_no_microphone(portaudio: PortAudio, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(microphone, "SOUND_DEVICES", tmp_path)
    portaudio.devices = 0
    assert refused().what == "there is no microphone here"


def test_this_user_may_not(portaudio: PortAudio, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "pcmC0D0c").symlink_to("nowhere")  # unreadable for root too
    monkeypatch.setattr(microphone, "SOUND_DEVICES", tmp_path)
    portaudio.devices = 0
    error = refused()
    assert error.what == "this user may not use the microphone"
    assert "usermod -aG audio" in error.fix


def test_another_program_holds_it(portaudio: PortAudio) -> None:
    portaudio.busy = True
    error = refused()
    assert error.what == "the microphone cannot be used"
    assert "Device unavailable" in error.why


def test_it_sends_nothing(portaudio: PortAudio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(microphone, "DEAD_SECONDS", 0.05)
    portaudio.says_nothing = True
    assert refused().what == "the microphone a microphone sends nothing"
