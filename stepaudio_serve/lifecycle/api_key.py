"""The key to ask with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import RefusedError

if TYPE_CHECKING:
    from ..runtime.deployment import Deployment
    from ..settings.options import Settings


def key_in(path: Path) -> str:
    """The first key of a key file.

    Raises:
        RefusedError: this user cannot read it, or it is empty.
    """
    try:
        return path.read_text("utf-8").split()[0]
    except (OSError, UnicodeDecodeError) as error:
        raise RefusedError(
            f"the key file {path} cannot be read", why=str(error), fix="STEPAUDIO_API_KEY=..."
        ) from error
    except IndexError as error:
        raise RefusedError(f"the key file {path} is empty", fix="STEPAUDIO_API_KEY=...") from error


def key_of(settings: Settings, deployment: Deployment | None = None) -> str | None:
    """The key that the settings name, else the one that a deployment was started with; None where there is none.

    Raises:
        RefusedError: the key file cannot be used.
    """
    if settings.api_key is not None:
        return settings.api_key.get_secret_value()
    path = (deployment.plan.get("key_file") if deployment else None) or settings.api_key_file
    return key_in(Path(path)) if path else None
