"""Any file a person has, to 16 kHz mono: by FFmpeg's libraries (PyAV). Runs on the client's machine only.

FFmpeg knows more than media files: playlists and image lists that name other files and addresses. Only demuxers of
files that hold their own sound are let in, FFmpeg never sees a name or an address, and whatever a file refers to
stays closed.
"""

from __future__ import annotations

import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from .errors import AudioError
from .mixdown import mix_down

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.packet import Packet

    from .pcm import Samples

DEMUXERS = (
    "3gp,3g2,aac,ac3,aiff,amr,amrnb,amrwb,ape,asf,au,avi,caf,dsf,dts,eac3,flac,flv,iff,loas,m4a,matroska,mj2,mov,mp2,"
    "mp3,mp4,mpc,mpc8,mpeg,mpegts,ogg,rm,tta,voc,w64,wav,webm,wv,xwma"
)
"""FFmpeg's names of the formats that hold their own sound (`ffmpeg -demuxers`)."""

_OPTIONS = {"format_whitelist": DEMUXERS, "protocol_whitelist": "pipe"}
"""`pipe` is never used: everything is read through Python. An empty list would allow all protocols."""

_KNOWING_THEIR_LENGTH = frozenset({"mov,mp4,m4a,3gp,3g2,mj2", "flac"})
"""Formats whose headers give the sound's length: where less is found, the file was cut off. (FFmpeg makes the length
of a WAV fit its file, so there it cannot be told.)"""

_TOLERANCE = 1.0
"""Seconds by which a whole file may fall short of what it says: priming and padding of the codecs."""


@dataclass(frozen=True, slots=True)
class MediaInfo:
    """What a file says of itself: its first sound's length, None where it does not say, and form.

    `seconds` may be an estimate (an MP3 without a table of its length); `format` and `codec` are FFmpeg's names.
    """

    seconds: float | None
    format: str
    codec: str
    rate: int
    channels: int


@contextmanager
def rewindable(stream: BinaryIO) -> Iterator[BinaryIO]:
    """`stream` itself where it can be rewound; else (a pipe, standard input) a temporary copy of all that comes.

    The copy is a nameless file in the system's temporary folder, gone when the context ends.
    """
    if stream.seekable():
        yield stream
        return
    with tempfile.TemporaryFile() as copy:
        shutil.copyfileobj(stream, copy)
        copy.seek(0)
        yield copy


def probe(source: Path | BinaryIO) -> MediaInfo:
    """What a file says of itself, without decoding it; a stream is read from its beginning and must be rewindable.

    Raises AudioError where there is no sound that can be decoded, OSError where the file cannot be read.
    """
    with _opened(source) as (container, stream):
        return MediaInfo(
            seconds=_seconds(container, stream),
            format=container.format.name,
            codec=stream.codec_context.name,
            rate=stream.codec_context.sample_rate,
            channels=stream.codec_context.channels,
        )


def decode_media(source: Path | BinaryIO, *, on_damage: Callable[[float], None] | None = None) -> Iterator[Samples]:
    """The first sound in `source`, in blocks of up to a second.

    A stream is read from its beginning; one that cannot be rewound is copied first (`rewindable`).
    Damaged packets are skipped: `on_damage` is called for each with the second of the file where sound is missing.
    Without it the first one raises AudioError, so that no sound is lost unsaid.

    Raises AudioError where there is no sound that can be decoded, OSError where the file cannot be read.
    """
    report = _refuse_damage if on_damage is None else on_damage
    with _opened(source) as (container, stream), _understood():
        frames = _Track(container, stream, report).frames()
        first = next(frames, None)
        if first is None:
            raise AudioError("empty", "There is no sound inside: the sound track is empty or wholly damaged.")
        blocks = mix_down(chain([first], frames))
        for block in blocks:
            if not np.isfinite(block).all():
                raise AudioError("not_finite", "The sound holds samples that are no numbers (NaN) or infinite.")
            yield block


@contextmanager
def _understood() -> Iterator[None]:
    """Whatever the decoder and its filters cannot cope with, as AudioError."""
    import av

    try:
        yield
    except AudioError:
        raise
    except (av.error.FFmpegError, IndexError, ValueError) as error:
        raise AudioError(
            "unreadable", "It cannot be decoded: it is damaged, or says impossible things of itself."
        ) from error


def _refuse_damage(second: float) -> None:
    raise AudioError("unreadable", f"The file is damaged at {second:.1f} s.")


def _odd_titles(version: str) -> dict[str, Any]:
    """How `av.open` is told to bear titles that are no UTF-8; from PyAV 19 on it does so unasked."""
    return {"metadata_errors": "replace"} if int(version.partition(".")[0]) < 19 else {}


@contextmanager
def _opened(source: Path | BinaryIO) -> Iterator[tuple[InputContainer, AudioStream]]:
    import av

    with _file(source) as file:
        try:
            container = av.open(file, mode="r", options=dict(_OPTIONS), **_odd_titles(av.__version__))
        except av.error.FFmpegError as error:
            raise AudioError(
                "unreadable", "This is no media file that can be decoded: its bytes are of no known kind, or damaged."
            ) from error
        with container:
            if not container.streams.audio:
                raise AudioError("unsupported", f"There is no sound in it, only {_kinds(container)}.")
            stream = container.streams.audio[0]
            if stream.codec_context is None:  # decoding it would end some versions of PyAV
                raise AudioError("unsupported", "Its sound is in a format that FFmpeg does not know.")
            yield container, stream


@contextmanager
def _file(source: Path | BinaryIO) -> Iterator[BinaryIO]:
    if isinstance(source, Path):
        with source.open("rb") as file:
            yield file
    else:
        with rewindable(source) as file:
            file.seek(0)
            yield file


def _kinds(container: InputContainer) -> str:
    return ", ".join(sorted({stream.type for stream in container.streams})) or "an empty container"


def _seconds(container: InputContainer, stream: AudioStream) -> float | None:
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    return None if container.duration is None else container.duration / 1_000_000


class _Track:
    """One sound track on its way through the decoder. `reached` is the second up to which there is sound."""

    def __init__(self, container: InputContainer, stream: AudioStream, report: Callable[[float], None]) -> None:
        self._container = container
        self._stream = stream
        self._report = report
        self.reached = 0.0

    def frames(self) -> Iterator[AudioFrame]:
        """Decoded frames."""
        for packet in self._packets():
            for frame in self._decoded(packet):
                self.reached = _second(frame, self._stream, self.reached) + frame.samples / frame.sample_rate
                yield frame
        if self.reached + _TOLERANCE < (_promised_seconds(self._container, self._stream) or 0):
            self._report(self.reached)

    def _packets(self) -> Iterator[Packet[AudioStream]]:
        """The track's packets. Where reading fails it is tried anew, until nothing more comes."""
        import av

        more = True
        while more:
            more = False
            try:
                for packet in self._container.demux(self._stream):
                    more = True
                    yield packet
            except av.error.FFmpegError:
                self._report(self.reached)
            except IndexError:  # a packet of a track that begins late, which PyAV does not know: it is not this one
                continue
            else:
                return

    def _decoded(self, packet: Packet[AudioStream]) -> list[AudioFrame]:
        import av

        try:
            return packet.decode()
        except av.error.EOFError:
            return []
        except (av.error.FFmpegError, ValueError):  # ValueError: a codec that turned out unknown, from PyAV 19 on
            self._report(self.reached)
            return []


def _promised_seconds(container: InputContainer, stream: AudioStream) -> float | None:
    """The length of the sound where the format knows it exactly."""
    if container.format.name in _KNOWING_THEIR_LENGTH and stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    return None


def _second(frame: AudioFrame, stream: AudioStream, otherwise: float) -> float:
    """The frame's place, from the stream's beginning on; `otherwise` where it carries no time."""
    if frame.pts is None or frame.time_base is None:
        return otherwise
    begin = 0 if stream.start_time is None or stream.time_base is None else stream.start_time * stream.time_base
    return float(frame.pts * frame.time_base - begin)
