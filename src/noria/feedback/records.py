"""What the store keeps, as plain values. Knows nothing of SQL."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from noria.common.errors import RunError, UserError


@dataclass(frozen=True)
class Prediction:
    """One answered request. What stands in `request` and `answer` only the form knows.

    Args:
        id: a uuid4 in hex, made by the server.
        version: the name of the model version that answered.
        form: the dotted path of the form of its model (`noria.task.form`).
        request: JSON in which every string is text of a user's; None where texts are not kept.
        answer: JSON; it holds no text of a user's, but where `writes` says so.
        latency_ms: milliseconds from the request to the answer.
        client: a name or a hash of who asked; never a key.
        created: aware; the store gives it back in UTC.
        places: names of the texts in `request` into which answers and corrections point, by characters counted from 0
            in the text as it was sent. What is masked in these is kept with them (`masked.py`). Not stored itself.
        writes: the strings in `answer` are texts, in which what a user sent may stand: they are scrubbed as the
            request's are, and kept only with them. Not stored itself.
    """

    id: str
    version: str
    form: str
    request: dict[str, Any] | None
    answer: dict[str, Any]
    latency_ms: float
    client: str
    created: datetime
    places: tuple[str, ...] = field(default=(), compare=False)
    writes: bool = field(default=False, compare=False)


@dataclass(frozen=True)
class Correction:
    """Feedback and the prediction that it is about: what training and tests of drift read.

    Args:
        client: who gave the feedback.
        correction: what the answer should have been, as JSON; None where it was right, or where the client did not say.
        correct: whether the client said that the prediction was right.
        created: when the client said so, in UTC.
    """

    prediction: Prediction
    client: str
    correction: Any
    correct: bool
    created: datetime


@dataclass(frozen=True)
class Preference:
    """Which of two answers to a prompt a client likes better. `created` is in UTC."""

    id: str
    prompt: str
    chosen: str
    rejected: str
    client: str
    created: datetime


class UnknownPrediction(UserError):
    """Feedback about a prediction that the store does not have, or no longer has."""


class StoreDown(RunError):
    """The store was opened, but the database does not answer or cannot write now: nobody's input is wrong."""
