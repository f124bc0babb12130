"""Audio decoded in threads, a bounded number at a time."""

from __future__ import annotations

import math
import threading
from functools import partial
from typing import TYPE_CHECKING

from ...audio.decode import Limits as DecodeLimits
from ...audio.decode import decode
from ...audio.errors import AudioError
from ...audio.pcm import SAMPLE_RATE
from ...audio.pieces import cut
from ...audio.wav import is_piece, wav_bytes
from ..admission import too_many
from ..prepared import Clip
from ..refusal import RefusedError, bad_request
from .threads import Threads

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from ...audio.pcm import Samples
    from ..config import Limits

WORKERS = 2
"""Threads. Decoding is C code that lets others run; two keep up with what an encoder can take."""


class DecoderPool:
    """A Decoder for one server: `limits` bound how many clips wait and how long one may take."""

    def __init__(self, limits: Limits, workers: int = WORKERS) -> None:
        self._limits = limits
        self._taken = 0
        self._threads = Threads(workers, "stepaudio-decode")

    @property
    def waiting(self) -> int:
        """Clips that wait for, or are in, decoding."""
        return self._taken

    async def __call__(self, data: bytes, param: str, seconds_left: float) -> Sequence[Clip]:
        """The clips in `data`, at most `seconds_left` seconds; what is a clip already stays as it is.

        Raises RefusedError.
        """
        if is_piece(data) and seconds_of_wav(data) <= seconds_left:
            return [Clip(data, seconds_of_wav(data))]
        if self._taken >= self._limits.queued_decodes:
            raise too_many("too_many_decodes", f"{self._taken} pieces of audio wait to be decoded already.")
        limits = DecodeLimits(
            seconds=None if math.isinf(seconds_left) else seconds_left, work_seconds=self._limits.decode_timeout
        )
        gone = threading.Event()
        self._taken += 1
        try:
            work = partial(_clips, data, limits, gone)
            return await self._threads.run(len(data), work, gone.set)
        except AudioError as error:
            raise _unheard(error, param, seconds_left) from None
        finally:
            self._taken -= 1

    def close(self) -> None:
        """Take no more work and let go of the threads; nothing is waited for."""
        self._threads.close()


def _clips(data: bytes, limits: DecodeLimits, gone: threading.Event) -> list[Clip]:
    """Decode, mix, check and cut `data`; stops early, with nothing, once nobody waits for it."""
    damage: list[float] = []
    pieces = list(map(wav_bytes, cut(_until(gone, decode(data, limits, on_damage=damage.append)))))
    return [Clip(wav, seconds_of_wav(wav), damaged=bool(damage)) for wav in pieces]


def seconds_of_wav(wav: bytes) -> float:
    """The length of a file that `wav_bytes` wrote: 44 bytes of header, then 2 a sample."""
    return (len(wav) - 44) / (2 * SAMPLE_RATE)


def _until(gone: threading.Event, blocks: Iterable[Samples]) -> Iterator[Samples]:
    for block in blocks:
        if gone.is_set():
            return
        yield block


def _unheard(error: AudioError, param: str, seconds_left: float) -> RefusedError:
    why = str(error)
    if error.reason == "too_long":
        why = (
            f"it is longer than the {seconds_left:.0f} s of audio that this request may hold from here on. Send less "
            "in one request; `stepaudio-serve ask` takes audio of any length."
        )
    return bad_request(f"audio_{error.reason}", f"{param}: {why}", param)
