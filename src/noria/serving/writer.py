"""What keeps predictions: threads scrub their texts, one writes them into the store; the event loop waits for none.

What waits meanwhile goes into one transaction. Knows nothing of requests or models.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from noria.common.errors import UserError
from noria.feedback.rows import Scrub, clean, kept, kept_answer, length
from noria.feedback.store import Prediction, Store, StoreDown
from noria.serving.bodies import Verdict
from noria.task.service import Service

log = logging.getLogger(__name__)

MOST = 1024  # predictions in a transaction
PORTION = 2_000  # characters of one request that are scrubbed before the next one has its turn; a longer text is long


@dataclass(frozen=True)
class _Job:
    """Predictions to add, or one call to make; `done` is called with the result or the error."""

    predictions: list[Prediction]
    call: Callable[[], Any] | None
    done: Callable[[Any, BaseException | None], None]


class Writer:
    """Adds to a store for an event loop; each method returns when what it was given is committed.

    Args:
        scrub: finds personal data in the texts, for a store that does not; None leaves it to the store. Finding it
            takes time, and a request of many long texts must not keep the others from being stored.
    """

    def __init__(self, store: Store, scrub: Scrub | None = None) -> None:
        self._store, self._scrub = store, scrub
        # Long texts have a thread of their own: the names in one may take seconds, and short ones must not wait.
        self._short = ThreadPoolExecutor(1, thread_name_prefix="scrub")
        self._long = ThreadPoolExecutor(1, thread_name_prefix="scrub-long")
        self._warned = False
        self._failing: str | None = None
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._thread.start()

    async def add(self, predictions: list[Prediction]) -> None:
        """Adds predictions. Raises what the store raises.

        What nobody waits for any more is not begun.
        """
        if self._scrub is not None:
            ready: list[Prediction] = []
            for portion in _portions(predictions):
                ready += await self._scrubbed(portion)
            predictions = ready
        await self._do(predictions, None)

    async def _scrubbed(self, predictions: list[Prediction]) -> list[Prediction]:
        pool = self._long if sum(length(one.request) for one in predictions) > PORTION else self._short
        try:
            return await asyncio.get_running_loop().run_in_executor(pool, self._clean, predictions)
        except RuntimeError as error:  # the pool takes nothing any more
            raise StoreDown("The server is about to end.") from error

    async def say(self, verdict: Verdict, client: str, form: str, service: Service) -> bool:
        """Adds feedback; False where this client has said so already. Raises what the store raises.

        Args:
            form: the dotted path of the form whose service this is.

        Raises:
            UserError: a model of another kind has answered, or no answer to that request could be the correction.
        """

        def call() -> bool:
            about = self._store.prediction(verdict.id)
            if about.form != form:
                raise UserError("A model of another kind has answered that, and is not served now: say it when it is.")
            said = self._as_kept(verdict.correction) if service.writes else verdict.correction
            correct, correction = service.judged(about.request, about.answer, verdict.correct, said)
            return self._store.add_feedback(verdict.id, client, correct=correct, correction=correction)

        return bool(await self._do([], call))

    def _as_kept(self, correction: Any) -> Any:
        """A correction that is a text of the client's, without personal data.

        Raises:
            UserError: it cannot be kept.
        """
        if not isinstance(correction, str):
            return correction
        if not self._store.keeps_texts:
            raise UserError("This server keeps no texts, and such a correction is one: say only whether it is correct.")
        found = clean(correction, self._scrub) if self._scrub else self._store.cleaned(correction)
        if found is None:
            raise UserError("The correction is too long to be scrubbed of personal data: it cannot be kept.")
        return found

    def close(self) -> None:
        """Writes what waits, then ends."""
        self._short.shutdown()
        self._long.shutdown()
        self._jobs.put(None)
        self._thread.join()

    def _clean(self, predictions: list[Prediction]) -> list[Prediction]:
        assert self._scrub is not None
        cleaned = []
        for one in predictions:
            request = kept(one.request, self._scrub, one.places)
            answer = kept_answer(replace(one, request=request), self._scrub)
            cleaned.append(replace(one, request=request, answer=answer))
        lost = sum(one.request is None for one in cleaned) - sum(one.request is None for one in predictions)
        if lost and not self._warned:
            self._warned = True
            log.warning(
                "A text is too long to be scrubbed of personal data: its prediction is kept without it. Said once."
            )
        return cleaned

    def _do(self, predictions: list[Prediction], call: Callable[[], Any] | None) -> asyncio.Future[Any]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()

        def done(*ended: Any) -> None:
            with suppress(RuntimeError):  # the server has ended without waiting
                loop.call_soon_threadsafe(settle, *ended)

        def settle(result: Any, error: BaseException | None) -> None:
            if future.done():  # the request that waited for it has given up
                return
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(result)

        self._jobs.put(_Job(predictions, call, done))
        return future

    def _run(self) -> None:
        while jobs := self._next():
            self._write([job for job in jobs if job.call is None])
            if (call := jobs[-1].call) is not None:
                self._settle(jobs[-1:], call)

    def _next(self) -> list[_Job]:
        """What waits, up to a call or to so many predictions; nothing at the end."""
        jobs: list[_Job] = []
        job = self._jobs.get()
        while job is not None:
            jobs.append(job)
            if job.call is not None or sum(len(each.predictions) for each in jobs) >= MOST:
                return jobs
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                return jobs
        if jobs:
            self._jobs.put(None)  # the end, after these
        return jobs

    def _write(self, jobs: list[_Job]) -> None:
        predictions = [prediction for job in jobs for prediction in job.predictions]
        if predictions:
            self._settle(jobs, lambda: self._store.add_predictions(predictions))

    def _settle(self, jobs: list[_Job], call: Callable[[], Any]) -> None:
        result, error = None, None
        try:
            result = call()
        except Exception as problem:
            error = problem
        self._say(error)
        for job in jobs:
            job.done(result, error)

    def _say(self, error: Exception | None) -> None:
        """That the store fails, and that it works again, once each: it is asked many times a second."""
        if isinstance(error, UserError):  # of a request, and not of the store
            return
        said = None if error is None else str(error) or type(error).__name__
        if said is not None and said != self._failing:
            log.error("The store failed, and requests get a 503: %s", said)
        if said is None and self._failing is not None:
            log.warning("The store works again.")
        self._failing = said


def _portions(predictions: list[Prediction]) -> Iterator[list[Prediction]]:
    """All of them in their order, in parts of at most PORTION characters or one longer text."""
    part: list[Prediction] = []
    filled = 0
    for one in predictions:
        more = length(one.request)
        if part and filled + more > PORTION:
            yield part
            part, filled = [], 0
        part.append(one)
        filled += more
    if part:
        yield part
