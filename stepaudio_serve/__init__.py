"""stepaudio-serve: from a model name to an endpoint that has proved it can hear.

    from stepaudio_serve import Settings, serve

    with serve(Settings(engine="rehearsal", runtime="process")) as deployment:
        print(deployment.endpoint)

The names below are imported when first used, so that the command line starts fast.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .client.conversation import user_message
    from .client.recording import read_recording
    from .client.stream import ask
    from .client.wire import Question
    from .facts.gather import Facts, gather
    from .lifecycle.doctor import Checkup, doctor
    from .lifecycle.down import down
    from .lifecycle.hand_over import Launched
    from .lifecycle.observer import Observer
    from .lifecycle.serve import serve
    from .lifecycle.status import Status, status_of
    from .lifecycle.up import up
    from .plan.build import make_plan
    from .plan.plan import Plan
    from .runtime.choose import locate
    from .runtime.deployment import Deployment
    from .settings.options import Settings

__version__ = "0.1.0"

_HOMES = {
    "Checkup": "lifecycle.doctor",
    "Deployment": "runtime.deployment",
    "Facts": "facts.gather",
    "Launched": "lifecycle.hand_over",
    "Observer": "lifecycle.observer",
    "Plan": "plan.plan",
    "Question": "client.wire",
    "Settings": "settings.options",
    "Status": "lifecycle.status",
    "ask": "client.stream",
    "doctor": "lifecycle.doctor",
    "down": "lifecycle.down",
    "gather": "facts.gather",
    "locate": "runtime.choose",
    "make_plan": "plan.build",
    "read_recording": "client.recording",
    "serve": "lifecycle.serve",
    "status_of": "lifecycle.status",
    "up": "lifecycle.up",
    "user_message": "client.conversation",
}

__all__ = [
    "Checkup",
    "Deployment",
    "Facts",
    "Launched",
    "Observer",
    "Plan",
    "Question",
    "Settings",
    "Status",
    "ask",
    "doctor",
    "down",
    "gather",
    "locate",
    "make_plan",
    "read_recording",
    "serve",
    "status_of",
    "up",
    "user_message",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
