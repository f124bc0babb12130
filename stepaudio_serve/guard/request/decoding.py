"""Audio decoded in threads, a bounded number at a time."""

from __future__ import annotations

import asyncio
import math
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

from ...audio.decode import Limits as DecodeLimits
from ...audio.decode import decode
from ...audio.errors import AudioError
from ...audio.pcm import SAMPLE_RATE
from ...audio.pieces import cut
from ...audio.wav import wav_bytes
from ..prepared import Clip
from ..refusal import Refusal, RefusedError, bad_request

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from ...audio.pcm import Samples
    from ..config import Limits

WORKERS = 2
"""Threads. Decoding is C code that lets others run; two keep up with what an encoder can take."""

_RETRY_AFTER = 2
"""Seconds; a clip is decoded in milliseconds, so places are free again soon."""


class DecoderPool:
    """A Decoder for one server: `limits` bound how many clips wait and how long one may take."""

    def __init__(self, limits: Limits, workers: int = WORKERS) -> None:
        self._limits = limits
        self._taken = 0
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="stepaudio-decode")

    @property
    def waiting(self) -> int:
        """Clips that wait for, or are in, decoding."""
        return self._taken

    async def __call__(self, data: bytes, param: str, seconds_left: float) -> Sequence[Clip]:
        """The clips in `data`, at most `seconds_left` seconds. Raises RefusedError."""
        if self._taken >= self._limits.queued_decodes:
            raise _busy(self._taken)
        limits = DecodeLimits(
            seconds=None if math.isinf(seconds_left) else seconds_left, work_seconds=self._limits.decode_timeout
        )
        gone = threading.Event()
        self._taken += 1
        try:
            work = partial(_clips, data, limits, gone)
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        except AudioError as error:
            raise _unheard(error, param, seconds_left) from None
        finally:
            gone.set()
            self._taken -= 1

    def close(self) -> None:
        """Take no more work and let go of the threads; nothing is waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _clips(data: bytes, limits: DecodeLimits, gone: threading.Event) -> list[Clip]:
    """Decode, mix, check and cut `data`; stops early, with nothing, once nobody waits for it."""
    pieces = map(wav_bytes, cut(_until(gone, decode(data, limits))))
    return [Clip(wav, seconds_of_wav(wav)) for wav in pieces]


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


def _busy(waiting: int) -> RefusedError:
    return RefusedError(
        Refusal(
            status=429,
            code="too_many_decodes",
            message=f"{waiting} pieces of audio wait to be decoded already; try again in a moment.",
            headers=((b"retry-after", str(_RETRY_AFTER).encode()),),
        )
    )
