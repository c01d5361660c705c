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
from noria.config.columns import text_columns
from noria.inference.answers import CLASSIFIED, GENERATED, NO_TEXT, classified, generated
from noria.inference.classifier import Classifier
from noria.inference.generator import BadPrompt, Generator
from noria.inference.inputs import read_inputs
from noria.inference.outputs import Output
from noria.inference.prompts import Fields, prompt_of, read_prompts
from noria.inference.sampling import Sampling
from noria.stage.parts import device_of, precision_of

CHUNK = {"classify": 32, "generate": 4}  # batches read before the first of them is answered: sorted by length
BATCH_SIZE = {"classify": 64, "generate": 16}

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
    with Output(output, cfg.input, overwrite) as out:
        _predict(cfg, _Input(cfg, text, quoted), batch_size, output, chat, generation, out)


def _predict(
    cfg: DictConfig,
    given: _Input,
    batch_size: int | None,
    output: str | None,
    chat: bool,
    generation: dict[str, Any] | None,
    out: Output,
) -> None:
    people = PlainConsole(stderr=True)  # standard output belongs to the predictions
    set_up_logging(people)
    artifact = bundle.open_artifact(Path(cfg.artifact))
    precision, device = precision_of(cfg), device_of(cfg)
    typed = cfg.input == "-" and sys.stdin.isatty()
    verb = "generate" if artifact.kind == "causal_lm" else "classify"
    size = batch_size or BATCH_SIZE[verb]
    if verb == "generate":
        generator = Generator(artifact, precision, device, instantiate(generation) if generation else Sampling())
        chat = chat and generator.chats
        if typed and output is None and sys.stdout.isatty():
            _converse(generator, chat, people)
            return
        fields = given.fields()
        inputs = read_prompts(given.source, fields, given.quoted)

        def answer(rows: Rows, first: int) -> Iterator[dict[str, Any]]:
            return generated(generator, rows, first, chat, size, fields)
    else:
        classifier = Classifier(artifact, precision, device)
        names = given.names
        trained_on = text_columns((artifact.facts.get("config") or {}).get("data") or {})
        if len(names) != len(trained_on):
            one, pair = "one text", "pairs of texts"
            raise UserError(
                f"The artifact reads {pair if len(trained_on) > 1 else one}, and {', '.join(names)} "
                f"{'are two columns' if len(names) > 1 else 'is one column'}: stage.text=<the right ones>."
            )
        inputs = read_inputs(given.source, names, given.quoted)

        def answer(rows: Rows, first: int) -> Iterator[dict[str, Any]]:
            return classified(classifier, artifact, rows, names, size)

    tally = _Tally(GENERATED if verb == "generate" else CLASSIFIED)
    try:
        for chunk in _chunks(inputs, 1 if typed else size * CHUNK[verb]):
            for row, line in zip(chunk, answer(chunk, tally.answered), strict=True):
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


class _Input:
    """What is read: where it is, its columns, and whether its cells are quoted."""

    def __init__(self, cfg: DictConfig, text: str | list[str] | None, quoted: bool | None) -> None:
        self.source: str = cfg.input
        self._data = cfg.data
        self._typed = text
        self.names = text_columns({"text": text} if text else cfg.data)
        self.quoted: bool | None = cfg.data.get("quoted") if quoted is None else quoted

    def fields(self) -> Fields:
        """Where a row holds what a decoder is asked."""
        fields = Fields.of(self._data)
        return fields if self._typed is None else replace(fields, only=self.names[0])


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


def _converse(generator: Generator, chat: bool, people: PlainConsole) -> None:
    """Answers each typed line on the terminal, piece by piece, until the input ends (Ctrl-D)."""
    people.print("Each line is a prompt of its own. Ctrl-D ends.", style="dim")
    for number, row in enumerate(read_prompts("-")):
        prompt = prompt_of(row, chat)
        try:
            for piece in generator.stream(prompt, number) if prompt is not None else ():
                print(visible(piece), end="", flush=True)
            print(flush=True)
        except BadPrompt as problem:
            people.print(f"{problem}.", style="yellow", highlight=False)


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
