"""What clients send: read within limits, checked by hand so that each message says what is wrong."""

from __future__ import annotations

import asyncio
import json
import math
import re
from dataclasses import dataclass
from typing import Any

from fastapi import Request
from starlette.requests import ClientDisconnect

from noria.serving.model import PAIR, as_text
from noria.serving.problem import Problem

RIGHT, WRONG = "right", "wrong"
ID = "[0-9a-f]{32}"  # of a prediction
LEFT = 499  # a status of nginx's for a request whose client has left: nobody reads it, the counts of requests show it
DIGITS = 4000  # of a whole number; Python reads no more than 4,300
SHOWN = 20  # labels that a message names


@dataclass(frozen=True)
class Verdict:
    """What someone says of a prediction; `label` is what it should have been, where that was said."""

    id: str
    correct: bool
    label: str | None


async def read_json(request: Request, max_body: int, timeout: float) -> Any:
    """The body as JSON.

    Raises:
        Problem: 415 another type, 413 too long, 408 too slow, 499 the client has left, 400 no JSON in UTF-8.
    """
    _refuse_type(request)
    too_long = Problem(413, f"The body is longer than {max_body:,} bytes, which is all that is read.")
    announced = request.headers.get("content-length", "").lstrip("0")
    if announced.isdecimal() and (len(announced) > 18 or int(announced) > max_body):
        raise too_long
    body = bytearray()
    try:
        async with asyncio.timeout(timeout):
            async for chunk in request.stream():
                body += chunk
                if len(body) > max_body:
                    raise too_long
    except TimeoutError:
        raise Problem(408, f"The body did not come within {timeout:g} seconds.") from None
    except ClientDisconnect:
        raise Problem(LEFT, "The client left before its body had come.") from None
    return _parsed(bytes(body))


def _refuse_type(request: Request) -> None:
    kind, *parameters = (part.strip().lower() for part in request.headers.get("content-type", "").split(";"))
    charsets = [
        value.strip('"') for name, _, value in (part.partition("=") for part in parameters) if name == "charset"
    ]
    if kind != "application/json" or any(charset not in ("utf-8", "utf8") for charset in charsets):
        raise Problem(415, "Send JSON in UTF-8, with the header Content-Type: application/json.")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Problem(415, "Send the body as it is, without a Content-Encoding.")


def _parsed(body: bytes) -> Any:
    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is no JSON")

    def whole(digits: str) -> int:
        if len(digits) > DIGITS:
            raise ValueError(f"a number has {len(digits):,} digits")
        return int(digits)

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for key, value in pairs:
            if key in made:
                raise ValueError(f"the key {_short(key)} comes twice in one object")
            made[key] = value
        return made

    try:
        return json.loads(body.decode("utf-8"), parse_constant=refuse, parse_int=whole, object_pairs_hook=once)
    except UnicodeDecodeError as error:
        raise Problem(400, f"The body is not UTF-8: byte {error.start} does not belong there.") from None
    except RecursionError:
        raise Problem(400, "The body is nested too deeply.") from None
    except ValueError as error:
        raise Problem(400, f"The body is not JSON: {error}.") from None


def read_texts(data: Any, max_texts: int, pairs: bool) -> list[str]:
    """The texts of `{"text": "…"}` or `{"text": ["…", "…"]}`.

    Raises:
        Problem: 422.
    """
    given = _only(data, {"text"}, '{"text": "a text"} or {"text": ["one", "another"]}')["text"]
    texts = given if isinstance(given, list) else [given]
    if not texts:
        raise Problem(422, "text is an empty list: send at least one text.")
    if len(texts) > max_texts:
        raise Problem(422, f"{len(texts):,} texts are too many for one request: at most {max_texts:,}.")
    for number, text in enumerate(texts, 1):
        name = f"text {number}" if isinstance(given, list) else "text"
        _refuse_text(name, text)
        if pairs and (text.count(PAIR) != 1 or not all(part.strip() for part in text.split(PAIR))):
            raise Problem(422, f"{name}: this model reads pairs of texts: put one tab (\\t) between the two.")
    return texts


def halves(text: str, pairs: bool) -> tuple[str, str | None]:
    """A text that `read_texts` has passed: alone, or the two of a pair."""
    first, tab, second = text.partition(PAIR) if pairs else (text, "", "")
    return first, second if tab else None


def read_verdict(data: Any, kind: str, labels: list[str]) -> Verdict:
    """What is said of a prediction: `{"id": "…", "verdict": "right"}`, `"wrong"`, or `{"id": "…", "label": "…"}`.

    Args:
        kind, labels: the model's.

    Raises:
        Problem: 422.
    """
    form = '{"id": "…", "verdict": "right"}, with "wrong" for "right", or {"id": "…", "label": what it should be}'
    by_label = isinstance(data, dict) and "label" in data
    said = _only(data, {"id", "label"} if by_label else {"id", "verdict"}, form)
    if not isinstance(said["id"], str) or not re.fullmatch(ID, said["id"]):
        raise Problem(422, "id must be the id of a prediction: 32 hexadecimal digits, as /predict gives them.")
    if by_label:
        return Verdict(said["id"], False, _label(said["label"], kind, labels))
    if said["verdict"] not in (RIGHT, WRONG):
        raise Problem(422, 'verdict must be "right" or "wrong". What it should be goes into label.')
    return Verdict(said["id"], said["verdict"] == RIGHT, None)


def _label(given: Any, kind: str, labels: list[str]) -> str:
    if kind == "regression":
        number = _number(given)
        if number is None:
            raise Problem(422, "label must be a number: that is what this model gives.")
        return as_text(number)
    if kind == "multi_label":
        names = set(labels)  # a body may hold a million names
        if not isinstance(given, list) or not all(isinstance(name, str) and name in names for name in given):
            raise Problem(422, f"label must be a list of the model's labels: {_named(labels)}.")
        said = set(given)
        return as_text([name for name in labels if name in said])
    if given not in labels:
        raise Problem(422, f"label must be one of the model's: {_named(labels)}.")
    return as_text(given)


def _number(given: Any) -> float | None:
    """A finite number; None for anything else, also for a whole number that no float can be."""
    if isinstance(given, bool) or not isinstance(given, int | float):
        return None
    try:
        return float(given) if math.isfinite(given) else None
    except OverflowError:
        return None


def _named(labels: list[str]) -> str:
    more = len(labels) - SHOWN
    return ", ".join(labels[:SHOWN]) + (f" and {more:,} more, which /info names" if more > 0 else "")


def _only(data: Any, keys: set[str], form: str) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise Problem(422, f"The body must be an object: {form}.")
    if unknown := sorted(set(data) - keys):
        raise Problem(422, f"{_short(unknown[0])} is no key of this body: {form}.")
    if missing := sorted(keys - set(data)):
        raise Problem(422, f"{missing[0]} is missing: {form}.")
    return data


def _refuse_text(name: str, text: Any) -> None:
    if not isinstance(text, str):
        raise Problem(422, f"{name} must be a string.")
    if not text.strip():
        raise Problem(422, f"{name} is empty.")
    if "\0" in text:
        raise Problem(422, f"{name} holds a NUL character.")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise Problem(422, f"{name} holds half of a surrogate pair, which is no character.") from None


def _short(key: str) -> str:
    return json.dumps(key if len(key) <= 40 else key[:40] + "…")
