"""From records to rows and back, and what a row may not hold. Knows nothing of transactions."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row

from noria.common.errors import UserError
from noria.feedback.records import Correction, Prediction, Preference
from noria.feedback.tables import predictions
from noria.feedback.text import LABEL_LIMIT, short, storable

Scrub = Callable[[str], str | None]  # None: this text cannot be kept


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


def prediction_row(prediction: Prediction, keep_text: bool, scrub: Scrub | None) -> dict[str, Any]:
    """A row of `predictions`.

    Raises:
        UserError: a name is empty or too long, a number is not finite, or `created` has no time zone.
    """
    numbers = [prediction.latency_ms, *prediction.probabilities.values()]
    if not all(math.isfinite(number) for number in numbers):
        raise UserError(f"The prediction {storable(prediction.id)} has a number that is not finite.")
    texts = kept(prediction, scrub) if keep_text else (None, None)
    return {
        "id": short("id of a prediction", prediction.id),
        "version": short("version", prediction.version, LABEL_LIMIT),
        "text": texts[0],
        "label": short("label", prediction.label, LABEL_LIMIT),
        "probabilities": {
            short("label", name, LABEL_LIMIT): float(number) for name, number in prediction.probabilities.items()
        },
        "latency_ms": float(prediction.latency_ms),
        "client": short("client", prediction.client),
        "created": aware("created", prediction.created),
        "text_pair": texts[1],
    }


def kept(prediction: Prediction, scrub: Scrub | None) -> tuple[str | None, str | None]:
    """Both texts as they are stored, each scrubbed by itself; neither where one of a pair cannot be kept."""
    given = [text for text in (prediction.text, prediction.text_pair) if text is not None]
    found = [clean(text, scrub) for text in given]
    if prediction.text is None or None in found:
        return None, None
    return found[0], found[1] if len(found) > 1 else None


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


def right_label(correct: bool, label: str | None, predicted: str, probabilities: dict[str, float]) -> str | None:
    """The label that a client says is right; None where it says but that the prediction is wrong, and that leaves more
    than one.

    Raises:
        UserError: it contradicts `correct`.
    """
    label = None if label is None else short("label", label, LABEL_LIMIT)
    if correct:
        if label not in (None, predicted):
            raise UserError(f"The prediction was {predicted!r}: it cannot be correct while the right one is {label!r}.")
        return predicted
    if label == predicted:
        raise UserError(f"The prediction was {predicted!r}: it cannot be wrong while the right one is the same.")
    if label is not None:
        return label
    others = [name for name in probabilities if name != predicted]
    # What a model of several labels a text predicts is a list, and none of the names: it leaves many lists.
    return others[0] if len(others) == 1 and predicted in probabilities else None


def clean(text: str, scrub: Scrub | None) -> str | None:
    """A text that can be stored, without personal data; None where it cannot be kept."""
    text = storable(text)
    return scrub(text) if scrub else text


def to_prediction(row: Row[*tuple[Any, ...]]) -> Prediction:
    """The first columns of a row, which are those of `predictions`."""
    return Prediction(*row[: len(predictions.c)])


def to_correction(row: Row[*tuple[Any, ...]]) -> Correction:
    """The columns of `predictions`, then the client, label, correct and created of `feedback`."""
    return Correction(to_prediction(row), *row[len(predictions.c) :])


def to_preference(row: Row[*tuple[Any, ...]]) -> Preference:
    return Preference(*row)
