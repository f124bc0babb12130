"""NVIDIA's little language for what an image asks of the driver."""

from __future__ import annotations

import pytest

from stepaudio_serve.checks.cuda_requirement import Offer, requirements, satisfied, wanted_cuda

NEW = Offer(cuda="12.8", driver="570.86.10", arch="12.0", brand="GeForce")
OLD = Offer(cuda="12.4", driver="535.183", arch="8.9", brand="Nvidia RTX")
REAL = (
    "cuda>=12.8 brand=unknown,driver>=470,driver<471 brand=grid,driver>=470,driver<471 "
    "brand=nvidiartx,driver>=535,driver<536 brand=geforce,driver>=535,driver<536"
)


@pytest.mark.parametrize(
    ("requirement", "offer", "answer"),
    [
        ("cuda>=12.8", NEW, True),
        ("cuda>=12.8", OLD, False),
        ("cuda>=13", NEW, False),
        ("cuda>=12.10", NEW, False),
        ("driver>=570", NEW, True),
        ("driver>=570,driver<571", NEW, True),
        ("driver>=570,driver<570", NEW, False),
        ("cuda>=13 driver>=570", NEW, True),
        ("brand=geforce", NEW, True),
        ("brand!=tesla", NEW, True),
        ("arch>=12.0", NEW, True),
        (REAL, OLD, True),
        (REAL, NEW, True),
        (REAL, Offer("12.4", "550.1", "8.9", "GeForce"), False),
        ("planet=mars", NEW, None),
        ("planet=mars cuda>=12.8", NEW, True),
        ("planet=mars,cuda>=13", NEW, False),
        ("cuda>=12.8", Offer(driver="570"), None),
    ],
)
def test_a_requirement_holds(requirement: str, offer: Offer, answer: bool | None) -> None:
    assert satisfied(requirement, offer) is answer


def test_an_image_may_ask_in_several_variables_or_not_to_be_asked() -> None:
    asked = {"NVIDIA_REQUIRE_CUDA": "cuda>=12.8", "NVIDIA_REQUIRE_DRIVER": "driver>=570", "PATH": "/bin"}
    assert requirements(asked) == ("cuda>=12.8", "driver>=570")
    assert requirements({**asked, "NVIDIA_DISABLE_REQUIRE": "true"}) == ()


def test_the_cuda_version_that_would_do_is_named() -> None:
    assert wanted_cuda(REAL) == "12.8"
    assert wanted_cuda("driver>=570") == ""
