"""`stage=predict`: texts or prompts in, one line of JSON out for each, in the same order."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Gt
from hydra.utils import instantiate
from omegaconf import DictConfig

from noria.artifact import bundle
from noria.common.console import PlainConsole, set_up_logging
from noria.common.errors import UserError
from noria.common.visible import visible
from noria.inference.outputs import Output
from noria.inference.runner import Runner
from noria.stage.parts import device_of, own_kinds, precision_of
from noria.stage.run import plain
from noria.task.kind import Streaming
from noria.task.requests import NO_TEXT, Given, Reading, Unanswerable

Rows = list[dict[str, Any]]


def predict(
    cfg: DictConfig,
    choices: dict[str, Any],
    multirun: bool,
    *,
    text: str | list[str] | None = None,
    quoted: bool | None = None,
    batch_size: Annotated[int, Gt(0)] | None = None,
    output: str | None = None,
    overwrite: bool = False,
    chat: bool = True,
    generation: dict[str, Any] | None = None,
) -> None:
    """Reads `input` (a file, or `-`), writes JSON lines to `output` or to standard output.

    Each line is the input's fields, all of them, and `prediction`, with `probabilities` by label for a classifier; a
    decoder's is the input's fields and `response`. A line without a text, or whose prompt is too long for the model,
    keeps its place, with an `error` in it; how many there were is said at the end. An own field of the input that is
    called so is kept as `input_error` and so on. Whoever closes the output (`| head`) has had enough: that is no error.

    A file to learn from can be asked as well: of a chat, the answers that it ends with are left out.

    What is typed is answered line by line, and a decoder's words are shown as they come. Each line is a prompt of its
    own: nothing is remembered of the lines before.

    Args:
        text: the column of the input that is read, or the two of a pair; None: the data's own name for it.
        quoted: whether cells of CSV and TSV files may stand in double quotes; None: as `data` says.
        batch_size: how many at once; None: 64 for a classifier, 16 for a decoder.
        overwrite: write `output` anew where it holds something already; False refuses that.
        chat: send a decoder each plain prompt as the message of a user, where it has a chat template.
        generation: the `Sampling` of a decoder.

    Raises:
        UserError: an input that cannot be read (what came before it has been answered), or an output that is there.
    """
    quoted = cfg.data.get("quoted") if quoted is None else quoted
    given = Given(cfg.input, plain(cfg.data), text, quoted, chat)
    with Output(output, cfg.input, overwrite) as out:
        _predict(cfg, given, batch_size, output, generation, out)


def _predict(
    cfg: DictConfig,
    given: Given,
    batch_size: int | None,
    output: str | None,
    generation: dict[str, Any] | None,
    out: Output,
) -> None:
    people = PlainConsole(stderr=True)  # standard output belongs to the predictions
    set_up_logging(people)
    artifact = bundle.open_artifact(Path(cfg.artifact), own_kinds(cfg))
    settings = instantiate(generation) if generation else None
    runner = Runner(artifact, precision_of(cfg), device_of(cfg), settings)
    size = batch_size or runner.kind.batch_size
    reading = artifact.form.reading(replace(given, chat=given.chat and bool(artifact.tokenizer.chat_template)))
    typed = given.source == "-" and sys.stdin.isatty()
    if typed and output is None and sys.stdout.isatty() and isinstance(runner.answerer, Streaming):
        _converse(runner.answerer, reading, people)
        return

    tally = _Tally(reading.taken)
    try:
        for chunk in _chunks(reading.rows(), 1 if typed else size * runner.kind.chunk):
            for row, line in zip(chunk, _answered(runner, reading, chunk, size, tally.answered), strict=True):
                out.write(line)
                tally.count(row, line)
            out.flush()
    except BrokenPipeError:
        if output is None:  # or Python would try once more to write what is left, when it ends
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return
    except BaseException:
        if tally.answered:
            people.print(f"{tally}; then it ended", highlight=False, markup=False)
        raise
    people.print(str(tally), highlight=False, markup=False)
    if output:
        people.print(f"predictions: {output}", highlight=False, markup=False)


def _answered(runner: Runner, reading: Reading, rows: Rows, size: int, first: int) -> Iterator[dict[str, Any]]:
    """Each row with its answer, or with an `error` if it asks nothing or cannot be answered.

    Args:
        first: the number of the first row in the whole input.
    """
    requests: dict[int, Any] = {}
    answers: dict[int, dict[str, Any]] = {}
    for place, row in enumerate(rows):
        try:
            requests[place] = reading.request(row)
        except Unanswerable as problem:
            answers[place] = {"error": str(problem)}
    found = runner.answer(list(requests.values()), size, [first + place for place in requests])
    answers |= dict(zip(requests, found, strict=True))
    return (reading.line(row, answers[place]) for place, row in enumerate(rows))


@dataclass
class _Tally:
    """How many lines were answered, and what was wrong with the others; as a string it is a sentence for people."""

    ours: tuple[str, ...]
    answered: int = 0
    without_text: int = 0
    failed: int = 0
    renamed: dict[str, None] = field(default_factory=dict)

    def count(self, row: dict[str, Any], line: dict[str, Any]) -> None:
        """Notes what came in and what goes out."""
        self.answered += 1
        for name in self.ours:
            if name in row and (new := f"input_{name}") in line and new not in row:
                self.renamed[name] = None
        self.without_text += line.get("error") == NO_TEXT
        self.failed += line.get("error", NO_TEXT) != NO_TEXT

    def __str__(self) -> str:
        said = f"{self.answered:,} line{'s' if self.answered != 1 else ''} answered"
        said += f", {self.without_text:,} of them had no text" if self.without_text else ""
        said += f", {self.failed:,} of them could not be: each says why in its error" if self.failed else ""
        kept = ", ".join(f"{name} is kept as input_{name}" for name in self.renamed)
        return said + (f". Of the input's own fields, {kept}" if kept else "")


def _converse(answerer: Streaming, reading: Reading, people: PlainConsole) -> None:
    """Answers each typed line on the terminal, piece by piece, until the input ends (Ctrl-D)."""
    people.print("Each line is a prompt of its own. Ctrl-D ends.", style="dim")
    for number, row in enumerate(reading.rows()):
        try:
            for piece in answerer.stream(reading.request(row), number):
                print(visible(piece), end="", flush=True)
            print(flush=True)
        except Unanswerable as problem:
            if str(problem) != NO_TEXT:
                people.print(f"{problem}.", style="yellow", highlight=False)
            else:
                print(flush=True)


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
