"""What is raised where the guard cannot start. A request at fault raises `refusal.RefusedError` instead.

The package's own errors are absent from the engine's process.
"""

from __future__ import annotations


class GuardConfigError(ValueError):
    """The guard's environment or key file is wrong, so the door stays shut; the message never holds a key."""
