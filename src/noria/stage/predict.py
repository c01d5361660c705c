"""`stage=predict`: texts or prompts in, one line of JSON out for each, in the same order."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any, TextIO

from annotated_types import Gt
from hydra.utils import instantiate
from omegaconf import DictConfig

from noria.artifact import bundle
from noria.common.console import PlainConsole, set_up_logging
from noria.common.errors import UserError
from noria.common.visible import visible
from noria.inference.answers import NO_TEXT, classified, generated
from noria.inference.classifier import Classifier
from noria.inference.device import pick_device
from noria.inference.generator import BadPrompt, Generator
from noria.inference.inputs import read_inputs
from noria.inference.prompts import prompt_of, read_prompts
from noria.inference.sampling import Sampling
from noria.stage.parts import precision_of

CHUNK = {"classify": 32, "generate": 4}  # batches read before the first of them is answered: sorted by length
BATCH_SIZE = {"classify": 64, "generate": 16}

Rows = list[dict[str, Any]]


def predict(
    cfg: DictConfig,
    choices: dict[str, Any],
    multirun: bool,
    *,
    batch_size: Annotated[int, Gt(0)] | None = None,
    output: str | None = None,
    chat: bool = True,
    generation: dict[str, Any] | None = None,
) -> None:
    """Reads `input` (a file, or `-`), writes JSON lines to `output` or to standard output.

    Each line is the input's fields and `prediction`, with `probabilities` by label for a classifier; a decoder's is
    the input's fields and `response`. A line without a text, or whose prompt is too long for the model, keeps its
    place, with an `error` in it; how many there were is said at the end. Whoever closes the output (`| head`) has
    had enough: that is no error.

    What is typed is answered line by line, and a decoder's words are shown as they come. Each line is a prompt of its
    own: nothing is remembered of the lines before.

    Args:
        batch_size: how many at once; None: 64 for a classifier, 16 for a decoder.
        chat: send a decoder each plain prompt as the message of a user, where it has a chat template.
        generation: the `Sampling` of a decoder.

    Raises:
        UserError: an input that cannot be read; what came before it has been answered.
    """
    people = PlainConsole(stderr=True)  # standard output belongs to the predictions
    set_up_logging(people)
    artifact = bundle.open_artifact(Path(cfg.artifact))
    precision, device = precision_of(cfg), pick_device(cfg.trainer.get("accelerator", "auto"))
    typed = cfg.input == "-" and sys.stdin.isatty()
    verb = "generate" if artifact.kind == "causal_lm" else "classify"
    size = batch_size or BATCH_SIZE[verb]
    if verb == "generate":
        generator = Generator(artifact, precision, device, instantiate(generation) if generation else Sampling())
        chat = chat and generator.chats
        if typed and output is None and sys.stdout.isatty():
            _converse(generator, chat, people)
            return
        inputs = read_prompts(cfg.input)

        def answer(rows: Rows, first: int) -> Iterator[dict[str, Any]]:
            return generated(generator, rows, first, chat, size)
    else:
        classifier = Classifier(artifact, precision, device)
        columns = cfg.data.get("text", "text")
        names = [columns] if isinstance(columns, str) else list(columns)
        inputs = read_inputs(cfg.input, names)

        def answer(rows: Rows, first: int) -> Iterator[dict[str, Any]]:
            return classified(classifier, artifact, rows, names, size)

    try:
        with ExitStack() as stack:
            out: TextIO = sys.stdout if output is None else stack.enter_context(_open(output, cfg.input))
            said = _write(_chunks(inputs, 1 if typed else size * CHUNK[verb]), answer, out)
    except BrokenPipeError:
        if output is None:  # or Python would try once more to write what is left, when it ends
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return
    people.print(said)
    if output:
        people.print(f"predictions: {output}", highlight=False)


def _write(chunks: Iterator[Rows], answer: Callable[[Rows, int], Iterator[dict[str, Any]]], out: TextIO) -> str:
    """Writes what is answered to each chunk; returns a sentence that counts it."""
    answered = without_text = failed = 0
    for chunk in chunks:
        for line in answer(chunk, answered):
            without_text += line.get("error") == NO_TEXT
            failed += line.get("error", NO_TEXT) != NO_TEXT
            text = json.dumps(line, ensure_ascii=False)
            out.write((visible(text) if out.isatty() else text) + "\n")
        answered += len(chunk)
        out.flush()
    said = f"{answered:,} lines answered"
    said += f", {without_text:,} of them had no text" if without_text else ""
    return said + (f", {failed:,} of them could not be: each says why in its error" if failed else "")


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


def _open(output: str, source: str) -> TextIO:
    path = Path(output).expanduser()
    if path.exists() and Path(source).exists() and path.samefile(source):
        raise UserError(f"stage.output={output} is the input itself: name another file.")
    try:
        return path.open("w", encoding="utf-8")
    except OSError as error:
        raise UserError(f"stage.output={output} cannot be written: {error.strerror}.") from error
