"""What `up` and `pull` tell while they work. The command line draws it; a library's default says nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from ..finding import Finding
    from ..plan.plan import Plan
    from ..startup.phases import Progress
    from .fetch import Missing


class Observer:
    """Override what you want to hear of."""

    def planned(self, plan: Plan) -> None:
        """The plan is made."""

    def findings(self, findings: Sequence[Finding]) -> None:
        """The checks are done; only what is not ok."""

    def notice(self, text: str) -> None:
        """Something that was done, skipped or lowered."""

    def may_fetch(self, missing: Missing) -> bool:
        """Something is about to be fetched; nothing is when this says no."""
        return True

    def fetching(self, repository: str, have: int, total: int) -> None:
        """Bytes of the checkpoint that are there, of how many."""

    def fetched(self, text: str) -> None:
        """The checkpoint is there; in words."""

    def pulling(self, image: str, event: Mapping[str, Any]) -> None:
        """One event of an image pull, as the engine sends it."""

    def pulled(self, image: str) -> None:
        """The image is there."""

    def started(self) -> None:
        """The engine is started and has not said anything yet."""

    def line(self, text: str, progress: Progress) -> None:
        """One line of the engine's log, and the progress after it."""

    def asking(self, question: str) -> None:
        """The endpoint is healthy; the canary is being asked."""
