"""An engine that did not answer the spoken question as it should is not handed over, however often one looks."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from stepaudio_serve import down, locate, serve, status_of, up
from stepaudio_serve.errors import NoSuchDeploymentError, SettingsError, UnhealthyError
from stepaudio_serve.lifecycle.wait import wait

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from stepaudio_serve import Settings

    Configured = Callable[..., Settings]


@pytest.fixture
def removed(rehearsal: Configured) -> Iterator[None]:
    yield
    down(*locate(rehearsal().name), grace=0)


@pytest.mark.usefixtures("removed")
@pytest.mark.parametrize(("failure", "canary"), [("garbage-answer", "strict"), ("no-template", "lenient")])
def test_it_is_asked_again_each_time(
    rehearsal: Configured, monkeypatch: pytest.MonkeyPatch, failure: str, canary: str
) -> None:
    monkeypatch.setenv("STEPAUDIO_REHEARSAL_FAIL", failure)
    settings = rehearsal(canary=canary)
    with pytest.raises(UnhealthyError) as caught:
        up(settings)
    assert f"stepaudio-serve wait {settings.name}" in caught.value.fix
    status = status_of(*locate(settings.name))
    assert status.health == "healthy"
    assert status.detail.startswith("not handed over")
    with pytest.raises(UnhealthyError):
        wait(*locate(settings.name))
    with pytest.raises(UnhealthyError):
        up(settings)


@pytest.mark.usefixtures("removed")
def test_one_that_nobody_waited_for_is_handed_over_by_the_next(rehearsal: Configured) -> None:
    settings = rehearsal()
    up(settings, wait=False)
    launched = wait(*locate(settings.name))
    assert launched.already
    assert launched.canary is not None
    assert launched.canary.heard
    assert status_of(*locate(settings.name)).detail == ""
    again = up(settings)
    assert again.already
    assert again.canary is None


@pytest.mark.usefixtures("removed")
def test_settings_of_another_version_are_said_to_be_so(rehearsal: Configured) -> None:
    up(rehearsal(canary="off"))
    runtime, deployment = locate(rehearsal().name)
    older = replace(deployment, settings={**deployment.settings, "no_longer_there": 1})
    with pytest.raises(SettingsError, match="not those of this version") as caught:
        wait(runtime, older)
    assert "no_longer_there" in caught.value.why


def test_waiting_for_what_was_taken_down_says_so(rehearsal: Configured) -> None:
    up(rehearsal(canary="off"))
    runtime, deployment = locate(rehearsal().name)
    down(runtime, deployment, grace=0)
    with pytest.raises(NoSuchDeploymentError, match="taken down meanwhile"):
        wait(runtime, deployment)


@pytest.mark.usefixtures("removed")
def test_a_block_takes_down_only_what_it_has_started(rehearsal: Configured) -> None:
    settings = rehearsal(canary="off")
    with serve(settings) as first:
        down(*locate(first.name), grace=0)
        second = up(settings).status.deployment
    assert locate(second.name)[1].id == second.id
