"""What Prometheus reads. Knows nothing of what a request holds."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from noria.serving.status import Status

CONTENT_TYPE = CONTENT_TYPE_LATEST
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Metrics:
    """The numbers of one server, in a registry of their own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.requests = Counter("noria_requests", "Requests.", ["route", "status"], registry=self._registry)
        self.seconds = Histogram(
            "noria_request_seconds", "From a request's head to its answer.", ["route"], registry=self._registry,
            buckets=SECONDS,
        )  # fmt: skip
        self.batch = Histogram("noria_batch_texts", "Texts in a batch.", registry=self._registry, buckets=SIZES)
        self.feedback = Counter("noria_feedback", "Feedback that is new.", ["correct"], registry=self._registry)

    def watch(self, status: Status, waiting: Callable[[], int]) -> None:
        """Adds what is looked up when it is asked for: versions and the queue."""
        depth = Gauge("noria_queue_texts", "Texts let in and not yet answered.", registry=self._registry)
        depth.set_function(waiting)
        self._registry.register(_Versions(status))

    def render(self) -> bytes:
        """All of it, in Prometheus' text format."""
        return generate_latest(self._registry)


class _Versions(Collector):
    """The version that answers now. Earlier ones are taken off the list."""

    def __init__(self, status: Status) -> None:
        self._status = status

    def collect(self) -> Iterable[Metric]:
        serving = GaugeMetricFamily("noria_version", "The version that answers.", labels=["version"])
        for version in self._status.versions:
            serving.add_metric([version], 1)
        refused = GaugeMetricFamily("noria_version_refused", "Versions that were not taken.", labels=["version"])
        for version in list(self._status.refused):
            refused.add_metric([version], 1)
        yield serving
        yield refused
        yield CounterMetricFamily("noria_version_swaps", "New versions that a worker took.", value=self._status.swaps)


class Counted:
    """ASGI middleware: counts and times every request.

    Args:
        routes: paths with a name of their own; all others are counted as "other", or strangers could fill memory.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics, routes: frozenset[str]) -> None:
        self._app = app
        self._metrics = metrics
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        route = scope["path"] if scope["path"] in self._routes else "other"
        begun, status = time.perf_counter(), 500

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, sending)
        finally:
            self._metrics.requests.labels(route, str(status)).inc()
            self._metrics.seconds.labels(route).observe(time.perf_counter() - begun)
