"""What clients send: read within limits, checked by hand so that each message says what is wrong."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import dataclass
from typing import Any

from fastapi import Request
from starlette.requests import ClientDisconnect

from noria.common.errors import UserError
from noria.serving.problem import Problem
from noria.task.service import Service

RIGHT, WRONG = "right", "wrong"
ID = "[0-9a-f]{32}"  # of a prediction
LEFT = 499  # a status of nginx's for a request whose client has left: nobody reads it, the counts of requests show it
DIGITS = 4000  # of a whole number; Python reads no more than 4,300


@dataclass(frozen=True)
class Verdict:
    """What someone says of a prediction; `correction` is what it should have been, where that was said."""

    id: str
    correct: bool
    correction: Any


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


def read_requests(data: Any, service: Service, most: int) -> list[dict[str, Any]]:
    """The requests of a body such as `{"text": "…"}` or `{"text": ["…", "…"]}`, as the model's form takes them.

    Args:
        most: so many at once.

    Raises:
        Problem: 422.
    """
    key = service.asks
    example = json.dumps(service.examples()[0])
    found = _only(data, {key}, f'{{"{key}": {example}}} or {{"{key}": [{example}, …]}}')[key]
    given = found if isinstance(found, list) else [found]
    if not given:
        raise Problem(422, f"{key} is an empty list: send at least one {key}.")
    if len(given) > most:
        raise Problem(422, f"{len(given):,} {key}s are too many for one request: at most {most:,}.")
    names = [f"{key} {number}" for number in range(1, len(given) + 1)] if isinstance(found, list) else [key]
    try:
        return [service.request(one, name) for one, name in zip(given, names, strict=True)]
    except UserError as error:
        raise Problem(422, str(error)) from None


def read_verdict(data: Any, service: Service) -> Verdict:
    """What is said of a prediction: `{"id": "…", "verdict": "right"}`, `"wrong"`, or `{"id": "…", "label": …}`.

    Raises:
        Problem: 422.
    """
    key = service.corrects
    form = f'{{"id": "…", "verdict": "right"}}, with "wrong" for "right", or {{"id": "…", "{key}": what it should be}}'
    corrects = isinstance(data, dict) and key in data
    said = _only(data, {"id", key} if corrects else {"id", "verdict"}, form)
    if not isinstance(said["id"], str) or not re.fullmatch(ID, said["id"]):
        raise Problem(422, "id must be the id of a prediction: 32 hexadecimal digits, as /predict gives them.")
    if corrects:
        try:
            return Verdict(said["id"], False, service.correction(said[key]))
        except UserError as error:
            raise Problem(422, str(error)) from None
    if said["verdict"] not in (RIGHT, WRONG):
        raise Problem(422, f'verdict must be "right" or "wrong". What it should be goes into {key}.')
    return Verdict(said["id"], said["verdict"] == RIGHT, None)


def _only(data: Any, keys: set[str], form: str) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise Problem(422, f"The body must be an object: {form}.")
    if unknown := sorted(set(data) - keys):
        raise Problem(422, f"{_short(unknown[0])} is no key of this body: {form}.")
    if missing := sorted(keys - set(data)):
        raise Problem(422, f"{missing[0]} is missing: {form}.")
    return data


def _short(key: str) -> str:
    return json.dumps(key if len(key) <= 40 else key[:40] + "…")
