"""`Metrics`: counts and times of one application, for Prometheus."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

from lsr.service.engine import SearchEngine

__all__ = ["CONTENT_TYPE", "Metrics"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class Metrics:
    """A registry of its own, so that two applications in one process share nothing."""

    def __init__(self, engine: SearchEngine) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
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
        self._documents = Gauge(
            "lsr_collection_documents",
            "Documents in a collection",
            ["collection"],
            registry=self._registry,
        )
        self._catalog = engine.catalog
        ready = Gauge(
            "lsr_ready", "1 when searches are served at full speed", registry=self._registry
        )
        ready.set_function(lambda: float(engine.catalog.not_ready is None))

    def count_request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Note an answered request; `route` is the template, so that paths are not labels."""
        self._requests.labels(method, route, str(status)).inc()
        self._request_seconds.labels(route, str(status)).observe(seconds)

    def count_search(self, collection: str, mode: str, took_ms: Mapping[str, float]) -> None:
        """Note the stages of a search."""
        for stage, ms in took_ms.items():
            self._stage_seconds.labels(collection, mode, stage).observe(ms / 1e3)

    def text(self) -> bytes:
        """All of it in the text format."""
        self._documents.clear()
        for name in self._catalog.names:
            self._documents.labels(name).set(self._catalog.reader(name).n_documents)
        return generate_latest(self._registry)
