"""Generated texts beside what they should be: one reference a row, or several. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from typing import Any

import numpy as np

from noria.common.errors import UserError
from noria.metric.answers import Answers

REFERENCE, RESPONSE = "reference", "response"  # the columns


def references(answers: Answers) -> list[list[str]]:
    """The references of each row."""
    return [[one] if isinstance(one, str) else list(one) for one in answers[REFERENCE]]


def library(module: str, package: str) -> Any:
    """A library that only some metrics need.

    Raises:
        UserError: it is not installed.
    """
    try:
        return import_module(module)
    except ImportError:
        raise UserError(f"This metric needs a package that is not installed: pip install {package}") from None


def chrf_scores(responses: Iterable[str], texts: Iterable[Any]) -> np.ndarray:
    """chrF of each text against the best of its references, from 0 to 100 (n,).

    Raises:
        UserError: sacrebleu is not installed.
    """
    scorer = library("sacrebleu.metrics", "sacrebleu").CHRF()
    pairs = ((said, [one] if isinstance(one, str) else list(one)) for said, one in zip(responses, texts, strict=True))
    return np.array([scorer.sentence_score(said, true).score for said, true in pairs])
