"""`stage=predict`: texts in, one line of JSON out for each, in the same order."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any, TextIO

from annotated_types import Gt
from omegaconf import DictConfig
from rich.console import Console

from noria.artifact import bundle
from noria.common.console import set_up_logging
from noria.common.errors import UserError
from noria.data.encoded import encode_texts
from noria.inference.classifier import Classifier, pick_device
from noria.inference.inputs import read_inputs
from noria.trainer.precision import best_precision

CHUNK = 32  # batches read before the first of them is answered: sorted by length among themselves


def predict(
    cfg: DictConfig,
    choices: dict[str, Any],
    multirun: bool,
    *,
    batch_size: Annotated[int, Gt(0)] = 64,
    output: str | None = None,
) -> None:
    """Reads `input` (a file, or `-`), writes JSON lines to `output` or to standard output.

    Each line is the input's fields and `prediction`, with `probabilities` by label for a classifier. A line
    without a text keeps its place, with an `error` in it; how many there were is said at the end.

    Raises:
        UserError: an input that cannot be read; what came before it has been answered.
    """
    people = Console(stderr=True)  # standard output belongs to the predictions
    set_up_logging(people)
    artifact = bundle.open_artifact(Path(cfg.artifact))
    precision, accelerator = cfg.trainer.get("precision", "auto"), cfg.trainer.get("accelerator", "auto")
    if precision == "auto":
        precision, _ = best_precision(accelerator)
    classifier = Classifier(artifact, precision, pick_device(accelerator))
    columns = cfg.data.get("text", "text")
    names = [columns] if isinstance(columns, str) else list(columns)
    max_length = int(artifact.facts["max_length"])
    answered = without_text = 0
    with ExitStack() as stack:
        out: TextIO = sys.stdout if output is None else stack.enter_context(_open(output, cfg.input))
        inputs = read_inputs(cfg.input, names)
        # What is typed is answered line by line.
        size = 1 if cfg.input == "-" and sys.stdin.isatty() else batch_size * CHUNK
        for chunk in _chunks(inputs, size):
            for line in _answer(classifier, artifact, chunk, names, max_length, batch_size):
                without_text += "error" in line
                answered += 1
                out.write(json.dumps(line, ensure_ascii=False) + "\n")
            out.flush()
    people.print(f"{answered:,} lines answered" + (f", {without_text:,} of them had no text" if without_text else ""))
    if output:
        people.print(f"predictions: {output}", highlight=False)


def _chunks(rows: Iterator[dict[str, Any]], size: int) -> Iterator[list[dict[str, Any]]]:
    """Lists of so many rows; where a row cannot be read, those before it come first."""
    chunk: list[dict[str, Any]] = []
    problem: UserError | None = None
    try:
        for row in rows:
            chunk.append(row)
            if len(chunk) == size:
                yield chunk
                chunk = []
    except UserError as error:
        problem = error
    if chunk:
        yield chunk
    if problem:
        raise problem


def _open(output: str, source: str) -> TextIO:
    path = Path(output).expanduser()
    if path.exists() and Path(source).exists() and path.samefile(source):
        raise UserError(f"stage.output={output} is the input itself: name another file.")
    try:
        return path.open("w", encoding="utf-8")
    except OSError as error:
        raise UserError(f"stage.output={output} cannot be written: {error.strerror}.") from error


def _answer(
    classifier: Classifier,
    artifact: bundle.Artifact,
    rows: list[dict[str, Any]],
    names: list[str],
    max_length: int,
    batch_size: int,
) -> Iterator[dict[str, Any]]:
    whole = [row for row in rows if all(str(row[name]).strip() for name in names)]
    texts = [str(row[names[0]]) for row in whole]
    pairs = [str(row[names[1]]) for row in whole] if len(names) > 1 else None
    answers: Iterator[dict[str, Any]] = iter(())
    if whole:
        encoded = encode_texts(artifact.tokenizer, texts, pairs, max_length)
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
        yield {**row, **(next(answers) if has_text else {"error": "no text"})}
