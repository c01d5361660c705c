"""The routes: one short method for each. What they need is handed in."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response

from noria.common.errors import UserError
from noria.feedback.store import Prediction, UnknownPrediction
from noria.serving.bodies import read_json, read_requests, read_verdict
from noria.serving.document import (
    BODY,
    Health,
    Noted,
    document,
    feedback_entry,
    predict_entry,
    problems,
)  # fmt: skip
from noria.serving.follow import Taken
from noria.serving.metrics import CONTENT_TYPE, Metrics
from noria.serving.model import Description
from noria.serving.page import page
from noria.serving.problem import Problem
from noria.serving.settings import Keys, Settings, is_loopback
from noria.serving.status import Status
from noria.serving.waiting import Waiting
from noria.serving.writer import Writer

LOCKED = ("/predict", "/search", "/feedback", "/info", "/metrics")
PATHS = frozenset({"/", "/health", "/ready", "/openapi.json", *LOCKED})
OPEN = "anyone"  # the client's name where there are no keys
GUARD = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}

T = TypeVar("T")


@dataclass(frozen=True)
class Routes:
    """What answers each path.

    Args:
        writer: None: nothing is kept, and there is no feedback.
    """

    settings: Settings
    keys: Keys
    status: Status
    waiting: Waiting
    writer: Writer | None
    metrics: Metrics

    def add_to(self, app: FastAPI) -> None:
        """Adds all of them, and the OpenAPI document."""
        add, locked = app.add_api_route, (401,) if self.keys else (403,)
        asked = (*locked, *BODY, 500, 503, 504)
        add("/predict", self.predict, methods=["POST"], responses=problems(*asked, 429))
        add("/search", self.search, methods=["POST"], include_in_schema=False)  # the document has it where it is one
        add("/feedback", self.feedback, methods=["POST"], response_model=Noted, responses=problems(*asked, 404))
        add("/health", self.health, response_model=Health)
        add("/ready", self.ready, response_model=Health, responses={503: {"model": Health, "description": "Not yet."}})
        add("/info", self.info, response_model=dict[str, Any], responses=problems(*locked))
        text: dict[int | str, Any] = {200: {"content": {"text/plain": {"schema": {"type": "string"}}}}}
        add("/metrics", self.show_metrics, response_class=Response, responses={**text, **problems(*locked)})
        add("/", self.page, response_class=HTMLResponse)

        async def show_document(request: Request) -> Response:
            return JSONResponse(self._document(app, request))

        app.add_route("/openapi.json", show_document)

    async def predict(self, request: Request) -> Response:
        """The answer to one request or to many, and an id for feedback on each."""
        begun, client = time.perf_counter(), self._client(request)
        data = await read_json(request, self.settings.max_body, self.settings.timeout)
        model = self._taken.description
        requests = read_requests(data, model.service, self.settings.max_texts)
        with self.waiting.place(len(requests)):
            reply = await self._in_time(self._answered(requests, model, client, begun))
        self.status.answered["requests"] += 1
        self.status.answered["texts"] += len(requests)
        return JSONResponse(reply)

    async def _answered(
        self, requests: list[dict[str, Any]], model: Description, client: str, begun: float
    ) -> dict[str, Any]:
        reply = await self.waiting.ask(requests)
        version, now = reply["version"], datetime.now(UTC)
        answers = [{"id": uuid.uuid4().hex, **answer} for answer in reply["answers"]]
        if self.writer is not None:
            took = 1000 * (time.perf_counter() - begun)
            of = (model.service.places, model.service.writes)
            rows = [
                Prediction(answer["id"], version, model.form, request, _kept(answer), took, client, now, *of)
                for request, answer in zip(requests, answers, strict=True)
            ]
            await self._stored(self.writer.add(rows))
        return {"version": version, "predictions": answers}

    async def search(self, request: Request) -> Response:
        """The same for an index, by its usual name."""
        if self._taken.description.service.also != "/search":
            raise Problem(404, "What is served here is no index: ask /predict.")
        return await self.predict(request)

    async def feedback(self, request: Request) -> Response:
        """Whether a prediction was right, or what it should have been."""
        client = self._client(request)
        if self.writer is None:
            raise Problem(404, "This server keeps no feedback: it runs with stage.feedback=null.")
        data = await read_json(request, self.settings.max_body, self.settings.timeout)
        model = self._taken.description
        verdict = read_verdict(data, model.service)
        new = await self._in_time(self._stored(self.writer.say(verdict, client, model.form, model.service)))
        if new:
            self.status.answered["feedback"] += 1
            self.metrics.feedback.labels(str(verdict.correct).lower()).inc()
        return JSONResponse({"id": verdict.id, "new": new})

    async def health(self) -> Response:
        """The server lives."""
        return JSONResponse({"status": "alive", "version": self._version})

    async def ready(self) -> Response:
        """A model is there to answer."""
        ready = await asyncio.to_thread(self.waiting.has_worker)
        said = "ready" if ready else "not ready"
        return JSONResponse({"status": said, "version": self._version}, 200 if ready else 503)

    async def info(self, request: Request) -> Response:
        """Which version answers, what it knows, what was refused, and the limits."""
        self._client(request)
        settings = self.settings
        return JSONResponse(
            {
                "version": self._version,
                "versions": self.status.versions,
                "follows_champion": self.status.follows,
                "refused": self.status.refused,
                **self._taken.description.service.described(),
                "max_length": self._taken.description.max_length,
                "feedback": self.writer is not None,
                "limits": {"texts": settings.max_texts, "body_bytes": settings.max_body, "seconds": settings.timeout},
                "answered": self.status.answered,
            }
        )

    async def show_metrics(self, request: Request) -> Response:
        """For Prometheus."""
        self._client(request)
        return Response(self.metrics.render(), media_type=CONTENT_TYPE)

    async def page(self) -> Response:
        """A page for people."""
        return HTMLResponse(page(self._taken.description.service), headers=GUARD)

    def _client(self, request: Request) -> str:
        """Who asks.

        Raises:
            Problem: 401 no key that is known; 403 the door is open, but not to a page from elsewhere.
        """
        if self.keys:
            client = self.keys.client(request.headers.get("authorization"))
            if client is None:
                raise Problem(401, "Send a known key: Authorization: Bearer <key>.", {"WWW-Authenticate": "Bearer"})
            return client
        # Without keys a web page could point a name of its own at this machine and ask in the browser's name.
        if not is_loopback(request.url.hostname or ""):
            raise Problem(403, "Without API keys the server answers only to names of this machine, such as localhost.")
        return OPEN

    @property
    def _taken(self) -> Taken:
        assert self.status.newest is not None, "a server starts with a model"
        return self.status.newest

    @property
    def _version(self) -> str:
        return self._taken.named.version

    async def _in_time(self, work: Awaitable[T]) -> T:
        try:
            async with asyncio.timeout(self.settings.timeout):
                return await work
        except TimeoutError:
            raise Problem(504, f"There was no answer within {self.settings.timeout:g} seconds.") from None

    async def _stored(self, work: Awaitable[T]) -> T:
        try:
            return await work
        except UnknownPrediction as problem:
            raise Problem(404, str(problem)) from None
        except UserError as problem:
            raise Problem(422, str(problem)) from None
        except Exception:  # which the writer has said
            said = "The store of predictions does not answer, and nothing was kept of this request."
            raise Problem(503, said, {"Retry-After": "5"}) from None

    def _document(self, app: FastAPI, request: Request) -> dict[str, Any]:
        """The document; the names of labels, as in /info, only for those who may ask."""
        service = self._taken.description.service
        is_known = not self.keys or self.keys.client(request.headers.get("authorization")) is not None
        entries = {
            "/predict": predict_entry(service, self.settings.max_texts),
            "/feedback": feedback_entry(service, is_known),
        }
        made = document(app, entries, list(LOCKED) if self.keys else [])
        if service.also:
            made["paths"][service.also] = made["paths"]["/predict"]
        return made


def _kept(answer: dict[str, Any]) -> dict[str, Any]:
    """What is kept of an answer: all but its id, and whether the request was cut."""
    return {name: value for name, value in answer.items() if name not in ("id", "truncated")}
