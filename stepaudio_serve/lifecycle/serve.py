"""A deployment for the length of a `with` block."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..runtime.choose import docker_runtime, process_runtime
from .down import down
from .up import up

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..runtime.deployment import Deployment
    from ..settings.options import Settings
    from .observer import Observer


@contextmanager
def serve(settings: Settings, *, observer: Observer | None = None) -> Iterator[Deployment]:
    """Start, hand over, and take down at the end of the block - but only what this call has started.

    Raises:
        as `up` does.
    """
    launched = up(settings, observer=observer)
    try:
        yield launched.status.deployment
    finally:
        if not launched.already:
            started = launched.status.deployment
            runtime = process_runtime() if started.runtime == "process" else docker_runtime()
            found = runtime.find(started.name)
            if found is not None and found.id == started.id:
                down(runtime, found)
