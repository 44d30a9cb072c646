"""`Metrics`: counts and times of one application, or of all workers together, for Prometheus."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    Metric,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from lsr.service.engine import SearchEngine

__all__ = ["CONTENT_TYPE", "SHARED_FOLDER", "Metrics"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_PROCESSES = Path("/proc")
"""What Linux tells of processes; macOS and Windows tell it elsewhere."""

SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""Environment variable of the folder where workers keep their counts; prometheus_client reads it
when it is imported."""

_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class Metrics:
    """A registry of its own, so that two applications in one process share nothing.

    With several workers the counts of all of them are added up, those of workers that have died
    too, so that no counter goes back.
    """

    def __init__(self, engine: SearchEngine) -> None:
        self._engine = engine
        self._registry = CollectorRegistry()
        self._of_requests: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self._of_stages: dict[tuple[str, str], dict[str, Histogram]] = {}
        self._requests = Counter(
            "lsr_http_requests",
            "HTTP requests answered",
            ["method", "route", "status"],
            registry=self._registry,
        )
        self._request_seconds = Histogram(
            "lsr_http_request_seconds",
            "Time from a request to the end of its answer",
            ["route", "status"],
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._stage_seconds = Histogram(
            "lsr_search_stage_seconds",
            "Time of each stage of a search",
            ["collection", "mode", "stage"],
            buckets=_SECONDS,
            registry=self._registry,
        )

    def count_request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Note an answered request; `route` is the template, so that paths are not labels."""
        key = (method, route, status)
        found = self._of_requests.get(key)
        if found is None:
            counter = self._requests.labels(method, route, str(status))
            found = counter, self._request_seconds.labels(route, str(status))
            self._of_requests[key] = found
        found[0].inc()
        found[1].observe(seconds)

    def count_search(self, collection: str, mode: str, took_ms: Mapping[str, float]) -> None:
        """Note the stages of a search."""
        stages = self._of_stages.setdefault((collection, mode), {})
        for stage, ms in took_ms.items():
            found = stages.get(stage)
            if found is None:
                found = stages[stage] = self._stage_seconds.labels(collection, mode, stage)
            found.observe(ms / 1e3)

    def text(self) -> bytes:
        """All of it in the text format."""
        state = CollectorRegistry()
        state.register(_State(self._engine))
        folder = os.environ.get(SHARED_FOLDER)
        if folder is None:
            ProcessCollector(registry=state)
            return generate_latest(self._registry) + generate_latest(state)
        if _PROCESSES.is_dir():
            state.register(_Processes())
        shared = CollectorRegistry()
        MultiProcessCollector(shared, folder)
        return generate_latest(shared) + generate_latest(state)


class _State(Collector):
    """The collections as they are now."""

    def __init__(self, engine: SearchEngine) -> None:
        self._catalog = engine.catalog

    def collect(self) -> Iterator[Metric]:
        documents = GaugeMetricFamily(
            "lsr_collection_documents", "Documents in a collection", labels=["collection"]
        )
        for name in self._catalog.names:
            documents.add_metric([name], self._catalog.reader(name).n_documents)
        yield documents
        ready = float(self._catalog.not_ready is None)
        yield GaugeMetricFamily("lsr_ready", "1 when searches are served at full speed", ready)


class _Processes(Collector):
    """What the workers use together."""

    def collect(self) -> Iterator[Metric]:
        alive = _siblings()
        yield GaugeMetricFamily("lsr_workers", "Processes that answer", len(alive))
        totals: dict[str, Metric] = {}
        for pid in alive:
            for metric in ProcessCollector(pid=partial(int, pid), registry=None).collect():
                total = totals.setdefault(metric.name, metric)
                if total is not metric:
                    total.samples = [
                        old._replace(value=_joined(old.name, old.value, new.value))
                        for old, new in zip(total.samples, metric.samples, strict=True)
                    ]
        yield from totals.values()


def _siblings() -> list[int]:
    """The workers of this one's parent, itself among them."""
    parent = os.getppid()
    children = (_PROCESSES / f"{parent}/task/{parent}/children").read_text("ascii").split()
    return [int(pid) for pid in children if b"spawn_main" in _command(pid)]


def _command(pid: str) -> bytes:
    try:
        return (_PROCESSES / f"{pid}/cmdline").read_bytes()
    except OSError:  # it has just ended
        return b""


def _joined(name: str, one: float, other: float) -> float:
    return min(one, other) if name == "process_start_time_seconds" else one + other
