"""One version that answers texts. Knows nothing of requests."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from noria.artifact import bundle
from noria.common.errors import UserError
from noria.data.batch.encoded import Encoded, encode_texts
from noria.data.batch.tokens import length_limit
from noria.feedback.text import LABEL_LIMIT, storable
from noria.inference.runner import Runner
from noria.serving.source import Named

WARM_UP = ["Fine.", "A text of some more words, as they come.", " ".join(["word"] * 600)]
PAIR = "\t"  # between the two texts of a pair, as in the lines that stage=predict reads


@dataclass(frozen=True)
class Answer:
    """What a model says of a text.

    Args:
        label: a name; a list of names where a text may have several; a number of a regression.
        probabilities: by label; of a regression none.
        truncated: the text was cut, as in evaluation, to the longest that the model reads.
    """

    label: str | list[str] | float
    probabilities: dict[str, float]
    truncated: bool

    @property
    def is_sound(self) -> bool:
        """Whether all its numbers are finite."""
        numbers = self.probabilities.values() or [self.label]
        return all(isinstance(number, float) and math.isfinite(number) for number in numbers)


@dataclass(frozen=True)
class Description:
    """What a client needs to know of a version."""

    kind: str
    labels: list[str]
    max_length: int
    pairs: bool


def describe(facts: Mapping[str, Any], named: Named) -> Description:
    """Reads it from what `noria.yaml` says.

    Raises:
        UserError: a model that is not served, or whose answers could not be kept.
    """
    form = bundle.open_kind(named.folder, dict(facts)).form
    if not form.served:
        raise UserError(
            f"artifact={named.folder} is a language model: stage=serve serves classifiers and regressions. "
            "stage=predict answers prompts."
        )
    kind, labels = str(form.settings()["kind"]), list(form.labels)
    if not all(labels):
        raise UserError(f"artifact={named.folder} has a label without a name: the answers could not be told apart.")
    if odd := [label for label in labels if storable(label) != label]:
        raise UserError(f"artifact={named.folder}: the label {odd[0]!a} holds what no JSON and no database can hold.")
    longest = as_text(labels) if kind == "multi_label" else max(labels, key=len, default="")
    if len(longest) > LABEL_LIMIT:
        what = "all its labels together have" if kind == "multi_label" else "one of its labels has"
        raise UserError(
            f"artifact={named.folder}: {what} {len(longest):,} characters, and an answer of at most {LABEL_LIMIT:,} is "
            "kept. Train it with shorter names."
        )
    return Description(kind, labels, int(facts["max_length"]), form.settings()["texts"] > 1)


def as_text(label: Any) -> str:
    """A label as the store keeps it: a name as it is, several names or a number as JSON."""
    return label if isinstance(label, str) else json.dumps(label, ensure_ascii=False)


class Model:
    """A version that is opened and has answered a few texts.

    Args:
        precision: a name of Lightning's.
        batch_size: how many texts at once.

    Raises:
        UserError: it cannot be opened, is not served, or answers nonsense.
    """

    def __init__(self, named: Named, precision: str, device: torch.device, batch_size: int) -> None:
        self.named = named
        self.description = describe(bundle.read_facts(named.folder), named)
        self._artifact = bundle.open_artifact(named.folder)
        self._runner = Runner(self._artifact, precision, device)
        self._batch_size = batch_size
        self._warm_up()

    def answer(self, texts: list[str]) -> list[Answer]:
        """An answer to each text; a pair is one text with a tab in it."""
        firsts, seconds = texts, None
        if self.description.pairs:
            split = [text.partition(PAIR) for text in texts]
            firsts, seconds = [first for first, _, _ in split], [second for _, _, second in split]
        texts_of = [firsts] if seconds is None else [firsts, seconds]
        requests = [dict(zip(("text", "text_pair"), each, strict=False)) for each in zip(*texts_of, strict=True)]
        encoded = self._runner.encoded(requests)
        replies = self._runner.form.replies(self._runner.outputs(encoded, self._batch_size), encoded)
        cut = self._cut(encoded, firsts, seconds)
        return [
            Answer(reply.get("prediction", math.nan), reply.get("probabilities", {}), is_cut)
            for reply, is_cut in zip(replies, cut, strict=True)
        ]

    def _cut(self, encoded: Encoded, firsts: list[str], seconds: list[str] | None) -> list[bool]:
        """Which texts were cut. Tokens count them all together: a doubtful one is looked at alone."""
        limit = length_limit(self._artifact.tokenizer, self.description.max_length)
        full = (encoded.lengths >= limit).tolist()
        if encoded.tokens.truncated in (0, sum(full)):
            return [is_full and encoded.tokens.truncated > 0 for is_full in full]

        def alone(row: int) -> bool:
            pair = None if seconds is None else [seconds[row]]
            again = encode_texts(self._artifact.tokenizer, [firsts[row]], pair, self.description.max_length)
            return again.tokens.truncated > 0

        return [is_full and alone(row) for row, is_full in enumerate(full)]

    def _warm_up(self) -> None:
        texts = [f"{text}{PAIR}{text}" for text in WARM_UP] if self.description.pairs else WARM_UP
        for answer in [*self.answer(texts), *self.answer(texts[:1])]:
            if not answer.is_sound:
                numbers: list[Any] = list(answer.probabilities.values()) or [answer.label]
                raise UserError(f"{self.named.folder} answers {numbers}: its weights are no good.")
