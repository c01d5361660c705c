"""The bounded way from a request to a worker and back, through LitServe's queues. Knows nothing of HTTP bodies."""

from __future__ import annotations

import asyncio
import logging
import pickle
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from litserve import LitServer
from litserve.utils import LitAPIStatus, ResponseBufferItem, WorkerSetupStatus

from noria.serving.metrics import Metrics
from noria.serving.problem import Problem
from noria.serving.worker import PATH

CONSUMER = 0  # LitServe's number of the one process that serves HTTP

log = logging.getLogger(__name__)


class Waiting:
    """Lets so many requests in at a time.

    LitServe's own handler knows no bound, waits for ever, and its answer to a request that gave up stays in memory.

    Args:
        length: how many requests may wait, those that are being answered or stored included.
    """

    def __init__(self, server: LitServer, length: int, metrics: Metrics) -> None:
        self._server = server
        self._length = length
        self._metrics = metrics
        self.count = 0

    def has_worker(self) -> bool:
        """Whether a worker is there to answer. Asks another process: not for the event loop."""
        alive = any(worker.is_alive() for worker in self._server.inference_workers)
        return alive and WorkerSetupStatus.READY in self._server.workers_setup_status.values()

    @contextmanager
    def place(self, count: int) -> Iterator[None]:
        """So many requests wait until this has ended: answered, and stored where they are kept.

        Raises:
            Problem: 429 too many wait already.
        """
        if self.count + count > self._length:
            raise Problem(429, f"{self.count:,} texts are waiting already: ask again later.", {"Retry-After": "1"})
        self.count += count
        try:
            yield
        finally:
            self.count -= count

    async def ask(self, requests: list[dict[str, Any]]) -> dict[str, Any]:
        """A worker's reply to requests that have a place: the version and the answers.

        Raises:
            Problem: 503 the worker has died; 500 the model has failed on a request.
        """
        uid, item = uuid.uuid4().hex, ResponseBufferItem(asyncio.Event())
        self._server.response_buffer[uid] = item
        try:
            queue = self._server._get_request_queue(PATH)
            queue.put((CONSUMER, uid, time.monotonic(), requests))
            await item.event.wait()
        finally:
            del self._server.response_buffer[uid]
        assert item.response is not None
        return self._reply(*item.response)

    def _reply(self, reply: Any, status: str) -> dict[str, Any]:
        if status != LitAPIStatus.OK and reply is None:  # from LitServe's watch over its workers
            raise Problem(503, "The process that answers has died and starts again.", {"Retry-After": "10"})
        if status != LitAPIStatus.OK:
            reply = {"error": repr(pickle.loads(reply)) if isinstance(reply, bytes) else repr(reply)}
        if "error" in reply:
            log.error("A request could not be answered: %s", reply["error"])
            raise Problem(500, "The model failed on this request: the server's log says why.")
        if "batch" in reply:
            self._metrics.batch.observe(reply["batch"])
        return dict(reply)
