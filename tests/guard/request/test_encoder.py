from __future__ import annotations

import pytest

from stepaudio_serve.guard.refusal import RefusedError
from stepaudio_serve.guard.request.encoder import check_padding


@pytest.mark.parametrize(
    "seconds",
    [
        [],
        [25.0],
        [25.0] * 64,  # six of them fill a step
        [20.0, 25.0, 22.5] * 20,  # the pieces of a long sound
        [1.0] * 64,
        [5.0] * 64,
        [2.0] * 10 + [25.0],
    ],
)
def test_ordinary_requests_pass(seconds: list[float]) -> None:
    check_padding(seconds)


@pytest.mark.parametrize("seconds", [[0.1] * 60 + [25.0], [25.0, *[1.0] * 20], [2.0] * 15 + [25.0] * 20])
def test_many_short_clips_beside_a_long_one_are_refused(seconds: list[float]) -> None:
    with pytest.raises(RefusedError, match=r"pads \d+ of them to the longest") as raised:
        check_padding(seconds)
    assert raised.value.refusal.code == "audio_too_uneven"


def test_the_order_of_the_clips_does_not_matter() -> None:
    for seconds in ([25.0, *[1.0] * 20], [*[1.0] * 20, 25.0]):
        with pytest.raises(RefusedError):
            check_padding(seconds)
