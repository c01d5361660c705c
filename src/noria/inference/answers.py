"""From rows of an input to what is answered to each: the row's own fields and the model's. Knows no files."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

import torch

from noria.artifact.bundle import Artifact
from noria.data.batch.encoded import encode_texts
from noria.inference.classifier import Classifier
from noria.inference.generator import BadPrompt, Generator
from noria.inference.prompts import USUAL, Fields, Prompt, prompt_of, reference_of

NO_TEXT = "no text"
NO_UNICODE = "the text is no valid Unicode: half of a pair of surrogates stands in it"
NO_NUMBER = "the model's scores are not finite numbers"

CLASSIFIED = ("prediction", "probabilities", "error")
GENERATED = ("response", "error")


def classified(
    classifier: Classifier, artifact: Artifact, rows: list[dict[str, Any]], names: list[str], batch_size: int
) -> Iterator[dict[str, Any]]:
    """Each row with its `prediction` and, but for a regression, `probabilities`; with an `error` if it has no text.

    Args:
        names: the fields of the texts.
    """
    problems = [problem_of([str(row[name]) for name in names]) for row in rows]
    whole = [row for row, problem in zip(rows, problems, strict=True) if problem is None]
    texts = [str(row[names[0]]) for row in whole]
    pairs = [str(row[names[1]]) for row in whole] if len(names) > 1 else None
    answers: Iterator[dict[str, Any]] = iter(())
    if whole:
        encoded = encode_texts(artifact.tokenizer, texts, pairs, int(artifact.facts["max_length"]))
        answers = _answers(classifier, artifact, classifier.logits(encoded, batch_size))
    for row, problem in zip(rows, problems, strict=True):
        answer = next(answers) if problem is None else {"error": problem}
        yield {**own_fields(row, CLASSIFIED), **answer}


def _answers(classifier: Classifier, artifact: Artifact, logits: torch.Tensor) -> Iterator[dict[str, Any]]:
    scores = classifier.objective.scores(logits)
    finite = scores.reshape(len(scores), -1).isfinite().all(-1).tolist()
    predictions = classifier.decide(scores)
    for is_number, prediction, row in zip(finite, predictions, scores.tolist(), strict=True):
        if not is_number:
            yield {"error": NO_NUMBER}
        elif artifact.kind == "regression":
            yield {"prediction": prediction}
        else:
            shares = dict(zip(artifact.labels, (round(share, 6) for share in row), strict=True))
            yield {"prediction": prediction, "probabilities": shares}


def generated(
    generator: Generator, rows: list[dict[str, Any]], first: int, chat: bool, batch_size: int, fields: Fields = USUAL
) -> Iterator[dict[str, Any]]:
    """Each row with the model's `response`, or with an `error` if it is blank or cannot be answered.

    What answered a row before (its response, or the answers that its chat ends with) is kept as its `reference`.

    Args:
        first: the number of the first row in the whole input.
        chat: plain prompts become messages of a user.
        fields: where the rows hold what is asked.
    """
    prompts = [prompt_of(row, chat, fields) for row in rows]
    problems = [NO_TEXT if prompt is None else _problem(generator, prompt) for prompt in prompts]
    good = [place for place, problem in enumerate(problems) if problem is None]
    numbers = [first + place for place in good]
    found = generator.generate([prompts[place] or "" for place in good], batch_size, numbers=numbers)
    answers = dict(zip(good, found, strict=True))
    for place, (row, problem) in enumerate(zip(rows, problems, strict=True)):
        answer = {"error": problem} if problem is not None else {"response": answers[place]}
        yield {**own_fields(_with_reference(row, fields), GENERATED), **answer}


def _with_reference(row: dict[str, Any], fields: Fields) -> dict[str, Any]:
    known = reference_of(row, fields)
    if known is None or "reference" in row:
        return row
    rest = {name: value for name, value in row.items() if name != "response" or value is not known}
    return {"reference": known, **rest}


def own_fields(row: dict[str, Any], taken: Iterable[str]) -> dict[str, Any]:
    """A row's fields, those under another name that an answer has too: `error` is kept as `input_error`."""
    taken = {*taken}
    kept: dict[str, Any] = {}
    for name, value in row.items():
        new = name
        while new in taken or (new != name and new in row):
            new = f"input_{new}"
        kept[new] = value
    return kept


def problem_of(texts: list[str]) -> str | None:
    """Why these texts cannot be read by a model; None where they can."""
    if not all(text.strip() for text in texts):
        return NO_TEXT
    return None if _is_unicode(texts) else NO_UNICODE


def _is_unicode(texts: list[str]) -> bool:
    try:
        "".join(texts).encode()
    except UnicodeEncodeError:
        return False
    return True


def _problem(generator: Generator, prompt: Prompt) -> str | None:
    if not _is_unicode([prompt if isinstance(prompt, str) else json.dumps(prompt, ensure_ascii=False, default=str)]):
        return NO_UNICODE
    try:
        generator.encode(prompt)
    except BadPrompt as problem:
        return str(problem)
    return None
