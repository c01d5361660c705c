"""Corrections of answers as votes on what the answer to a text is, and the rows that come of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from noria.data.rows.pairs import TARGETS
from noria.data.rows.rows import Rows
from noria.data.rows.split import normalise
from noria.data.source.votes import Believed


class Seq2SeqBallot:
    """Votes for one text as the answer to another. Runs of blanks in it are one blank."""

    choices: Sequence[str] | None = None
    several_right = True

    def read(self, request: dict[str, Any] | None) -> tuple[dict[str, Any], str | None]:
        text = (request or {}).get("text")
        return ({"text": text}, None) if text else ({}, "no_text")

    def place(self, request: dict[str, Any]) -> str:
        return normalise(request["text"])

    def vote(
        self, request: dict[str, Any], answer: dict[str, Any], correct: bool, correction: Any
    ) -> tuple[str, bool] | None:
        said = answer["response"] if correct or correction is None else correction
        text = " ".join(str(said).split())
        return (text, not correct and correction is None) if text else None

    def requests(self, rows: Rows) -> list[dict[str, Any]]:
        return [{"text": text} for text in rows.texts]

    def known(self, rows: Rows) -> list[str | None]:
        return [" ".join(targets[0].split()) for targets in rows.table[TARGETS].to_pylist()]

    def rows(self, believed: Sequence[Believed]) -> dict[str, pa.Array]:
        return {
            "text": pa.array([one.request["text"] for one in believed], pa.string()),
            TARGETS: pa.array([[one.label] for one in believed], pa.list_(pa.string())),
        }
