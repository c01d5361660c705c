"""Pairs of texts as conversations of one question and its answer, and inputs that ask such questions. No torch."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pyarrow as pa

from noria.data.rows.mapped import CHUNK, gather
from noria.data.rows.pairs import TARGETS, texts_in
from noria.data.rows.rows import Rows
from noria.data.source.inputs import read_inputs
from noria.task.requests import Given, own_fields, refuse_texts


def as_chats(rows: Rows, prefix: str) -> Rows:
    """Rows with a source `text` and `targets` as rows with `messages` too: the text is asked, the first target answers.

    Args:
        prefix: stands before the text, such as what is to be done with it.
    """
    schema = pa.schema([*rows.table.schema, ("messages", pa.string()), ("tools", pa.string())])

    def batches() -> Iterator[pa.RecordBatch]:
        for batch in rows.table.to_batches(max_chunksize=CHUNK):
            both = zip(batch["text"].to_pylist(), batch[TARGETS].to_pylist(), strict=True)
            chats = [json.dumps([*asked(text, prefix), said(targets[0])], ensure_ascii=False) for text, targets in both]
            columns = [*batch.columns, pa.array(chats, pa.string()), pa.nulls(len(batch), pa.string())]
            yield pa.record_batch(columns, schema=schema)

    return replace(rows, table=gather(schema, batches()))


def asked(text: str, prefix: str) -> list[dict[str, str]]:
    """A text as what a user asks."""
    return [{"role": "user", "content": prefix + text}]


def said(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


class PairReading:
    """Rows with a text. A request is a conversation that asks it, as the model has learnt."""

    taken = ("response", "score", "responses", "error")

    def __init__(self, given: Given, prefix: str) -> None:
        self._given, self._prefix = given, prefix
        self._name = given.text if isinstance(given.text, str) else str(given.data.get("source") or "text")

    def rows(self) -> Iterator[dict[str, Any]]:
        return read_inputs(self._given.source, [self._name], self._given.quoted, words=True)

    def request(self, row: dict[str, Any]) -> list[dict[str, str]]:
        text = " ".join(texts_in(row[self._name], self._name, "the input"))
        refuse_texts([text])
        return asked(text, self._prefix)

    def line(self, row: dict[str, Any], answer: Mapping[str, Any]) -> dict[str, Any]:
        return {**own_fields(row, self.taken), **answer}
