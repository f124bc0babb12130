"""FFmpeg's frames, of any rate and any loudspeakers, to 16 kHz mono."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np

from .errors import AudioError
from .pcm import SAMPLE_RATE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from av.audio.frame import AudioFrame
    from av.filter import Graph

    from .pcm import Samples

_BLOCK_SAMPLES = SAMPLE_RATE

MOST_CHANNELS = 64
"""What FFmpeg's filters mix."""


def mix_down(frames: Iterable[AudioFrame]) -> Iterator[Samples]:
    """The sound of `frames` in blocks of a second, mixed as FFmpeg mixes for one loudspeaker, within full scale.

    Loudspeakers without a place count alike. A change of rate or channels on the way is followed.
    Raises AudioError for more than `MOST_CHANNELS` channels.
    """
    for _, alike in groupby(frames, key=_form):
        graph: Graph | None = None
        for frame in alike:
            if graph is None:
                graph = _graph(frame)
            frame.pts = None  # a gap in time is no gap in the samples
            graph.push(frame)
            yield from _pull(graph)
        if graph is not None:
            graph.push(None)
            yield from _pull(graph)


def _form(frame: AudioFrame) -> tuple[int, str, str, int]:
    return frame.sample_rate, frame.format.name, frame.layout.name, frame.layout.nb_channels


def _graph(frame: AudioFrame) -> Graph:
    """Source, mixer, resampler, sink. `rematrix_maxval` keeps the mix of floats within full scale, too."""
    from av.filter import Graph

    rate, sample_format, layout, channels = _form(frame)
    if channels > MOST_CHANNELS:
        raise AudioError("unsupported", f"It has {channels} channels; at most {MOST_CHANNELS} can be mixed.")
    graph = Graph()
    placed = layout.partition(" ")[2] != "channels"
    source = graph.add_abuffer(
        sample_rate=rate, format=sample_format, layout=layout if placed else None, channels=channels
    )
    nodes = [source] if placed else [source, graph.add("pan", _equal_mix(channels))]
    nodes += [
        graph.add("aresample", rematrix_maxval="1"),
        graph.add("aformat", sample_fmts="flt", sample_rates=str(SAMPLE_RATE), channel_layouts="mono"),
        graph.add("abuffersink"),
    ]
    graph.link_nodes(*nodes).configure()
    graph.set_audio_frame_size(_BLOCK_SAMPLES)
    return graph


def _equal_mix(channels: int) -> str:
    return "mono|c0=" + "+".join(f"{1 / channels:.6f}*c{channel}" for channel in range(channels))


def _pull(graph: Graph) -> Iterator[Samples]:
    import av

    while True:
        try:
            block = graph.pull()
        except (av.error.BlockingIOError, av.error.EOFError):
            return
        yield block.to_ndarray().reshape(-1).astype(np.float32, copy=False)
