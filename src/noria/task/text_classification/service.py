"""A served text classifier: texts in, labels out, labels as corrections."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from noria.common.errors import UserError
from noria.feedback.text import LABEL_LIMIT, storable
from noria.task.service import INK, TEXT, Schema, Service, checked_text, listed

if TYPE_CHECKING:
    from noria.task.text_classification.form import TextClassificationForm

PAIR = "\t"  # between the two texts of a pair, as in the lines that stage=predict reads
TEXTS = {**TEXT, "pattern": rf"^[^\u0000\t]*{INK}[^\u0000\t]*\t[^\u0000\t]*{INK}[^\u0000\t]*$"}


class TextClassificationService(Service):
    """A request is `{"text": …}`, of a pair with `text_pair`; an answer has `label` and `probabilities` by label.

    A label is a name, a list of names where a text may have several, or the number of a regression; a correction is
    one too.
    """

    pieces: ClassVar[tuple[Path, ...]] = (Path(__file__).parent / "page.html",)

    def __init__(self, form: TextClassificationForm) -> None:
        self._form = form

    def check(self) -> None:
        labels = self._form.labels
        if not all(labels):
            raise UserError("it has a label without a name: the answers could not be told apart.")
        if odd := [label for label in labels if storable(label) != label]:
            raise UserError(f"the label {odd[0]!a} holds what no JSON and no database can hold.")
        several = self._form.kind == "multi_label"
        longest = len(json.dumps(labels, ensure_ascii=False)) if several else max(map(len, labels), default=0)
        if longest > LABEL_LIMIT:
            what = "all its labels together have" if several else "one of its labels has"
            raise UserError(
                f"{what} {longest:,} characters, and an answer of at most {LABEL_LIMIT:,} is kept. Train it with "
                "shorter names."
            )

    def described(self) -> dict[str, Any]:
        return {"kind": self._form.kind, "labels": list(self._form.labels), "pairs": self._form.texts > 1}

    def request_schema(self) -> Schema:
        return TEXTS if self._form.texts > 1 else TEXT

    def answer_schema(self) -> Schema:
        names = {"type": "string"}
        label = {"oneOf": [names, {"type": "array", "items": names}, {"type": "number"}]}
        shares = {"type": "object", "additionalProperties": {"type": "number"}}
        return {
            "label": {**label, "description": "a name; several names; or a regression's number"},
            "probabilities": {**shares, "description": "by label; empty for a regression"},
        }

    def correction_schema(self, named: bool) -> Schema:
        if self._form.kind == "regression":
            return {"type": "number"}
        label: Schema = {"enum": list(self._form.labels)} if named else {"type": "string"}
        return {"type": "array", "items": label} if self._form.kind == "multi_label" else label

    def examples(self) -> list[str]:
        texts = ["a fine film", "Fine.", "A text of some more words, as they come.", " ".join(["word"] * 600)]
        return ["one text\tanother text", *(f"{text}{PAIR}{text}" for text in texts)] if self._form.texts > 1 else texts

    def request(self, given: Any, name: str) -> dict[str, Any]:
        text = checked_text(given, name)
        if self._form.texts == 1:
            return {"text": text}
        first, *others = text.split(PAIR)
        if len(others) != 1 or not first.strip() or not others[0].strip():
            raise UserError(f"{name}: this model reads pairs of texts: put one tab (\\t) between the two.")
        return {"text": first, "text_pair": others[0]}

    def answer(self, reply: dict[str, Any]) -> dict[str, Any]:
        return {"label": reply["prediction"], "probabilities": reply.get("probabilities", {})}

    def correction(self, given: Any) -> Any:
        labels = list(self._form.labels)
        if self._form.kind == "regression":
            number = _number(given)
            if number is None:
                raise UserError("label must be a number: that is what this model gives.")
            return number
        if self._form.kind == "multi_label":
            names = set(labels)  # a body may hold a million names
            if not isinstance(given, list) or not all(isinstance(name, str) and name in names for name in given):
                raise UserError(f"label must be a list of the model's labels: {listed(labels)}.")
            said = set(given)
            return [name for name in labels if name in said]
        if given not in labels:
            raise UserError(f"label must be one of the model's: {listed(labels)}.")
        return given

    def judged(
        self, request: dict[str, Any] | None, answer: dict[str, Any], correct: bool, correction: Any
    ) -> tuple[bool, Any]:
        if correction is not None:
            return (True, None) if answer["label"] == correction else (False, correction)
        if correct:
            return True, None
        # Of two labels it is the other one. With several labels a text the answer is a list, and any other list may be.
        names = list(answer["probabilities"])
        others = [name for name in names if name != answer["label"]]
        return False, others[0] if len(others) == 1 and answer["label"] in names else None

    def text(self, request: dict[str, Any]) -> str:
        return PAIR.join(request[name] for name in ("text", "text_pair") if name in request)

    def group(self, answer: dict[str, Any]) -> str:
        return label_text(answer["label"])


def label_text(label: Any) -> str:
    """A label as one text: a name as it is, several names or a number as JSON."""
    return label if isinstance(label, str) else json.dumps(label, ensure_ascii=False)


def _number(given: Any) -> float | None:
    """A finite number; None for anything else, also for a whole number that no float can be."""
    if isinstance(given, bool) or not isinstance(given, int | float):
        return None
    try:
        return float(given) if math.isfinite(given) else None
    except OverflowError:
        return None
