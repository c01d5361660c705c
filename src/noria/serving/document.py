"""The OpenAPI document: what bodies look like and which statuses there are. FastAPI adds the paths."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel, Field

from noria.serving.bodies import ID, RIGHT, WRONG
from noria.serving.settings import SCHEME
from noria.task.service import Service

SAID = {
    400: "The body is no JSON in UTF-8.",
    401: "No known API key.",
    403: "There are no API keys, and the request names a host that is not this machine.",
    404: "There is no such thing.",
    408: "The body did not come in time.",
    413: "The body is too long.",
    415: "The body is not sent as JSON in UTF-8.",
    422: "The JSON is not what is asked for.",
    429: "Too many texts are waiting: ask again after Retry-After seconds.",
    500: "The model failed on this request.",
    503: "The model or the store is not there at the moment.",
    504: "It took too long.",
}
BODY = (400, 408, 413, 415, 422)
KEY = {"type": "http", "scheme": SCHEME, "description": "A key of NORIA_API_KEYS."}


class Error(BaseModel):
    """Why there is no answer."""

    error: str


class Noted(BaseModel):
    """Feedback that is stored."""

    id: str
    new: bool = Field(description="false: this client has said so before")


class Health(BaseModel):
    """How the server is."""

    status: str
    version: str | None


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The document's entries for these statuses."""
    return {status: {"model": Error, "description": SAID[status]} for status in statuses}


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object", "properties": properties, "required": list(properties), "additionalProperties": False,
    }  # fmt: skip


def _body(schema: dict[str, Any], example: Any) -> dict[str, Any]:
    """The document's entry for a JSON body."""
    return {"required": True, "content": {"application/json": {"schema": schema, "example": example}}}


def predict_entry(service: Service, most: int) -> dict[str, Any]:
    """What `/predict` takes and gives; `most` requests at once."""
    one = service.request_schema()
    many = {"type": "array", "items": one, "minItems": 1, "maxItems": most}
    said = "it was cut to the longest that the model reads, as in evaluation"
    answer = {
        "id": {"type": "string", "description": "for feedback"},
        **service.answer_schema(),
        "truncated": {"type": "boolean", "description": said},
    }
    answers = {"type": "array", "items": _object(answer), "description": "in the order of what was asked"}
    reply = _object({"version": {"type": "string"}, "predictions": answers})
    return {
        "requestBody": _body(_object({service.asks: {"oneOf": [one, many]}}), {service.asks: service.examples()[0]}),
        "reply": reply,
    }


def feedback_entry(service: Service, named: bool) -> dict[str, Any]:
    """What `/feedback` takes; `named` is False for a client that may not see the names of the labels."""
    prediction = {"type": "string", "pattern": f"^{ID}$"}
    verdict = {"enum": [RIGHT, WRONG], "description": "wrong will do alone, however many answers there may be"}
    correction = {**service.correction_schema(named), "description": "what it should be"}
    forms = [_object({"id": prediction, **said}) for said in ({"verdict": verdict}, {service.corrects: correction})]
    return {"requestBody": _body({"oneOf": forms}, {"id": "0123456789abcdef" * 2, "verdict": RIGHT})}


def document(app: FastAPI, entries: dict[str, dict[str, Any]], locked: list[str]) -> dict[str, Any]:
    """The whole document.

    Args:
        entries: by path, of its POST: the `requestBody`, and the schema of the `reply` where a model decides it.
        locked: the paths that want a key; empty where none is wanted.
    """
    made = get_openapi(title="Noria", version="1", description="Requests in, answers out.", routes=app.routes)
    for path, entry in entries.items():
        if path in made["paths"]:
            post = made["paths"][path]["post"]
            post["requestBody"] = entry["requestBody"]
            if "reply" in entry:
                post["responses"]["200"]["content"] = {"application/json": {"schema": entry["reply"]}}
    if locked:
        made["components"]["securitySchemes"] = {"key": KEY}
    for path in locked:
        for operation in made["paths"].get(path, {}).values():
            operation["security"] = [{"key": []}]
    return made
