"""The front end: sound at 16 kHz as a logarithmic mel spectrogram."""

from __future__ import annotations

from functools import cache

import torch
from transformers.audio_utils import mel_filter_bank

from .prompt import APPENDED, HOP

RATE = 16_000
WINDOW = 400
MELS = 128


@cache
def filters() -> torch.Tensor:
    """Slaney's mel filters, `[201, 128]`."""
    bank = mel_filter_bank(WINDOW // 2 + 1, MELS, 0.0, RATE / 2, RATE, norm="slaney", mel_scale="slaney")
    return torch.tensor(bank, dtype=torch.float32)


def log_mel(samples: torch.Tensor) -> torch.Tensor:
    """`[frames, 128]` in float32 of one clip, `[samples]`: its loudest point and 8 decades below, about -1 to 1."""
    padded = torch.nn.functional.pad(samples.float(), (0, APPENDED))
    window = torch.hann_window(WINDOW)
    power = torch.stft(padded, WINDOW, HOP, window=window, return_complex=True)[:, :-1].abs() ** 2
    decades = (power.T @ filters()).clamp(min=1e-10).log10()
    return (decades.clamp(min=decades.max() - 8) + 4) / 4
