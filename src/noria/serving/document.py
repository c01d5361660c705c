"""The OpenAPI document: what bodies look like and which statuses there are. FastAPI adds the paths."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel, Field

from noria.serving.bodies import ID, RIGHT, WRONG
from noria.serving.settings import SCHEME

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
INK = r"[^\s\u0000\u001c-\u001f\u0085]"  # a character that is not blank: Python knows five more that are than \s does
TEXT = {"type": "string", "minLength": 1, "pattern": rf"^[^\u0000]*{INK}[^\u0000]*$"}
PAIR = {**TEXT, "pattern": rf"^[^\u0000\t]*{INK}[^\u0000\t]*\t[^\u0000\t]*{INK}[^\u0000\t]*$"}
KEY = {"type": "http", "scheme": SCHEME, "description": "A key of NORIA_API_KEYS."}


class Error(BaseModel):
    """Why there is no answer."""

    error: str


class Predicted(BaseModel):
    """The answer to one text."""

    id: str = Field(description="for feedback")
    label: str | list[str] | float = Field(description="a name; several names; or a regression's number")
    probabilities: dict[str, float] = Field(description="by label; empty for a regression")
    truncated: bool = Field(description="the text was cut to the longest that the model reads, as in evaluation")


class Predictions(BaseModel):
    """The answers to all texts of a request, in their order."""

    version: str
    predictions: list[Predicted]


class Heard(BaseModel):
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


def body(schema: dict[str, Any], example: Any) -> dict[str, Any]:
    """The document's entry for a JSON body."""
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema, "example": example}}}}


def predict_body(max_texts: int, pairs: bool) -> dict[str, Any]:
    """What `/predict` takes."""
    text = PAIR if pairs else TEXT
    many = {"type": "array", "items": text, "minItems": 1, "maxItems": max_texts}
    schema = {
        "type": "object",
        "properties": {"text": {"oneOf": [text, many]}},
        "required": ["text"],
        "additionalProperties": False,
    }
    return body(schema, {"text": "a wonderful film"})


def feedback_body(kind: str, labels: list[str] | None) -> dict[str, Any]:
    """What `/feedback` takes. Labels None: they are not for whoever asks."""
    prediction = {"type": "string", "pattern": f"^{ID}$"}
    label: dict[str, Any] = {"type": "string"} if labels is None else {"enum": labels}
    if kind == "regression":
        label = {"type": "number"}
    elif kind == "multi_label":
        label = {"type": "array", "items": label}
    verdict = {"enum": [RIGHT, WRONG], "description": "wrong will do alone, however many labels there are"}
    said = {"verdict": verdict, "label": {**label, "description": "what it should be"}}
    forms = [
        {
            "type": "object",
            "properties": {"id": prediction, name: schema},
            "required": ["id", name],
            "additionalProperties": False,
        }
        for name, schema in said.items()
    ]
    return body({"oneOf": forms}, {"id": "0123456789abcdef" * 2, "verdict": RIGHT})


def document(app: FastAPI, bodies: dict[str, dict[str, Any]], locked: list[str]) -> dict[str, Any]:
    """The whole document.

    Args:
        bodies: by path, of its POST.
        locked: the paths that want a key; empty where none is wanted.
    """
    made = get_openapi(title="Noria", version="1", description="Texts in, labels out.", routes=app.routes)
    for path, entry in bodies.items():
        if path in made["paths"]:
            made["paths"][path]["post"].update(entry)
    if locked:
        made["components"]["securitySchemes"] = {"key": KEY}
    for path in locked:
        for operation in made["paths"].get(path, {}).values():
            operation["security"] = [{"key": []}]
    return made
