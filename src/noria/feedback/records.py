"""What the store keeps, as plain values. Knows nothing of SQL."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from noria.common.errors import RunError, UserError


@dataclass(frozen=True)
class Prediction:
    """One answered text.

    Args:
        id: a uuid4 in hex, made by the server.
        version: the name of the model version that answered.
        text: None where texts are not kept; of a pair the first one.
        probabilities: by label.
        latency_ms: milliseconds from the request to the answer.
        client: a name or a hash of who asked; never a key.
        created: aware; the store gives it back in UTC.
        text_pair: the second text of a pair; None where there is one text, or texts are not kept.
    """

    id: str
    version: str
    text: str | None
    label: str
    probabilities: dict[str, float]
    latency_ms: float
    client: str
    created: datetime
    text_pair: str | None = None


@dataclass(frozen=True)
class Correction:
    """Feedback and the prediction that it is about: what training and tests of drift read.

    Args:
        client: who gave the feedback.
        label: the one that the client says is right; None: it only said that the prediction is wrong, and more than one
            other label is left.
        correct: whether the client said that the prediction was right.
        created: when the client said so, in UTC.
    """

    prediction: Prediction
    client: str
    label: str | None
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
