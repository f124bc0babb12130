"""What the guard is told, by environment variables of the server process."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import GuardConfigError
from .keys import ApiKeys, parse_keys

if TYPE_CHECKING:
    from collections.abc import Mapping

API_KEY_FILE = "STEPAUDIO_GUARD_API_KEY_FILE"
"""Names the file with the API keys. A file, since values of the environment show in `docker inspect`."""

METRICS = "STEPAUDIO_GUARD_METRICS"
"""`1` (the default) serves /metrics, `0` does not."""


@dataclass(frozen=True, slots=True)
class GuardConfig:
    """What the door asks for: `keys` is None where no key is needed; `metrics` opens /metrics."""

    keys: ApiKeys | None = None
    metrics: bool = True


def read_config(environment: Mapping[str, str]) -> GuardConfig:
    """The configuration in `environment`, with the key file read.

    Raises GuardConfigError where a variable has no meaning, or the key file cannot be read or holds no key:
    a variable that is set but empty asks for a key that is not there.
    """
    key_file = environment.get(API_KEY_FILE)
    return GuardConfig(
        keys=None if key_file is None else _read_keys(key_file),
        metrics=_read_switch(METRICS, environment.get(METRICS, "1")),
    )


def _read_keys(path: str) -> ApiKeys:
    if not path:
        raise GuardConfigError(f"{API_KEY_FILE} is empty; name the key file, or unset it to ask for no key")
    try:
        return parse_keys(Path(path).read_bytes())
    except OSError as error:
        raise GuardConfigError(
            f"the API key file {path} ({API_KEY_FILE}) cannot be read: {error.strerror or error}; "
            "the server's user must be able to read it"
        ) from error
    except GuardConfigError as error:
        raise GuardConfigError(f"the API key file {path} ({API_KEY_FILE}) cannot be used: {error}") from error


def _read_switch(variable: str, value: str) -> bool:
    if value not in {"0", "1"}:
        raise GuardConfigError(f"{variable} is {value!r}; allowed are 0 and 1")
    return value == "1"
