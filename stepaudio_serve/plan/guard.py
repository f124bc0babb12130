"""What the guard is told: variables of the engine's process, only those that differ from its own defaults."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..settings.declared import option

if TYPE_CHECKING:
    from ..settings.options import Settings

LIMITS = (
    "guard_max_request_bytes",
    "guard_max_audio_seconds",
    "guard_max_audio_parts",
    "guard_max_text_characters",
    "guard_max_tokens",
    "guard_max_choices",
    "guard_max_concurrent_requests",
    "guard_max_queued_decodes",
)
"""Settings whose environment variable is the guard's own; its defaults are the same."""


def guard_environment(settings: Settings, *, files: str, key_file: str | None, chat_template: str) -> dict[str, str]:
    """The variables, with the folder `files` on the module path; empty where the guard is off.

    A template that never writes `<think>` leaves no thinking to tell apart. One thread for numpy's small matrix
    products: on busy cores OpenBLAS's own threads, which spin, made resampling 5 times slower (measured).
    """
    if not settings.guard:
        return {}
    separate = settings.guard_separate_thinking and "<think>" in chat_template
    switches = {
        "STEPAUDIO_GUARD_PAGE": settings.guard_page,
        "STEPAUDIO_GUARD_METRICS": settings.guard_metrics,
        "STEPAUDIO_GUARD_SEPARATE_THINKING": separate,
    }
    variables = {"PYTHONPATH": files, "OPENBLAS_NUM_THREADS": "1"}
    if key_file is not None:
        variables["STEPAUDIO_GUARD_API_KEY_FILE"] = key_file
    variables |= {name: "0" for name, on in switches.items() if not on}
    if settings.guard_cors_origins is not None:
        variables["STEPAUDIO_GUARD_CORS_ORIGINS"] = settings.guard_cors_origins
    limits = {name: getattr(settings, name) for name in LIMITS}
    return variables | {
        option(name).variable: str(value)
        for name, value in limits.items()
        if value not in {option(name).default, "auto"}
    }
