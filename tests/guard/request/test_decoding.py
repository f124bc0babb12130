from __future__ import annotations

import asyncio
import io
import json
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import soundfile
from support import sounds

from stepaudio_serve.audio.pcm import PIECE_SECONDS
from stepaudio_serve.guard.config import Limits
from stepaudio_serve.guard.refusal import Refusal, RefusedError
from stepaudio_serve.guard.request.decoding import DecoderPool

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stepaudio_serve.guard.prepared import Clip

SHORT = sounds.wav(seconds=1.0)
TO_DECODE = sounds.encode(sounds.tone(440, 1.0), form="FLAC")


def decoded(data: bytes, *, seconds_left: float = float("inf"), **limits: Any) -> Sequence[Clip]:
    async def decode() -> Sequence[Clip]:
        pool = DecoderPool(Limits(**limits))
        try:
            return await pool(data, "messages[0].content[0]", seconds_left)
        finally:
            assert pool.waiting == 0
            pool.close()

    return asyncio.run(decode())


def refused(data: bytes, **how: Any) -> Refusal:
    with pytest.raises(RefusedError) as caught:
        decoded(data, **how)
    return caught.value.refusal


class TestClips:
    def test_what_is_a_clip_already_stays_as_it_is(self) -> None:
        (clip,) = decoded(SHORT)
        assert (clip.wav, clip.seconds, clip.damaged) == (SHORT, 1.0, False)

    def test_each_is_a_wav_of_16_bit_16_khz_mono_and_short_enough(self) -> None:
        data = sounds.encode(sounds.tone(440, 60.0, rate=32000, channels=2), rate=32000, form="FLAC")
        clips = decoded(data)
        assert len(clips) >= 3
        for clip in clips:
            with soundfile.SoundFile(io.BytesIO(clip.wav)) as file:
                assert (file.samplerate, file.channels, file.subtype) == (16000, 1, "PCM_16")
                assert file.frames / 16000 == clip.seconds <= PIECE_SECONDS
        assert sum(clip.seconds for clip in clips) == pytest.approx(60.0, abs=0.01)

    def test_what_was_right_already_is_not_changed(self) -> None:
        assert [clip.wav for clip in decoded(SHORT)] == [SHORT]

    def test_a_single_sample_has_the_length_that_it_was_completed_to(self) -> None:
        (clip,) = decoded(sounds.encode(np.full((1, 1), 0.5, np.float32)))
        assert clip.seconds == soundfile.info(io.BytesIO(clip.wav)).duration


class TestWhatCannotBeHeard:
    @pytest.mark.parametrize(
        ("data", "code"),
        [
            (b"", "audio_empty"),
            (sounds.encode(sounds.tone(440, 0)), "audio_empty"),
            (b"no sound at all", "audio_unreadable"),
            (sounds.movie(), "audio_unsupported"),
            (sounds.float_wav(float("nan")), "audio_not_finite"),
            (sounds.float_wav(float("inf")), "audio_not_finite"),
        ],
    )
    def test_it_is_refused_by_the_reason_and_the_part_is_named(self, data: bytes, code: str) -> None:
        refusal = refused(data)
        assert (refusal.status, refusal.code, refusal.param) == (400, code, "messages[0].content[0]")
        assert refusal.message.startswith("messages[0].content[0]: ")

    def test_what_is_too_long_is_told_what_is_left(self) -> None:
        refusal = refused(sounds.wav(seconds=5.0), seconds_left=4.0)
        assert refusal.code == "audio_too_long"
        assert "the 4 s of audio" in refusal.message

    def test_what_takes_too_much_work_is_given_up(self) -> None:
        assert refused(sounds.long_file("FLAC", "PCM_16", 5), decode_timeout=1e-9).code == "audio_too_slow"


class TestPlaces:
    def test_there_are_only_so_many(self) -> None:
        async def ask() -> list[Any]:
            pool = DecoderPool(Limits(queued_decodes=3))
            try:
                return await asyncio.gather(*(pool(TO_DECODE, "x", 60.0) for _ in range(5)), return_exceptions=True)
            finally:
                pool.close()

        results = asyncio.run(ask())
        refusals = [result.refusal for result in results if isinstance(result, RefusedError)]
        assert [refusal.status for refusal in refusals] == [429, 429]
        assert dict(refusals[0].headers)[b"retry-after"].isdigit()
        assert json.loads(refusals[0].body)["error"]["code"] == "too_many_decodes"

    def test_each_is_free_again_after_a_clip_good_or_bad(self) -> None:
        async def ask() -> None:
            pool = DecoderPool(Limits(queued_decodes=1))
            try:
                for data in (TO_DECODE, b"no sound", TO_DECODE):
                    await asyncio.gather(pool(data, "x", 60.0), return_exceptions=True)
                    assert pool.waiting == 0
            finally:
                pool.close()

        asyncio.run(ask())

    def test_whoever_leaves_gives_it_back_and_the_work_stops(self) -> None:
        hour = sounds.long_file("FLAC", "PCM_16", 60)

        async def ask() -> Sequence[Clip]:
            pool = DecoderPool(Limits(queued_decodes=2), workers=1)
            try:
                left = [asyncio.ensure_future(pool(hour, "x", float("inf"))) for _ in range(2)]
                await asyncio.sleep(0.01)
                assert pool.waiting == 2
                for task in left:
                    task.cancel()
                await asyncio.gather(*left, return_exceptions=True)
                assert pool.waiting == 0
                return await pool(TO_DECODE, "x", 60.0)
            finally:
                pool.close()

        assert len(asyncio.run(ask())) == 1

    def test_work_that_was_left_ends_before_shorter_work_that_was_not(self) -> None:
        hours, minutes = sounds.long_file("FLAC", "PCM_16", 120), sounds.long_file("FLAC", "PCM_16", 20)

        async def ask() -> bool:
            pool = DecoderPool(Limits(), workers=2)
            try:
                left = asyncio.ensure_future(pool(hours, "x", float("inf")))
                stays = asyncio.ensure_future(pool(minutes, "x", float("inf")))
                await asyncio.sleep(0.01)
                left.cancel()
                await asyncio.wait({left, stays}, return_when=asyncio.FIRST_COMPLETED)
                return left.done() and not stays.done()
            finally:
                pool.close()

        assert asyncio.run(ask())


def test_no_thread_is_left_once_the_pool_is_closed() -> None:
    decoded(TO_DECODE)
    mine = [thread for thread in threading.enumerate() if thread.name.startswith("stepaudio-decode")]
    for thread in mine:
        thread.join(10)
    assert not [thread for thread in mine if thread.is_alive()]
