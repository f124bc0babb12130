"""How samples become mel frames, and frames become tokens."""

from __future__ import annotations

from dataclasses import dataclass

SAMPLE_RATE = 16_000
HOP = 160
"""Samples from one mel frame to the next: 10 ms."""
TAIL = 479
"""Zeros after the sound, so that its last samples lie inside a frame."""


@dataclass(frozen=True, slots=True)
class ClipLengths:
    """Lengths for one shape of audio encoder.

    `positions` are the encoder's (n_audio_ctx); `kernel` and `stride` the adaptor's convolution's.
    """

    positions: int
    kernel: int
    stride: int

    @property
    def most_samples(self) -> int:
        """The longest clip that the encoder's positions hold: 479,680 samples (29.98 s) for 1500 positions."""
        most_frames = 2 * self.positions
        return most_frames * HOP + HOP - 1 - TAIL

    @property
    def most_tokens(self) -> int:
        """Tokens of the longest clip."""
        return self.tokens(frames(self.most_samples))

    def tokens(self, mel_frames: int) -> int:
        """Embeddings for a clip of so many mel frames: after a convolution of stride 2, a pooling by 2, the adaptor."""
        pooled = (mel_frames + 1) // 2 // 2
        return (pooled + 2 * (self.kernel // 2) - self.kernel) // self.stride + 1


def frames(samples: int) -> int:
    """Mel frames of a clip of so many samples."""
    return (samples + TAIL) // HOP
