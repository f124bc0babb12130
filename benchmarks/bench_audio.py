"""An hour of stereo 44.1 kHz MP3 decoded, resampled and cut into WAV pieces: speed and resident growth.

    benchmarks/bench_audio.py [RUNS]

By libsndfile and numpy as the guard does it, and by FFmpeg as the client does it; each run is a fresh process with
one BLAS thread, timed by its own processor time: all is one thread, and neighbours on the machine do not count.
Prints each median with its bound and their ratio: below 1 is within. Then, without a bound, what a
25-second 16 kHz WAV costs the guard.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from stepaudio_serve.audio.pcm import Samples

SECONDS = 3600
RATE = 44100
SPEED_BOUND = 200
"""Times real time."""

GROWTH_BOUND = 200
"""MiB of resident memory, the encoded file left out: it is there before decoding begins."""


def main() -> int:
    if sys.argv[1:2] == ["measure"]:
        return measure(sys.argv[2], Path(sys.argv[3]))
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    with tempfile.TemporaryDirectory() as folder:
        mp3, wav = Path(folder, "hour.mp3"), Path(folder, "piece.wav")
        write_hour(mp3)
        write_clip(wav)
        for way in ("guard", "client"):
            results = [run(way, mp3) for _ in range(runs)]
            speed = SECONDS / statistics.median(result["seconds"] for result in results)
            growth = statistics.median(result["growth_mib"] for result in results)
            print(f"{way:6} {speed:5.0f} x real time, bound {SPEED_BOUND}, ratio {SPEED_BOUND / speed:.2f}")
            print(f"{way:6} {growth:5.0f} MiB growth, bound {GROWTH_BOUND}, ratio {growth / GROWTH_BOUND:.2f}")
        milliseconds = 1000 * statistics.median(run("guard", wav)["again_seconds"] for _ in range(runs))
        print(f"guard  {milliseconds:5.1f} ms for 25 s of 16 kHz WAV")
    return 0


def bursts(rate: int, seconds: int, channels: int) -> Samples:
    """Noise that swells and pauses, a row a channel; its content does not matter, its bit rate is usual."""
    import numpy as np

    generator = np.random.default_rng(0)
    loudness = np.repeat(generator.uniform(0, 0.2, 5 * seconds), rate // 5)
    return (generator.standard_normal((channels, len(loudness))) * loudness).astype(np.float32)


def write_hour(path: Path) -> None:
    """One minute at 128 kbit/s, sixty times: without a reservoir and a table of the length, minutes may be joined."""
    import av

    sound = av.AudioFrame.from_ndarray(bursts(RATE, 60, channels=2), "fltp", "stereo")
    sound.sample_rate = RATE
    with av.open(str(path), "w", format="mp3", options={"write_xing": "0", "id3v2_version": "0"}) as file:
        stream = file.add_stream("libmp3lame", rate=RATE, layout="stereo", options={"reservoir": "0"})
        stream.bit_rate = 128_000
        resampler = av.AudioResampler(stream.format, "stereo", RATE, frame_size=stream.frame_size or 1152)
        for frame in (*resampler.resample(sound), *resampler.resample(None)):
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    path.write_bytes(path.read_bytes() * (SECONDS // 60))


def write_clip(path: Path) -> None:
    import soundfile

    soundfile.write(path, bursts(16000, 25, channels=1)[0], 16000)


def run(way: str, path: Path) -> dict[str, float]:
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, __file__, "measure", way, path], capture_output=True, text=True, check=False, env=environment
    )
    if done.returncode:
        sys.exit(f"measuring {way} failed:\n{done.stderr}")
    return json.loads(done.stdout)


def measure(way: str, path: Path) -> int:
    from stepaudio_serve.audio.pieces import cut
    from stepaudio_serve.audio.wav import wav_bytes

    blocks = decoding(way, path)
    before = resident_mib()
    began = time.process_time()
    pieces = sum(len(wav_bytes(piece)) > 0 for piece in cut(blocks()))
    seconds = time.process_time() - began
    growth = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - before
    began = time.process_time()
    if path.suffix == ".wav":
        pieces += sum(len(wav_bytes(piece)) > 0 for piece in cut(blocks()))
    again = time.process_time() - began
    print(json.dumps({"pieces": pieces, "seconds": seconds, "growth_mib": growth, "again_seconds": again}))
    return 0


def decoding(way: str, path: Path) -> Callable[[], Iterator[Samples]]:
    """The way's decoder, its libraries loaded and its input as it gets it: the guard bytes, the client a path."""
    if way == "client":
        import av  # noqa: F401

        from stepaudio_serve.audio.media import decode_media

        return lambda: decode_media(path)
    from stepaudio_serve.audio.decode import Limits, decode

    data = path.read_bytes()
    return lambda: decode(data, Limits())


def resident_mib() -> float:
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


if __name__ == "__main__":
    sys.exit(main())
