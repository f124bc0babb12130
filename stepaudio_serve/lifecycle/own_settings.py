"""The settings that a deployment was started with, read back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import SettingsError
from ..settings.options import Settings

if TYPE_CHECKING:
    from ..runtime.deployment import Deployment


def settings_of(deployment: Deployment) -> Settings:
    """What its labels hold.

    Raises:
        SettingsError: another version of the program started it, with settings that this one does not have.
    """
    from pydantic import ValidationError

    try:
        return Settings.model_validate(dict(deployment.settings))
    except ValidationError as error:
        wrong = error.errors()[0]
        field = ".".join(map(str, wrong["loc"])) or "settings"
        raise SettingsError(
            f"the settings of `{deployment.name}` are not those of this version",
            why=f"{field}: {wrong['msg']}",
            fix=f"stepaudio-serve down {deployment.name} && stepaudio-serve up --name {deployment.name}",
        ) from error
