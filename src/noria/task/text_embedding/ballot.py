"""What users of a search say is the right document, as votes, and the pairs that come of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from noria.data.rows.pairs import NEGATIVES
from noria.data.rows.rows import Rows
from noria.data.rows.split import normalise
from noria.data.source.votes import Believed


class TextEmbeddingBallot:
    """Votes for one document as what a query looks for: "this one" names a hit, "not that one" is against the first.

    A document is told by the passage that was found of it, which is what stands beside the query in the pairs. One that
    was refused and that nobody has named stands there as a negative.
    """

    choices: Sequence[str] | None = None
    several_right = True  # a query may have several documents

    def read(self, request: dict[str, Any] | None) -> tuple[dict[str, Any], str | None]:
        text = (request or {}).get("text")
        return ({"text": text}, None) if text else ({}, "no_text")

    def place(self, request: dict[str, Any]) -> str:
        return normalise(request["text"])

    def vote(
        self, request: dict[str, Any], answer: dict[str, Any], correct: bool, correction: Any
    ) -> tuple[str, bool] | None:
        hits = answer.get("hits") or ()
        named = correction if not correct and correction is not None else None
        hit = next((one for one in hits if named in (None, one["id"])), None)
        if hit is None or not hit["passage"].strip():
            return None
        return hit["passage"], not correct and correction is None

    def requests(self, rows: Rows) -> list[dict[str, Any]]:
        return [{"text": text} for text in rows.texts]

    def known(self, rows: Rows) -> list[str | None]:
        return list(rows.pairs or [])

    def rows(self, believed: Sequence[Believed]) -> dict[str, pa.Array]:
        return {
            "text": pa.array([one.request["text"] for one in believed], pa.string()),
            "text_pair": pa.array([one.label for one in believed], pa.string()),
            NEGATIVES: pa.array([one.refused for one in believed], pa.list_(pa.string())),
        }
