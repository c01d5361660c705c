"""From records to rows and back, and what a row may not hold. Knows nothing of transactions."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from sqlalchemy import Row

from noria.common.errors import UserError
from noria.feedback.masked import KEY as MASKED
from noria.feedback.records import Correction, Prediction, Preference
from noria.feedback.scrub import Span, mask
from noria.feedback.tables import predictions
from noria.feedback.text import LABEL_LIMIT, short, storable

Scrub = Callable[[str], Sequence[Span] | None]
"""Finds what must not be kept of a text, from its beginning to its end; None: nothing of it can be kept."""


def now() -> datetime:
    return datetime.now(UTC)


def aware(what: str, moment: datetime) -> datetime:
    """The moment itself.

    Raises:
        UserError: it has no time zone, so that nobody knows when it was.
    """
    if moment.tzinfo is None:
        raise UserError(f"`{what}` has no time zone: give one, such as datetime.now(UTC).")
    return moment


def prediction_row(prediction: Prediction, keep_texts: bool, scrub: Scrub | None) -> dict[str, Any]:
    """A row of `predictions`.

    Raises:
        UserError: a name is empty or too long, a number is not finite, or `created` has no time zone.
    """
    if not all(math.isfinite(number) for number in (prediction.latency_ms, *_numbers(prediction.answer))):
        raise UserError(f"The prediction {storable(prediction.id)} has a number that is not finite.")
    return {
        "id": short("id of a prediction", prediction.id),
        "version": short("version", prediction.version, LABEL_LIMIT),
        "form": short("form", prediction.form),
        "request": kept(prediction.request, scrub, prediction.places) if keep_texts else None,
        "answer": _changed(kept_answer(prediction, scrub) if keep_texts else without_texts(prediction), storable),
        "latency_ms": float(prediction.latency_ms),
        "client": short("client", prediction.client),
        "created": aware("created", prediction.created),
    }


def kept_answer(prediction: Prediction, scrub: Scrub | None) -> dict[str, Any]:
    """The answer as it is stored: scrubbed where it is made of texts, and without them where they cannot be kept."""
    if not prediction.writes:
        return prediction.answer
    found = None if prediction.request is None else kept(prediction.answer, scrub)
    return without_texts(prediction) if found is None else found


def without_texts(prediction: Prediction) -> dict[str, Any]:
    """The answer, its texts empty where it is made of any."""
    changed: dict[str, Any] = _changed(prediction.answer, lambda text: "") if prediction.writes else prediction.answer
    return changed


def kept(request: dict[str, Any] | None, scrub: Scrub | None, places: Sequence[str] = ()) -> dict[str, Any] | None:
    """A request as it is stored, each of its texts scrubbed by itself; None where one of them cannot be kept.

    Args:
        places: names of texts in it into which answers and corrections point: what has been masked in them stands
            beside them (`masked.py`).
    """
    if request is None or scrub is None:
        return _changed(request, storable)
    pieces: dict[str, list[list[int]]] = {}

    def cleaned(text: str, name: str) -> str:
        text = storable(text)
        if (spans := scrub(text)) is None:
            raise _NotKept
        if spans and name in places:
            pieces[name] = [[span.start, span.end, len(span.placeholder)] for span in spans]
        return mask(text, spans)

    try:
        made = {
            storable(str(name)): _changed(value, partial(cleaned, name=name if isinstance(value, str) else ""))
            for name, value in request.items()
        }
    except _NotKept:
        return None
    return {**made, MASKED: pieces} if pieces else made


def length(value: Any) -> int:
    """How many characters the texts in a JSON value have."""
    return sum(len(leaf) for leaf in _leaves(value) if isinstance(leaf, str))


def correction_json(correction: Any) -> Any:
    """A correction as it is stored.

    Raises:
        UserError: it is empty, or longer than `LABEL_LIMIT` characters.
    """
    if correction is not None:
        short("correction", correction if isinstance(correction, str) else json.dumps(correction), LABEL_LIMIT)
    return _changed(json.loads(json.dumps(correction, sort_keys=True)), storable)  # SQLite compares it as text


class _NotKept(Exception):
    pass


def _changed(value: Any, change: Callable[[str], str]) -> Any:
    """A JSON value with each of its texts changed, and its keys made storable."""
    if isinstance(value, Mapping):
        return {storable(str(name)): _changed(item, change) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_changed(item, change) for item in value]
    return change(value) if isinstance(value, str) else value


def _leaves(value: Any) -> Iterator[Any]:
    items = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else None
    for item in items or ():
        yield from _leaves(item)
    if items is None:
        yield value


def _numbers(value: Any) -> Iterator[float]:
    return (leaf for leaf in _leaves(value) if isinstance(leaf, int | float))


def preference_row(prompt: str, chosen: str, rejected: str, client: str, scrub: Scrub | None) -> dict[str, Any]:
    """A row of `preferences`; its id is the same whichever of the two answers was chosen.

    Raises:
        UserError: the answers are the same, a text cannot be kept, or `client` is empty or too long.
    """
    client = short("client", client)
    texts = {"prompt": clean(prompt, scrub), "chosen": clean(chosen, scrub), "rejected": clean(rejected, scrub)}
    if None in texts.values():
        raise UserError("A text of this preference is too long to be scrubbed of personal data: it cannot be kept.")
    if texts["chosen"] == texts["rejected"]:
        raise UserError("A preference is between two different answers.")
    about = json.dumps([client, texts["prompt"], *sorted(map(str, (texts["chosen"], texts["rejected"])))])
    return {
        "id": hashlib.sha256(about.encode()).hexdigest()[:32],
        **texts,
        **{"client": client, "created": now()},
    }


def clean(text: str, scrub: Scrub | None) -> str | None:
    """A text that can be stored, without personal data; None where it cannot be kept."""
    text = storable(text)
    spans = scrub(text) if scrub else ()
    return None if spans is None else mask(text, spans)


def to_prediction(row: Row[*tuple[Any, ...]]) -> Prediction:
    """The first columns of a row, which are those of `predictions`."""
    return Prediction(*row[: len(predictions.c)])


def to_correction(row: Row[*tuple[Any, ...]]) -> Correction:
    """The columns of `predictions`, then the client, correction, correct and created of `feedback`."""
    return Correction(to_prediction(row), *row[len(predictions.c) :])


def to_preference(row: Row[*tuple[Any, ...]]) -> Preference:
    return Preference(*row)
