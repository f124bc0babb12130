"""The one error the guard raises; it cannot use the package's own, absent from the engine's process."""

from __future__ import annotations


class GuardConfigError(ValueError):
    """The guard's environment or key file is wrong, so the door stays shut; the message never holds a key."""
