"""Metrics for Prometheus, read from the processes' reports when they are asked for.

Nothing is counted twice and nothing on a request's way. prometheus_client comes with the first
scrape.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from loadonce.lifecycle.model import ModelStatus
from loadonce.lifecycle.registry import Registry
from loadonce.lifecycle.reporting import Overview, Report, statuses
from loadonce.lifecycle.version import State
from loadonce.observe.memory import memory_of
from loadonce.observe.statistics import StatisticsSnapshot

from .probes import ProbeRoute

if TYPE_CHECKING:
    from prometheus_client import Metric

METRICS = "/metrics"
OVERVIEW = "loadonce_overview"  # in the lifespan's state: how a server lets its app see all workers

_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)  # upper bounds of the batches' histogram


async def metrics_response(request: Request, *registries: Registry) -> Response:
    """The metrics of these registries' models, as Prometheus or OpenMetrics text.

    Under `loadonce serve` they are those of all workers, of whichever this one is asked.

    Args:
        request: what asked for it.
        registries: as they were given to `install`.
    """
    ask: Callable[[], Overview] | None = getattr(request.state, OVERVIEW, None)
    if ask is None:
        overview = Overview([Report(0, os.getpid(), 0.0, 0, 0, statuses(registries))])
    else:
        overview = ask()
    accept = request.headers.get("accept", "")

    def render() -> tuple[bytes, str]:
        from prometheus_client.exposition import choose_encoder

        encode, content_type = choose_encoder(accept)
        return encode(Collector(overview)), content_type

    content, content_type = await run_in_threadpool(render)
    # As a header: as a media type it would get a second charset.
    headers = {"Cache-Control": "no-store", "Content-Type": content_type}
    return Response(content, headers=headers)


def metrics_route(registries: Sequence[Registry]) -> Route:
    """A route for GET and HEAD that is not part of the app's API."""

    async def metrics(request: Request) -> Response:
        return await metrics_response(request, *registries)

    return ProbeRoute(METRICS, metrics)


@dataclass(frozen=True)
class Collector:
    """prometheus_client's way to be given values: it asks when it writes."""

    overview: Overview

    def collect(self) -> Iterator[Metric]:
        """Every metric there is."""
        counted = self.overview.counted()
        yield from _model_counters(counted.models)
        yield _batch_sizes(counted.models)
        yield from _model_gauges(self.overview.reports)
        workers = [report for report in self.overview.reports if report.worker]
        if workers:
            yield from _worker_metrics(workers, counted.requests)
        if owners := self.overview.owners():
            yield _owner_memory(owners)


def _model_counters(models: Mapping[str, StatisticsSnapshot]) -> Iterator[Metric]:
    from prometheus_client.core import CounterMetricFamily

    for name, help_text, figure in _COUNTERS:
        family = CounterMetricFamily(f"loadonce_model_{name}", help_text, labels=["model"])
        for model, snapshot in models.items():
            family.add_metric([model], figure(snapshot))
        yield family


_COUNTERS: Sequence[tuple[str, str, Callable[[StatisticsSnapshot], float]]] = (
    ("calls", "Calls that began to run.", lambda found: found.calls),
    ("errors", "Calls that raised.", lambda found: found.errors),
    ("rejected", "Calls refused because the queue was full.", lambda found: found.rejected),
    ("cancelled", "Calls whose caller left.", lambda found: found.cancelled),
    ("expired", "Calls without a result in time.", lambda found: found.expired),
    ("queue_seconds", "Time that calls waited, summed.", lambda found: found.queue_seconds),
    ("compute_seconds", "Time that jobs ran, summed.", lambda found: found.compute_seconds),
)


def _batch_sizes(models: Mapping[str, StatisticsSnapshot]) -> Metric:
    from prometheus_client.core import HistogramMetricFamily

    family = HistogramMetricFamily(
        "loadonce_model_batch_size", "Items in a batch that ran.", labels=["model"]
    )
    for model, snapshot in models.items():
        sizes = snapshot.batch_sizes
        buckets = [(str(float(most)), _up_to(most, sizes)) for most in _SIZES]
        buckets.append(("+Inf", float(sum(sizes.values()))))
        total = sum(size * count for size, count in sizes.items())
        family.add_metric([model], buckets, sum_value=float(total))
    return family


def _up_to(most: int, sizes: Mapping[int, int]) -> float:
    return float(sum(count for size, count in sizes.items() if size <= most))


def _model_gauges(reports: Sequence[Report]) -> Iterator[Metric]:
    from prometheus_client.core import GaugeMetricFamily

    found = [each for report in reports for each in report.models.items()]
    for name, help_text, figure in _GAUGES:
        family = GaugeMetricFamily(f"loadonce_model_{name}", help_text, labels=["model"])
        for model, total in _summed((model, figure(status)) for model, status in found):
            family.add_metric([model], total)
        yield family
    for name, help_text, figure in _LARGEST:
        family = GaugeMetricFamily(f"loadonce_model_{name}", help_text, labels=["model"])
        for model in dict(found):
            family.add_metric([model], max(figure(each) for key, each in found if key == model))
        yield family
    yield _counts(
        "state", "Processes in which the model is in this state.", "state", _states(found)
    )
    yield _counts(
        "placements",
        "Pairs of a function and a size of batch whose calls run there now.",
        "placement",
        _placements(found),
    )
    info = GaugeMetricFamily(
        "loadonce_model_info",
        "1 for each version that serves.",
        labels=["model", "version", "kind"],
    )
    for model, version, kind in sorted(_serving(found)):
        info.add_metric([model, version, kind], 1)
    yield info


_GAUGES: Sequence[tuple[str, str, Callable[[ModelStatus], float]]] = (
    ("waiting", "Calls that wait for their turn.", lambda found: found.statistics.waiting),
    ("in_flight", "Calls that run.", lambda found: found.statistics.in_flight),
    ("leases", "Requests that hold the model.", lambda found: found.leases),
)
_LARGEST: Sequence[tuple[str, str, Callable[[ModelStatus], float]]] = (
    ("load_seconds", "Time its newest load took.", lambda found: found.load_seconds),
    ("disk_bytes", "Size of its artifact.", lambda found: found.bytes_on_disk),
    ("memory_bytes", "What memory grew by when it loaded.", lambda found: found.bytes_in_memory),
)


def _counts(name: str, help_text: str, label: str, counted: Counter[tuple[str, str]]) -> Metric:
    from prometheus_client.core import GaugeMetricFamily

    family = GaugeMetricFamily(f"loadonce_model_{name}", help_text, labels=["model", label])
    for (model, value), count in sorted(counted.items()):
        family.add_metric([model, value], count)
    return family


def _serving(found: Iterable[tuple[str, ModelStatus]]) -> set[tuple[str, str, str]]:
    return {(model, each.version, each.kind) for model, each in found if each.state == State.READY}


def _states(found: Iterable[tuple[str, ModelStatus]]) -> Counter[tuple[str, str]]:
    return Counter((model, status.state.value) for model, status in found)


def _placements(found: Iterable[tuple[str, ModelStatus]]) -> Counter[tuple[str, str]]:
    return Counter(
        (model, place)
        for model, status in found
        for places in status.statistics.placements.values()
        for place in places.values()
    )


def _worker_metrics(reports: Sequence[Report], requests: Mapping[int, int]) -> Iterator[Metric]:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    asked = CounterMetricFamily("loadonce_worker_requests", "Requests answered.", labels=["worker"])
    restarts = CounterMetricFamily(
        "loadonce_worker_restarts", "Processes that had this place before.", labels=["worker"]
    )
    started = GaugeMetricFamily(
        "loadonce_worker_start_time_seconds", "When it started, since 1970.", labels=["worker"]
    )
    for number, count in sorted(requests.items()):
        asked.add_metric([str(number)], count)
    newest = {each.worker: each for each in sorted(reports, key=lambda each: each.restarts)}
    for number, report in sorted(newest.items()):
        restarts.add_metric([str(number)], report.restarts)
        started.add_metric([str(number)], report.started)
    yield from (asked, restarts, started, _memory(newest))


def _owner_memory(owners: Iterable[tuple[str, int]]) -> Metric:
    from prometheus_client.core import GaugeMetricFamily

    family = GaugeMetricFamily(
        "loadonce_owner_memory_bytes",
        "What a model's own process holds: by part (proportional), with others (shared), alone "
        "(private).",
        labels=["model", "kind"],
    )
    found = [(model, memory_of(pid)) for model, pid in owners]
    for kind in ("proportional", "shared", "private"):
        for model, total in _summed((name, getattr(memory, kind)) for name, memory in found):
            family.add_metric([model, kind], total)
    return family


def _memory(newest: Mapping[int, Report]) -> Metric:
    from prometheus_client.core import GaugeMetricFamily

    family = GaugeMetricFamily(
        "loadonce_worker_memory_bytes",
        "What it holds: by part (proportional), with others (shared), alone (private).",
        labels=["worker", "kind"],
    )
    for number, report in sorted(newest.items()):
        memory = memory_of(report.pid)
        family.add_metric([str(number), "proportional"], memory.proportional)
        family.add_metric([str(number), "shared"], memory.shared)
        family.add_metric([str(number), "private"], memory.private)
    return family


def _summed(figures: Iterable[tuple[str, float]]) -> Iterable[tuple[str, float]]:
    total: dict[str, float] = {}
    for model, figure in figures:
        total[model] = total.get(model, 0.0) + figure
    return total.items()
