from __future__ import annotations

import pytest

from stepaudio_serve.guard.metrics import MOST_SERIES, Family, Metrics, joined


def test_the_text_is_what_prometheus_reads() -> None:
    parser = pytest.importorskip("prometheus_client.parser")
    metrics = Metrics()
    metrics.requests.add("/v1/models", "200")
    metrics.requests.add("/v1/models", "200")
    metrics.refusals.add('odd "\\\n name')
    metrics.seconds.add(amount=2.5)
    metrics.watch("stepaudio_guard_inside", "Inside.", lambda: 3)
    families = {found.name: found for found in parser.text_string_to_metric_families(metrics.exposition().decode())}
    samples = {
        (sample.name, *sample.labels.values()): sample.value for found in families.values() for sample in found.samples
    }
    assert samples["stepaudio_guard_requests_total", "/v1/models", "200"] == 2
    assert samples["stepaudio_guard_refusals_total", 'odd "\\\n name'] == 1
    assert samples["stepaudio_guard_audio_seconds_total",] == 2.5
    assert samples["stepaudio_guard_inside",] == 3
    assert (families["stepaudio_guard_inside"].type, families["stepaudio_guard_requests"].type) == ("gauge", "counter")


def test_a_counter_shows_before_it_counts() -> None:
    assert list(Family("clips_total", "Clips.").lines())[-1] == "clips_total 0"


def test_labels_do_not_multiply_without_end() -> None:
    family = Family("requests_total", "Requests.", ("route",))
    for number in range(10 * MOST_SERIES):
        family.add(str(number))
    lines = list(family.lines())
    assert len(lines) == 2 + MOST_SERIES + 1
    assert lines[-1] == f'requests_total{{route="other"}} {9 * MOST_SERIES}'


@pytest.mark.parametrize(("engine", "whole"), [(b"a 1\n", b"a 1\nb 2\n"), (b"a 1", b"a 1\nb 2\n"), (b"", b"b 2\n")])
def test_two_texts_are_joined_at_a_line(engine: bytes, whole: bytes) -> None:
    assert joined(engine, b"b 2\n") == whole
