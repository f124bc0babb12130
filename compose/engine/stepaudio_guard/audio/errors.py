"""The one error of this package: what a person sent cannot be heard."""

from __future__ import annotations

from typing import Literal, TypeAlias

AudioProblem: TypeAlias = Literal["empty", "unreadable", "not_finite", "too_long", "too_slow", "unsupported"]


class AudioError(ValueError):
    """Sound that cannot be passed on. As text: what is wrong and what to do, in plain words for a user.

    `reason` is one of
    `empty` (no sound inside), `unreadable` (no audio file that can be decoded, or too damaged), `not_finite` (NaN or
    infinite samples), `too_long` (more seconds than allowed), `too_slow` (decoding took more work than allowed),
    `unsupported` (known, but not to this decoder).
    """

    def __init__(self, reason: AudioProblem, message: str) -> None:
        super().__init__(message)
        self.reason: AudioProblem = reason
