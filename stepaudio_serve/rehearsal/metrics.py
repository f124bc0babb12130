"""vLLM's metrics, under its names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

if TYPE_CHECKING:
    from collections.abc import Mapping

Ending = Literal["stop", "length", "abort"]
ENDINGS: tuple[Ending, ...] = ("stop", "length", "abort")


class Metrics:
    """What the engine counts, labelled with the model's name; every series exists from the start."""

    def __init__(self, model: str) -> None:
        self._registry = CollectorRegistry()
        self._labels: Mapping[str, str] = {"engine": "0", "model_name": model}
        self.running = self._gauge("num_requests_running", "Requests that are being answered.")
        self.waiting = self._gauge("num_requests_waiting", "Requests that wait for a place.")
        self._gauge("kv_cache_usage_perc", "Share of the KV cache in use: always 0, there is none.")
        self.prompt_tokens = self._counter("prompt_tokens", "Tokens in prompts.")
        self.generated_tokens = self._counter("generation_tokens", "Tokens in answers.")
        self.first_token_seconds = self._histogram("time_to_first_token_seconds", "Until the first token.")
        self.request_seconds = self._histogram("e2e_request_latency_seconds", "Until the last token.")
        self._success = Counter(
            "vllm:request_success",
            "Requests that ended.",
            (*self._labels, "finished_reason"),
            registry=self._registry,
        )
        for ending in ENDINGS:
            self._success.labels(**self._labels, finished_reason=ending)

    def ended(self, reason: Ending) -> None:
        """Count a request that ended for `reason`."""
        self._success.labels(**self._labels, finished_reason=reason).inc()

    def exposition(self) -> bytes:
        """Everything in Prometheus' text format."""
        return generate_latest(self._registry)

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(f"vllm:{name}", text, self._labels, registry=self._registry).labels(**self._labels)

    def _counter(self, name: str, text: str) -> Counter:
        return Counter(f"vllm:{name}", text, self._labels, registry=self._registry).labels(**self._labels)

    def _histogram(self, name: str, text: str) -> Histogram:
        return Histogram(f"vllm:{name}", text, self._labels, registry=self._registry).labels(**self._labels)
