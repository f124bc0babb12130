"""The front end: samples to log-mel frames, as the model was trained with."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import torch
from transformers.audio_utils import mel_filter_bank

from .lengths import HOP, SAMPLE_RATE, TAIL

if TYPE_CHECKING:
    import numpy as np

WINDOW = 400
"""Samples under the Hann window, and points of its transform: 25 ms."""
FLOOR = 1e-10
RANGE = 8.0
"""What lies so many powers of ten below the loudest value of a clip is raised to that."""


def log_mel(samples: np.ndarray | torch.Tensor, bands: int) -> torch.Tensor:
    """Log-mel frames `[frames, bands]` in float32 of one clip: mono, 16 kHz, at least one sample."""
    wave = torch.nn.functional.pad(torch.as_tensor(samples, dtype=torch.float32), (0, TAIL))
    spectrum = torch.stft(wave, WINDOW, HOP, window=_window(), return_complex=True)
    spectrum = torch.view_as_real(spectrum[:, :-1]).square().sum(-1)
    logarithm = (_filters(bands) @ spectrum).clamp_(min=FLOOR).log10_()
    floor = logarithm.max() - RANGE
    return logarithm.clamp_(min=floor).add_(4.0).div_(4.0).T.contiguous()


@lru_cache
def _window() -> torch.Tensor:
    return torch.hann_window(WINDOW)


@lru_cache
def _filters(bands: int) -> torch.Tensor:
    filters = mel_filter_bank(
        num_frequency_bins=WINDOW // 2 + 1,
        num_mel_filters=bands,
        min_frequency=0.0,
        max_frequency=SAMPLE_RATE / 2,
        sampling_rate=SAMPLE_RATE,
        norm="slaney",
        mel_scale="slaney",
    )
    return torch.from_numpy(filters.T).to(torch.float32).contiguous()
