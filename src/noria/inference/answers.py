"""From rows of an input to what is answered to each: the row's own fields and the model's. Knows no files."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from noria.artifact.bundle import Artifact
from noria.data.encoded import encode_texts
from noria.inference.classifier import Classifier
from noria.inference.generator import BadPrompt, Generator
from noria.inference.prompts import Prompt, prompt_of

NO_TEXT = "no text"


def classified(
    classifier: Classifier, artifact: Artifact, rows: list[dict[str, Any]], names: list[str], batch_size: int
) -> Iterator[dict[str, Any]]:
    """Each row with its `prediction` and, but for a regression, `probabilities`; with an `error` if it has no text.

    Args:
        names: the fields of the texts.
    """
    whole = [row for row in rows if all(str(row[name]).strip() for name in names)]
    texts = [str(row[names[0]]) for row in whole]
    pairs = [str(row[names[1]]) for row in whole] if len(names) > 1 else None
    answers: Iterator[dict[str, Any]] = iter(())
    if whole:
        encoded = encode_texts(artifact.tokenizer, texts, pairs, int(artifact.facts["max_length"]))
        scores = classifier.objective.scores(classifier.logits(encoded, batch_size))
        predictions = classifier.decide(scores)
        if artifact.kind == "regression":
            answers = iter([{"prediction": p} for p in predictions])
        else:
            shares = [[round(p, 6) for p in row] for row in scores.tolist()]
            answers = iter(
                {"prediction": p, "probabilities": dict(zip(artifact.labels, s, strict=True))}
                for p, s in zip(predictions, shares, strict=True)
            )
    for row in rows:
        has_text = all(str(row[name]).strip() for name in names)
        yield {**row, **(next(answers) if has_text else {"error": NO_TEXT})}


def generated(
    generator: Generator, rows: list[dict[str, Any]], first: int, chat: bool, batch_size: int
) -> Iterator[dict[str, Any]]:
    """Each row with the model's `response`, or with an `error` if it is blank or cannot be answered.

    A `response` that a row came with is kept as its `reference`.

    Args:
        first: the number of the first row in the whole input.
        chat: plain prompts become messages of a user.
    """
    prompts = [prompt_of(row, chat) for row in rows]
    problems = [NO_TEXT if prompt is None else _problem(generator, prompt) for prompt in prompts]
    good = [place for place, problem in enumerate(problems) if problem is None]
    numbers = [first + place for place in good]
    found = generator.generate([prompts[place] or "" for place in good], batch_size, numbers=numbers)
    answers = dict(zip(good, found, strict=True))
    for place, (row, problem) in enumerate(zip(rows, problems, strict=True)):
        if problem is not None:
            yield {**row, "error": problem}
            continue
        kept = {"reference": row["response"]} if "response" in row else {}
        yield {**kept, **row, "response": answers[place]}


def _problem(generator: Generator, prompt: Prompt) -> str | None:
    try:
        generator.encode(prompt)
    except BadPrompt as problem:
        return str(problem)
    return None
