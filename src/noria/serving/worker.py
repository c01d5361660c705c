"""What runs in a worker process of LitServe's: batches of requests in, answers out. Knows nothing of HTTP."""

from __future__ import annotations

import logging
import os
import time
from dataclasses import dataclass
from multiprocessing.queues import SimpleQueue
from queue import Empty
from typing import Any

import torch
from litserve import LitAPI
from litserve.loops.simple_loops import BatchedLoop
from litserve.utils import LitAPIStatus, LoopResponseType

from noria.common.errors import RunError
from noria.common.process import die_with_parent
from noria.serving.follow import Event, Follower, reason
from noria.serving.model import Model
from noria.serving.source import Named, Source

log = logging.getLogger(__name__)

PATH = "/predict"
IDLE = 1.0  # seconds that an idle worker waits at a time
END = (None, None, None, None)  # LitServe's own word for a loop that is to end


@dataclass(frozen=True)
class Plan:
    """How a worker is to answer. Travels to its process.

    Args:
        follow: seconds between two looks at the champion.
    """

    source: Source
    precision: str
    max_batch_size: int
    batch_timeout: float
    timeout: float
    follow: float


class Answering(LitAPI):
    """One model's answers, by LitServe's hooks. `fallback` is what a worker that starts later may fall back on.

    Args:
        events: what the server is to hear of versions.
    """

    def __init__(self, plan: Plan, events: SimpleQueue[Event | None]) -> None:
        super().__init__(plan.max_batch_size, plan.batch_timeout, api_path=PATH, loop=Loop())
        self.plan = plan
        self.events = events
        self.fallback: Named | None = None

    def setup(self, device: str) -> None:
        """Opens the model, warms it up, and follows the champion. Ends the process where there is no model."""
        die_with_parent()
        where, plan = torch.device(device), self.plan

        def load(named: Named) -> Model:
            return Model(named, plan.precision, where, plan.max_batch_size)

        self.follower = Follower(plan.source, load, self.events.put, self.loop.worker_id or 0)
        if not self.follower.begin(self.fallback):
            raise SystemExit(1)
        if plan.source.follows:
            self.follower.follow(plan.follow)

    def predict(self, x: list[list[dict[str, Any]]], **kwargs: Any) -> list[dict[str, Any]]:
        """For each body the version and an answer to each of its requests, or an error.

        The first of a batch also says how many requests the batch has.
        """
        model = self.follower.model
        try:
            given = model.answer([request for requests in x for request in requests])
            if wrong := [answer["error"] for answer in given if "error" in answer]:
                raise RunError(wrong[0])
        except Exception as error:
            if len(x) > 1:  # the others of the batch are not to blame
                return [self.predict([requests])[0] for requests in x]
            log.exception("A request could not be answered.")
            return [{"error": reason(error)}]
        answers = iter(given)
        replies: list[dict[str, Any]] = [
            {"version": model.named.version, "answers": [next(answers) for _ in requests]} for requests in x
        ]
        replies[0]["batch"] = len(given)
        return replies


class Loop(BatchedLoop):
    """LitServe's batched loop with another way to fill a batch.

    LitServe's own asks its queue a thousand times a second while nothing comes, lets a request wait although it has
    waited already, and counts bodies, each of which may bring many requests.
    """

    def __call__(self, *given: Any, **named: Any) -> None:
        """Runs until the end, and leaves at once: taking torch apart takes seconds."""
        try:
            super().__call__(*given, **named)
        except SystemExit as end:
            os._exit(int(end.code or 0))

    def get_batch_requests(self, lit_api: LitAPI, request_queue: Any, transport: Any) -> tuple[list[Any], list[Any]]:
        """Bodies with `max_batch_size` requests, or what has come `batch_timeout` after the first; none after a while.

        A request that is older than the time-out is dropped: its client has been told.
        """
        assert isinstance(lit_api, Answering)
        batch: list[Any] = []
        texts, end = 0, time.monotonic() + IDLE
        while texts < lit_api.max_batch_size:
            try:
                request = request_queue.get(timeout=max(0.0, end - time.monotonic()))
            except Empty:
                break
            except (EOFError, OSError):  # the server is gone
                raise SystemExit(1) from None
            if request == END:
                if not batch:
                    raise SystemExit(0)
                request_queue.put(END)  # after this batch
                break
            consumer, uid, came, asked = request
            if time.monotonic() - came > lit_api.plan.timeout:
                continue
            started: Any = LitAPIStatus.START  # which LitServe annotates as something that it is not
            self.put_response(transport, consumer, uid, (), started, LoopResponseType.REGULAR)
            if not batch:  # who has waited in the queue waits no longer
                end = came + lit_api.batch_timeout
            batch.append((consumer, uid, asked))
            texts += len(asked)
        return batch, []
