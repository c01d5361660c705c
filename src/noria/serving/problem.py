"""What is answered to a request that cannot be served: a status and one sentence, as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

ASKED = "noria.method"  # in a scope: the method that was asked for where it is another one for the routes


class Problem(Exception):
    """Ends a request.

    Args:
        status: of HTTP.
        said: a sentence for whoever asked.
    """

    def __init__(self, status: int, said: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(said)
        self.status = status
        self.said = said
        self.headers = dict(headers or {})


async def _problem(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Problem)
    return JSONResponse({"error": error.said}, error.status, error.headers)


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    said = {
        404: f"There is no {request.url.path} here. /openapi.json says what there is.",
        405: f"{request.url.path} does not know {request.scope.get(ASKED, request.method)}.",
    }
    text = said.get(error.status_code, str(error.detail) or HTTPStatus(error.status_code).phrase)
    headers = {name: "GET, HEAD" if value == "GET" else value for name, value in (error.headers or {}).items()}
    return JSONResponse({"error": text}, error.status_code, headers)


async def _fault(request: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"error": "A fault in the server: its log says more."}, 500)


class Heads:
    """ASGI middleware: HEAD is what GET is; uvicorn leaves the body out."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "HEAD":
            scope = {**scope, "method": "GET", ASKED: "HEAD"}
        await self._app(scope, receive, send)


def answer_problems(app: FastAPI) -> None:
    """Makes the app answer every problem as JSON; a fault is logged by the server that runs the app."""
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _fault)
