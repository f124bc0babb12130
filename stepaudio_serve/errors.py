"""What can go wrong, as values: each error carries what happened, why, and a fix to paste.

The command line turns the type into an exit code and the fields into words (`cli/errors.py`); library
users catch the types, which also derive from the built-in error one would expect.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .diagnosis import Diagnosis
    from .facts.engine_problem import EngineProblem
    from .finding import Finding


class StepAudioError(Exception):
    """Something a user can act on.

    `what` happened, `why` (may be empty when `what` says it all), and `fix`: something to type or do.
    """

    code = "error"

    def __init__(self, what: str, *, why: str = "", fix: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.fix = fix


class SettingsError(StepAudioError, ValueError):
    """A setting is unknown, malformed or out of range; nothing was started."""

    code = "invalid-settings"


class PlanDiffersError(StepAudioError):
    """A deployment of this name runs, from another plan; `differences` are (field, running, wanted)."""

    code = "plan-differs"

    def __init__(self, what: str, *, differences: Sequence[tuple[str, object, object]], fix: str) -> None:
        super().__init__(what, fix=fix)
        self.differences = tuple(differences)


class RefusedError(StepAudioError):
    """Refused before anything was started; `findings` holds every blocker."""

    code = "refused"

    def __init__(self, what: str, *, why: str = "", fix: str = "", findings: Sequence[Finding] = ()) -> None:
        super().__init__(what, why=why, fix=fix)
        self.findings = tuple(findings)


class RuntimeUnavailableError(RefusedError, ConnectionError):
    """The container engine cannot be reached or used; `problem` tells the kind of failure, where that is known."""

    code = "runtime-unavailable"

    def __init__(self, what: str, *, why: str = "", fix: str = "", problem: EngineProblem | None = None) -> None:
        super().__init__(what, why=why, fix=fix)
        self.problem = problem


class EngineFailedError(StepAudioError, RuntimeError):
    """The engine ended before it was ready; `diagnoses` are most telling first, `log_tail` is redacted."""

    code = "engine-failed"

    def __init__(
        self,
        what: str,
        *,
        why: str = "",
        fix: str = "",
        diagnoses: Sequence[Diagnosis] = (),
        log_tail: Sequence[str] = (),
        exit_code: int | None = None,
    ) -> None:
        super().__init__(what, why=why, fix=fix)
        self.diagnoses = tuple(diagnoses)
        self.log_tail = tuple(log_tail)
        self.exit_code = exit_code


class TimedOutError(StepAudioError, TimeoutError):
    """Not ready within `ready_timeout`, or silent for `stall_timeout` seconds."""

    code = "timed-out"


class NoSuchDeploymentError(StepAudioError, LookupError):
    """No deployment of that name is ours."""

    code = "no-such-deployment"


class UnhealthyError(StepAudioError):
    """The deployment runs but does not answer as it should."""

    code = "unhealthy"
