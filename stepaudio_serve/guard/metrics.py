"""What the guard counts, in Prometheus' text format, joined to the engine's own.

https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MOST_SERIES = 256
"""Values of labels that one family counts apart; what comes after them is counted as `other`."""


@dataclass(slots=True)
class Family:
    """One metric, with a series for each value of its labels."""

    name: str
    help: str
    labels: tuple[str, ...] = ()
    kind: Literal["counter", "gauge"] = "counter"
    _series: dict[tuple[str, ...], float] = field(default_factory=dict)

    def add(self, *values: str, amount: float = 1) -> None:
        """Count `amount` for these values of the labels."""
        if values not in self._series and len(self._series) >= MOST_SERIES:
            values = ("other",) * len(self.labels)
        self._series[values] = self._series.get(values, 0) + amount

    def set(self, amount: float) -> None:
        """What a gauge without labels shows now."""
        self._series[()] = amount

    def lines(self) -> Iterator[str]:
        """The family as Prometheus reads it."""
        yield f"# HELP {self.name} {self.help}"
        yield f"# TYPE {self.name} {self.kind}"
        series = self._series if self.labels else {(): 0.0, **self._series}
        for values, amount in series.items():
            pairs = ",".join(f'{label}="{_escaped(value)}"' for label, value in zip(self.labels, values, strict=True))
            yield f"{self.name}{{{pairs}}} {amount:.17g}" if pairs else f"{self.name} {amount:.17g}"


class Metrics:
    """The counters of one guard."""

    def __init__(self) -> None:
        self.requests = Family("stepaudio_guard_requests_total", "Requests answered.", ("route", "status"))
        self.refusals = Family("stepaudio_guard_refusals_total", "Requests turned away by the guard.", ("code",))
        self.gone = Family("stepaudio_guard_clients_gone_total", "Clients that left before the engine was asked.")
        self.failures = Family("stepaudio_guard_failures_total", "Requests on which the guard itself failed.")
        self.body_bytes = Family("stepaudio_guard_body_bytes_total", "Bytes of request bodies read.")
        self.clips = Family("stepaudio_guard_audio_clips_total", "Clips of audio passed to the engine.")
        self.seconds = Family("stepaudio_guard_audio_seconds_total", "Seconds of audio passed to the engine.")
        self.lowered = Family("stepaudio_guard_max_tokens_lowered_total", "Requests whose max_tokens was lowered.")
        self._gauges: list[tuple[Family, Callable[[], float]]] = []

    def watch(self, name: str, words: str, measure: Callable[[], float]) -> None:
        """Show what `measure` says, as a gauge called `name`."""
        self._gauges.append((Family(name, words, kind="gauge"), measure))

    def exposition(self) -> bytes:
        """All of it, as Prometheus reads it."""
        for gauge, measure in self._gauges:
            gauge.set(measure())
        counters = [found for found in vars(self).values() if isinstance(found, Family)]
        families = [*counters, *(gauge for gauge, _ in self._gauges)]
        return "".join(f"{line}\n" for family in families for line in family.lines()).encode()


def joined(engine: bytes, own: bytes) -> bytes:
    """Two texts of metrics as one."""
    return engine + (b"" if engine.endswith(b"\n") or not engine else b"\n") + own


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
