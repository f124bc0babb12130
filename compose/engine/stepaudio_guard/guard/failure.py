"""A failure of the guard's own, for the server's log: where it was, and nothing of what was asked or answered."""

from __future__ import annotations

import logging
import traceback

_LOG = logging.getLogger("stepaudio.guard")


def log_failure(what: str, error: Exception) -> None:
    """Log the kind of `error` and its place in the code; its message could quote a request."""
    place = "".join(traceback.format_tb(error.__traceback__))
    _LOG.error("%s: %s\n%s", what, type(error).__name__, place)
