"""Sounds on their way: whatever the file, 16 kHz mono WAV goes out, and the page shows and plays it."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import soundfile
from hands import add, answered, ask, sounds_of, until
from playwright.sync_api import expect
from servers import INSECURE_HOST, Act

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Serve
    from playwright.sync_api import Page
    from servers import Scripted, Served

pytestmark = pytest.mark.chromium


def encoded(
    container: str, codec: str, rate: int, *, channels: int = 2, picture: bool = False, live: bool = False
) -> bytes:
    """Two seconds of a tone at 440 Hz, left and right alike; `live`: the header tells no length."""
    import av

    file = io.BytesIO()
    tone = (0.4 * np.sin(2 * np.pi * 440 * np.arange(rate * 2) / rate)).astype(np.float32)
    with av.open(file, "w", format=container, options={"live": "1"} if live else {}) as target:
        video: Any = target.add_stream("mpeg4", rate=10) if picture else None
        audio: Any = target.add_stream(codec, rate=rate)
        audio.layout = "stereo" if channels == 2 else "mono"
        if video:
            video.width, video.height, video.pix_fmt = 32, 32, "yuv420p"
            for _ in range(20):
                target.mux(video.encode(av.VideoFrame(32, 32, "yuv420p")))
            target.mux(video.encode(None))
        frame = av.AudioFrame.from_ndarray(np.tile(tone, (channels, 1)), format="fltp", layout=audio.layout.name)
        frame.sample_rate = rate
        resampler = av.AudioResampler(audio.format.name, audio.layout.name, rate, frame_size=audio.frame_size or None)
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            target.mux(audio.encode(piece))
        target.mux(audio.encode(None))
    return file.getvalue()


REFUSE_MICROPHONE = """() => {
    navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException("no", "NotAllowedError"));
}"""

KEEP_STREAM = """() => {
    const devices = navigator.mediaDevices, lend = devices.getUserMedia.bind(devices);
    devices.getUserMedia = async (wanted) => window.lent = await lend(wanted);
}"""
"""Keeps the microphone's stream as `lent`."""

FILES = {
    "speech.mp3": lambda: encoded("mp3", "libmp3lame", 44100),
    "speech.m4a": lambda: encoded("ipod", "aac", 48000),
    "speech.webm": lambda: encoded("webm", "libopus", 48000),
    "speech.ogg": lambda: encoded("ogg", "libopus", 24000),
    "speech.flac": lambda: encoded("flac", "flac", 96000),
    "speech.wav": lambda: encoded("wav", "pcm_s24le", 44100),
    "film.mp4": lambda: encoded("mp4", "aac", 44100, picture=True),
}


@pytest.mark.parametrize("name", FILES)
def test_any_file_goes_out_as_16_khz_mono_wav(visit: Callable[..., Page], engine: Served, name: str) -> None:
    page = visit(engine.url)
    add(page, FILES[name](), name)
    with page.expect_request("**/chat/completions") as sent:
        ask(page)
    (wav,) = sounds_of(sent.value.post_data_json)
    with soundfile.SoundFile(io.BytesIO(wav)) as file:
        assert (file.format, file.subtype, file.samplerate, file.channels) == ("WAV", "PCM_16", 16000, 1)
        samples = file.read()
    assert 1.9 < len(samples) / 16000 < 2.2
    middle = samples[8000:24000]
    assert np.argmax(np.abs(np.fft.rfft(middle))) == pytest.approx(440, abs=2)
    assert np.abs(middle).max() == pytest.approx(0.4, abs=0.05)
    assert "16000 Hz, mono" in answered(page)


def test_16_khz_mono_wav_arrives_sample_for_sample(visit: Callable[..., Page], engine: Served) -> None:
    samples = np.random.default_rng(5).integers(-32768, 32768, 24000).astype(np.int16)
    file = io.BytesIO()
    soundfile.write(file, samples, 16000, format="WAV", subtype="PCM_16")
    page = visit(engine.url)
    add(page, file.getvalue())
    with page.expect_request("**/chat/completions") as sent:
        ask(page)
    (wav,) = sounds_of(sent.value.post_data_json)
    assert np.array_equal(soundfile.read(io.BytesIO(wav), dtype="int16")[0], samples)
    answered(page)


def test_what_the_browser_cannot_decode_goes_out_as_it_is(
    visit: Callable[..., Page], engine: Served, sound: Any
) -> None:
    data = sound(2.4, container="AU")
    page = visit(engine.url)
    add(page, data, "old.au")
    expect(page.locator("#attached time")).to_have_text("sent as it is")
    expect(page.get_by_role("button", name="Play old.au")).to_be_disabled()
    with page.expect_request("**/chat/completions") as sent:
        ask(page)
    assert sounds_of(sent.value.post_data_json) == [data]
    assert "Clip 1: 2.40 s" in answered(page)


def test_minutes_go_out_in_one_piece(
    visit: Callable[..., Page], scripted: Scripted, sound: Any, tmp_path: Path
) -> None:
    file = tmp_path / "long.wav"
    file.write_bytes(sound(240, rate=8000))
    scripted.acts.append(Act([]))
    page = visit(scripted.url)
    page.set_input_files("#files", file)
    expect(page.locator("#attached time")).to_have_text("4:00")
    page.get_by_role("button", name="Send").click()
    until(lambda: bool(scripted.asked))
    (wav,) = sounds_of(scripted.asked[0])
    assert len(wav) == pytest.approx(240 * 32000, rel=0.001)


def test_what_no_question_can_hold_is_said_before_it_is_sent(
    visit: Callable[..., Page], serve: Serve, sound: Any
) -> None:
    page = visit(serve("--max-model-len", "1000").url)
    expect(page.locator("#model")).to_have_text("Step-Audio-R1")
    page.set_input_files("#files", {"name": "talk.wav", "mimeType": "", "buffer": sound(90, rate=8000)})
    expect(page.get_by_role("alert")).to_contain_text("talk.wav is 1:30 long; one question holds at most 0:59")
    expect(page.get_by_role("alert")).to_contain_text("stepaudio-serve ask FILE")
    expect(page.locator("#attached .clip")).to_have_count(0)


def test_the_whole_conversation_counts(visit: Callable[..., Page], serve: Serve, sound: Any) -> None:
    page = visit(serve("--max-model-len", "1000").url)
    expect(page.locator("#model")).to_have_text("Step-Audio-R1")
    add(page, sound(30, rate=8000), "one.wav")
    page.set_input_files("#files", {"name": "two.wav", "mimeType": "", "buffer": sound(40, rate=8000)})
    expect(page.get_by_role("alert")).to_contain_text("two.wav is 0:40 long; this conversation has room for 0:29 more")
    ask(page)
    answered(page)
    page.set_input_files("#files", {"name": "two.wav", "mimeType": "", "buffer": sound(40, rate=8000)})
    expect(page.get_by_role("alert")).to_contain_text("two.wav is 0:40 long; this conversation has room for")
    expect(page.locator("#attached .clip")).to_have_count(0)


def test_a_length_that_no_header_tells_is_found_by_decoding(visit: Callable[..., Page], serve: Serve) -> None:
    page = visit(serve("--max-model-len", "30").url)
    expect(page.locator("#model")).to_have_text("Step-Audio-R1")
    data = encoded("webm", "libopus", 48000, live=True)
    page.set_input_files("#files", {"name": "live.webm", "mimeType": "", "buffer": data})
    expect(page.get_by_role("alert")).to_contain_text("live.webm is 0:02 long; one question holds at most 0:01")
    expect(page.locator("#attached .clip")).to_have_count(0)


def test_a_large_file_that_tells_no_length_is_not_taken(
    visit: Callable[..., Page], engine: Served, tmp_path: Path
) -> None:
    file = tmp_path / "large.bin"
    with file.open("wb") as out:
        out.truncate(2**26 + 1)
    page = visit(engine.url)
    page.set_input_files("#files", file)
    expect(page.get_by_role("alert")).to_contain_text("large.bin does not tell its length, and is larger than 64 MiB")


def test_an_empty_file_is_not_taken(visit: Callable[..., Page], engine: Served) -> None:
    page = visit(engine.url)
    page.set_input_files("#files", {"name": "empty.wav", "mimeType": "", "buffer": b""})
    expect(page.get_by_role("alert")).to_contain_text("empty.wav is empty.")
    expect(page.locator("#attached .clip")).to_have_count(0)


def test_a_clip_shows_its_wave_and_plays(visit: Callable[..., Page], engine: Served, sound: Any) -> None:
    page = visit(engine.url)
    add(page, sound(1))
    heights = "canvas => new Set(canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data).size"
    assert page.locator("#attached canvas").evaluate(heights) > 1
    page.get_by_role("button", name="Play tone.wav").click()
    expect(page.get_by_role("button", name="Pause tone.wav")).to_be_visible()
    expect(page.get_by_role("button", name="Play tone.wav")).to_be_visible()
    expect(page.locator("#attached time")).to_have_text("0:01")


def test_the_microphone_is_recorded_and_heard(visit: Callable[..., Page], engine: Served) -> None:
    page = visit(engine.url)
    page.get_by_role("button", name="Record the microphone").click()
    expect(page.locator("#recording time")).to_have_text("0:02")
    page.get_by_role("button", name="Done").click()
    expect(page.get_by_role("button", name="Play Recording")).to_be_enabled()
    ask(page)
    assert "16000 Hz, mono" in answered(page)
    assert "silence" not in answered(page)


def test_a_recording_ends_where_no_question_could_hold_more(visit: Callable[..., Page], serve: Serve) -> None:
    page = visit(serve("--max-model-len", "40").url)
    expect(page.locator("#model")).to_have_text("Step-Audio-R1")
    page.get_by_role("button", name="Record the microphone").click()
    expect(page.get_by_role("button", name="Play Recording")).to_be_enabled()


def test_a_recording_that_no_question_can_hold_can_be_saved(visit: Callable[..., Page], engine: Served) -> None:
    page = visit(engine.url)
    expect(page.locator("#model")).to_have_text("Step-Audio-R1")
    page.get_by_role("button", name="Record the microphone").click()
    expect(page.locator("#recording time")).to_have_text("0:02")
    page.evaluate("served.max_model_len = 25")
    expect(page.get_by_role("alert")).to_contain_text("one question holds at most 0:01")
    with page.expect_download() as saved:
        page.get_by_role("link", name="Save it").click()
    assert saved.value.path().stat().st_size > 1000


def test_a_microphone_that_goes_away_takes_no_recording_along(visit: Callable[..., Page], engine: Served) -> None:
    page = visit(engine.url)
    page.evaluate(KEEP_STREAM)
    page.get_by_role("button", name="Record the microphone").click()
    expect(page.locator("#recording time")).to_have_text("0:01")
    page.evaluate("lent.getTracks().forEach((track) => track.stop())")
    expect(page.get_by_role("alert")).to_contain_text("The microphone ended by itself.")
    expect(page.get_by_role("button", name="Play Recording")).to_be_enabled()


def test_a_microphone_that_cannot_be_recorded_is_given_back(visit: Callable[..., Page], engine: Served) -> None:
    page = visit(engine.url)
    page.evaluate(KEEP_STREAM)
    page.evaluate("() => { window.AudioContext = function () { throw new DOMException('no sound card'); }; }")
    page.get_by_role("button", name="Record the microphone").click()
    expect(page.get_by_role("alert")).to_contain_text("The microphone cannot be used: no sound card")
    assert page.evaluate("lent.getTracks().map((track) => track.readyState)") == ["ended"]


def test_a_microphone_that_is_refused_is_said_to_be_so(visit: Callable[..., Page], engine: Served) -> None:
    page = visit(engine.url)
    page.evaluate(REFUSE_MICROPHONE)
    page.get_by_role("button", name="Record the microphone").click()
    expect(page.get_by_role("alert")).to_contain_text("does not let this page use the microphone")
    expect(page.get_by_role("button", name="Record the microphone")).to_be_enabled()


def test_a_recording_can_be_discarded(visit: Callable[..., Page], engine: Served) -> None:
    page = visit(engine.url)
    page.get_by_role("button", name="Record the microphone").click()
    page.get_by_role("button", name="Discard").click()
    expect(page.get_by_role("button", name="Record the microphone")).to_be_visible()
    expect(page.locator("#attached .clip")).to_have_count(0)


def test_where_browsers_lend_no_microphone_the_page_says_why_and_what_to_do(
    visit: Callable[..., Page], serve: Serve, sound: Any, tmp_path: Path
) -> None:
    file = tmp_path / "keys"
    file.write_text("open-sesame")  # without a key, the guard answers to no name but localhost
    engine = serve(STEPAUDIO_GUARD_API_KEY_FILE=str(file))
    page = visit(f"http://{INSECURE_HOST}:{engine.port}/")
    page.get_by_label("Key", exact=True).fill("open-sesame")
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("button", name="Record the microphone").click()
    expect(page.get_by_role("alert")).to_contain_text(f"ssh -L {engine.port}:127.0.0.1:{engine.port} {INSECURE_HOST}")
    add(page, sound())
    ask(page)
    assert "Clip 1: 2.40 s" in answered(page)
    page.get_by_role("button", name="Copy").click()
    expect(page.locator("#status")).to_have_text("Copied")
