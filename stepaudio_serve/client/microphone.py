"""The microphone, by PortAudio: sound as 16 kHz mono samples, for as long as it is wanted.

PortAudio comes with the extra `microphone`; it is imported when something is recorded, not before.
"""

from __future__ import annotations

import importlib
import queue
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..audio.pcm import SAMPLE_RATE
from ..audio.resample import resample
from ..errors import RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..audio.pcm import Samples

LONGEST_SECONDS = 1200
"""A recording ends here by itself: 77 MB of samples, and nearly what the default context of 16384 tokens hears."""

SILENT_PEAK = 0.001
"""-60 dB of full scale: below it a microphone is muted, or it is not the one that is spoken into."""

BLOCK_SECONDS = 0.05
DEAD_SECONDS = 5.0
"""A device that sends nothing for so long does not work."""

SOUND_DEVICES = Path("/dev/snd")
INSTALL = "pip install sounddevice"


@dataclass(frozen=True, slots=True)
class Take:
    """What was recorded; `gaps` says that the machine was too busy and sound was lost in between."""

    samples: Samples
    device: str
    gaps: bool = False

    @property
    def seconds(self) -> float:
        """Its length."""
        return len(self.samples) / SAMPLE_RATE

    @property
    def silent(self) -> bool:
        """Whether nothing in it is loud enough to be heard."""
        return not len(self.samples) or float(np.abs(self.samples).max()) < SILENT_PEAK


def record(
    seconds: float = LONGEST_SECONDS,
    *,
    stopped: Callable[[], bool] = lambda: False,
    on_level: Callable[[float, float], object] = lambda _seconds, _peak: None,
) -> Take:
    """Record from the default microphone for `seconds`, at most `LONGEST_SECONDS`, or until `stopped`.

    `on_level` is told about 20 times a second how many seconds there are and the last peak, of 0 to 1.

    Raises:
        RefusedError: PortAudio is missing, there is no microphone, or it cannot be used.
    """
    portaudio = _portaudio()
    device = _device(portaudio)
    arrived: queue.SimpleQueue[Samples] = queue.SimpleQueue()
    lost: list[bool] = []

    def take(block: Samples, _frames: int, _time: object, status: Any) -> None:
        if status.input_overflow:
            lost.append(True)
        arrived.put(block[:, 0].copy())

    def blocks(rate: int) -> Iterator[Samples]:
        wanted, count = round(min(seconds, LONGEST_SECONDS) * rate), 0
        while count < wanted and not stopped():
            try:
                block = arrived.get(timeout=DEAD_SECONDS)[: wanted - count]
            except queue.Empty:
                raise _dead(device["name"]) from None
            count += len(block)
            on_level(count / rate, float(np.abs(block).max(initial=0.0)))
            yield block

    with _problems(portaudio), _opened(portaudio, device, take) as rate:
        samples = np.concatenate([np.zeros(0, np.float32), *resample(blocks(rate), rate)])
    return Take(samples, str(device["name"]), gaps=bool(lost))


def _portaudio() -> Any:
    try:
        return importlib.import_module("sounddevice")
    except ModuleNotFoundError as error:
        raise RefusedError("the microphone needs a package more", why=str(error), fix=INSTALL) from error
    except OSError as error:  # "PortAudio library not found"
        raise RefusedError(
            "PortAudio is missing, which reads microphones", why=str(error), fix="sudo apt install libportaudio2"
        ) from error


def _device(portaudio: Any) -> dict[str, Any]:
    """The default input. Raises RefusedError where there is none, or none that this user may use."""
    try:
        found: dict[str, Any] = portaudio.query_devices(kind="input")
    except (portaudio.PortAudioError, ValueError) as error:
        if closed := _closed_to_us():
            raise RefusedError(
                "this user may not use the microphone",
                why=f"{closed} cannot be read; the group `audio` may",
                fix='sudo usermod -aG audio "$USER"    # then log in again',
            ) from error
        raise RefusedError(
            "there is no microphone here",
            why=f"PortAudio finds no device with an input ({error}); a server or a container seldom has one",
            fix="record where one is, and give the file",
        ) from error
    return found


def _closed_to_us() -> Path | None:
    """A device of ALSA's that captures sound and cannot be opened by this user."""
    import os

    return next((node for node in sorted(SOUND_DEVICES.glob("pcm*c")) if not os.access(node, os.R_OK)), None)


@contextmanager
def _opened(portaudio: Any, device: dict[str, Any], take: Callable[..., None]) -> Iterator[int]:
    """The running stream's rate: 16 kHz where the device can, else its own."""
    own = round(device["default_samplerate"])
    try:
        portaudio.check_input_settings(device=device["index"], channels=1, samplerate=SAMPLE_RATE)
        rate = SAMPLE_RATE
    except portaudio.PortAudioError:
        rate = own
    with portaudio.InputStream(
        device=device["index"],
        samplerate=rate,
        channels=1,
        dtype="float32",
        blocksize=round(rate * BLOCK_SECONDS),
        callback=take,
    ):
        yield rate


@contextmanager
def _problems(portaudio: Any) -> Iterator[None]:
    try:
        yield
    except portaudio.PortAudioError as error:
        raise RefusedError(
            "the microphone cannot be used",
            why=f"{error}; another program may hold it, or the sound server refuses",
            fix="arecord -d 1 /dev/null    # says whether any program can record",
        ) from error


def _dead(device: str) -> RefusedError:
    return RefusedError(
        f"the microphone {device} sends nothing",
        why=f"no sound within {DEAD_SECONDS:g} s; it may be asleep, or its sound server hangs",
        fix="pactl list short sources",
    )
