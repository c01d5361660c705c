"""Corrections of a text classifier as votes on what the label of a text is, and the rows that come of them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat
from typing import Any

import pyarrow as pa

from noria.data.rows.rows import Rows
from noria.data.rows.split import normalise
from noria.data.source.votes import Believed

TAB = "\t"


class TextClassificationBallot:
    """Votes for one label a text, or a pair of texts.

    Args:
        choices: the labels that can be believed.
        pairs: whether rows are pairs of texts.
    """

    several_right = False

    def __init__(self, choices: Sequence[str], pairs: bool) -> None:
        self.choices: Sequence[str] | None = choices
        self._pairs = pairs

    def read(self, request: dict[str, Any] | None) -> tuple[dict[str, Any], str | None]:
        """A kept request as rows of this data have it, and why it cannot be learnt from; None where it can.

        Stores of before had one column for both texts of a pair, with a tab between them.
        """
        first, second = ((request or {}).get(name) for name in ("text", "text_pair"))
        if self._pairs and first and second is None and first.count(TAB) == 1:
            first, _, second = first.partition(TAB)
        found = {"text": first} if second is None else {"text": first, "text_pair": second}
        if not first:
            return found, "no_text"
        if self._pairs != (second is not None):  # of a model that read pairs, in the store of one that does not, or so
            return found, "no_second_text" if self._pairs else "second_text"
        return found, None

    def place(self, request: dict[str, Any]) -> str:
        """What tells texts apart, or pairs of texts: small differences in how they are written do not."""
        return "\0".join(normalise(request[name]) for name in ("text", "text_pair") if name in request)

    def vote(self, request: dict[str, Any], answer: dict[str, Any], correct: bool, correction: Any) -> tuple[str, bool]:
        """The label that a client names, and whether all it says is that it is not this one."""
        if correct:
            return str(answer["label"]), False
        return (str(answer["label"]), True) if correction is None else (str(correction), False)

    def requests(self, rows: Rows) -> list[dict[str, Any]]:
        """Rows of data as requests."""
        seconds = rows.pairs if rows.pairs is not None else repeat(None)
        both = zip(rows.texts, seconds, strict=False)
        return [{"text": a} if b is None else {"text": a, "text_pair": b} for a, b in both]

    def known(self, rows: Rows) -> list[str]:
        """The labels of rows of data."""
        return [str(label) for label in rows.table["label"].to_pylist()]

    def rows(self, believed: Sequence[Believed]) -> dict[str, pa.Array]:
        """The columns of the rows that can be learnt from."""
        names = ("text", "text_pair") if self._pairs else ("text",)
        columns = {name: pa.array([one.request[name] for one in believed], pa.string()) for name in names}
        return {**columns, "label": pa.array([one.label for one in believed], pa.string())}
