"""What the container engine's SDK raises, in words: lost, refusing, or asked for what has gone."""

from __future__ import annotations

import pytest
from docker.errors import APIError, DockerException, NotFound

from stepaudio_serve.cli.errors import report


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (DockerException("Connection refused"), 3, "No Docker Engine answers"),
        (APIError("500", explanation="the disk is full"), 3, "the disk is full"),
        (NotFound("404", explanation="No such container: abc"), 6, "No such container: abc"),
    ],
)
def test_each_keeps_its_own_words(
    error: Exception, code: int, said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    assert report(error, as_json=False) == code
    words = capsys.readouterr().err
    assert said.lower() in words.lower()
    assert ("systemctl" in words) == (type(error) is DockerException)
