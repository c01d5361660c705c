"""What making vectors of texts needs of a row, and what is measured of them. No torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute

from noria.common.errors import UserError
from noria.data.batch.encoded import Encoded, padding_id
from noria.data.batch.tokens import cached_tokens, tokenise
from noria.data.rows.pairs import NEGATIVES
from noria.data.rows.rows import Rows
from noria.metric.answers import Answers, objects
from noria.metric.mrr import MRR
from noria.task.form import Form, Written
from noria.task.outputs import Outputs
from noria.task.requests import NO_NUMBER, Given
from noria.task.text_embedding.ballot import TextEmbeddingBallot
from noria.task.text_embedding.encoded import EncodedTexts, text_numbers
from noria.task.text_embedding.ranking import ranked
from noria.task.text_embedding.reading import TextEmbeddingReading

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

pc: Any = pyarrow.compute  # its functions are made when it is imported: type checkers see none

LOSSES = {"retrieval": ("in_batch", "triplet"), "similarity": ("cosent", "squared")}
LEAST = 8  # width of vectors that are made up


class TextEmbeddingForm(Form):
    """Queries (`text`) with their documents (`text_pair`) and maybe `negatives`; or pairs of texts with a number.

    A query is measured against all documents of its split: how many are nearer to it than those that are right for it.
    A similarity is the cosine of two texts.

    Args:
        kind, pooling, query_prompt, document_prompt, loss, temperature, margin: as `TextEmbedding` takes them.
        scale: the lowest and the highest number of the training rows, which become cosines 0 and 1; none yet.

    Raises:
        UserError: a loss of the other kind.
    """

    needs = (("text", "label"), ("text", "text_pair", "negatives"))
    answers: ClassVar[dict[str, dict[str, str]]] = {
        "retrieval": {"grades": "ranks", "above": "ranks", "tied": "ranks", "loss": "number"},
        "similarity": {"label": "number", "prediction": "number", "loss": "number"},
    }
    makes_vectors: ClassVar[bool] = True
    heard: ClassVar[tuple[str, ...]] = ("noria.index.form.SearchForm",)
    truth: ClassVar[dict[str, str]] = {
        "label": "have different numbers for the same pairs.",
        "grades": "have different documents for the same queries.",
    }

    def __init__(
        self,
        *,
        kind: Literal["retrieval", "similarity"] = "retrieval",
        pooling: Literal["mean", "first", "last"] = "mean",
        query_prompt: str = "",
        document_prompt: str = "",
        loss: str = "auto",
        temperature: float = 0.05,
        margin: float = 0.2,
        scale: Sequence[float] = (),
    ) -> None:
        if kind not in LOSSES:
            raise UserError(f"its kind is '{kind}', and should be one of {', '.join(LOSSES)}.")
        self.kind, self.pooling = kind, pooling
        self.query_prompt, self.document_prompt = query_prompt, document_prompt
        self.loss = LOSSES[kind][0] if loss == "auto" else loss
        self.temperature, self.margin = temperature, margin
        self.scale = [float(one) for one in scale]
        if self.loss not in LOSSES[kind]:
            raise UserError(f"task.loss={loss} is none of task.kind={kind}: take {' or '.join(LOSSES[kind])}.")

    def settings(self) -> dict[str, Any]:
        names = ("kind", "pooling", "query_prompt", "document_prompt", "loss", "temperature", "margin", "scale")
        return {name: getattr(self, name) for name in names}

    def contents_of(self) -> dict[str, str]:
        return self.answers[self.kind]

    def clean(self, given: dict[str, Rows], written: Written) -> dict[str, Rows]:
        needed = "label" if self.kind == "similarity" else NEGATIVES
        for rows in given.values():
            if needed not in rows.table.column_names or rows.pairs is None:
                way = (
                    "pairs of texts with a number: data=table data.text=[a,b] data.label=score"
                    if self.kind == "similarity"
                    else "queries with documents: data=pairs"
                )
                raise UserError(f"{rows.where}: task.kind={self.kind} learns from {way}.")
        return {split: _with_numbers(rows) for split, rows in given.items()} if needed == "label" else given

    def settle(self, train: Rows, written: Written) -> None:
        if self.kind == "similarity" and not self.scale:
            found = pc.min_max(train.table["label"]).as_py()
            if not found["min"] < found["max"]:
                raise UserError(
                    f"{train.where}: every pair has the number {found['min']}, so there is nothing to learn."
                )
            self.scale = [found["min"], found["max"]]

    def check(self, rows: Rows) -> None:
        if self.kind == "similarity":
            return
        without = pc.sum(pc.equal(pc.list_value_length(rows.table[NEGATIVES]), 0)).as_py()
        if self.loss == "triplet" and without:
            raise UserError(
                f"{rows.where}: task.loss=triplet needs negatives, and {without:,} of {len(rows):,} rows have none: "
                "name their column (data.negatives), or take task.loss=in_batch, which needs none."
            )

    def encode(
        self, rows: Rows, tokenizer: PreTrainedTokenizerBase, max_length: int, measured: bool, written: Written
    ) -> EncodedTexts:
        joined = [pc.binary_join_element_wise(self._prompt(n), one, "") for n, one in enumerate(_texts(rows))]
        columns = [pc.fill_null(one, "") for one in joined]
        parts = [cached_tokens(tokenizer, column, None, max_length) for column in columns]
        numbers = np.stack([text_numbers(column.to_pylist()) for column in _texts(rows)], axis=1)
        targets = None
        if self.kind == "similarity":
            targets = self._scaled(np.asarray(rows.table["label"], np.float64)).astype(np.float32)
        return EncodedTexts(parts, numbers, targets, padding_id(tokenizer), int(tokenizer.pad_token_type_id))

    def contents(self, rows: Rows) -> list[Iterable[str]]:
        last = map(str, rows.table["label"].to_pylist()) if self.kind == "similarity" else ()
        return [rows.table["id"], *(pc.fill_null(column, "").to_pylist() for column in _texts(rows)), last]

    def decide(self, outputs: Outputs, encoded: Encoded, index: np.ndarray) -> pa.Table:
        assert isinstance(encoded, EncodedTexts)
        vectors = np.asarray(outputs["vectors"])
        columns: dict[str, Any] = {"row": encoded.row[index]}
        if self.kind == "similarity":
            cosines = _cosines(vectors)
            columns["prediction"] = cosines
            if encoded.targets is not None:
                wanted = encoded.targets[index].astype(np.float64)
                low, high = self.scale
                columns |= {"label": low + wanted * (high - low), "loss": (cosines - wanted) ** 2}
            return pa.table(columns)
        found = ranked(vectors, encoded.texts[index], self.temperature)
        lists = {name: pa.array(getattr(found, name)) for name in ("grades", "above", "tied")}
        return pa.table({**columns, **lists, "loss": found.loss})

    def made_up(self, encoded: Encoded) -> Outputs:
        assert isinstance(encoded, EncodedTexts)
        drawn = np.random.default_rng(0).normal(size=(*encoded.texts.shape, LEAST)).astype(np.float32)
        return {"vectors": drawn / np.linalg.norm(drawn, axis=-1, keepdims=True)}

    def read(self, table: pa.Table) -> Answers:
        found: dict[str, np.ndarray] = {}
        for name, content in self.contents_of().items():
            if name in table.column_names:
                found[name] = objects(table[name].to_pylist()) if content == "ranks" else np.asarray(table[name])
        return Answers(found)

    def right(self, table: pa.Table) -> np.ndarray:
        """How soon the first document comes that is right for each query: 1 over its rank."""
        if self.kind != "retrieval":
            return super().right(table)
        return MRR(k=None).features(self.read(table))[:, 0]

    def ballot(self) -> TextEmbeddingBallot:
        if self.kind != "retrieval":
            raise UserError("data=feedback learns from what users of a search say: task.kind=retrieval.")
        return TextEmbeddingBallot()

    def reading(self, given: Given) -> TextEmbeddingReading:
        return TextEmbeddingReading(given, self.kind == "similarity")

    def encode_requests(
        self, requests: Sequence[Mapping[str, Any]], tokenizer: PreTrainedTokenizerBase, max_length: int
    ) -> EncodedTexts:
        """A request with `as: query` is one; of a retrieval any other is a document."""
        names = ("text", "text_pair") if self.kind == "similarity" and "text_pair" in requests[0] else ("text",)
        prompts = [self._prompt(0 if self.kind == "similarity" or one.get("as") == "query" else 1) for one in requests]
        texts = [[request[name] for request in requests] for name in names]
        parts = [
            tokenise(tokenizer, [a + b for a, b in zip(prompts, column, strict=True)], None, max_length)
            for column in texts
        ]
        numbers = np.stack([text_numbers(column) for column in texts], axis=1)
        return EncodedTexts(parts, numbers, None, padding_id(tokenizer), int(tokenizer.pad_token_type_id))

    def replies(self, outputs: Outputs, encoded: Encoded) -> list[dict[str, Any]]:
        vectors = np.asarray(outputs["vectors"])
        whole = np.isfinite(vectors).all(axis=(1, 2)).tolist()
        if vectors.shape[1] > 1:
            found: list[dict[str, Any]] = [{"prediction": round(float(one), 6)} for one in _cosines(vectors)]
        else:
            found = [{"embedding": vector[0].astype(float).round(6).tolist()} for vector in vectors]
        return [one if fine else {"error": NO_NUMBER} for one, fine in zip(found, whole, strict=True)]

    def _prompt(self, part: int) -> str:
        return self.document_prompt if part and self.kind == "retrieval" else self.query_prompt

    def _scaled(self, numbers: np.ndarray) -> np.ndarray:
        low, high = self.scale
        return (numbers - low) / (high - low)


def _texts(rows: Rows) -> list[pa.ChunkedArray]:
    """The first texts of all rows, the second ones, then those that are wrong, null where a row has no more of them."""
    found = [rows.table["text"], rows.table["text_pair"]]
    if NEGATIVES in rows.table.column_names and len(rows):
        lists = rows.table[NEGATIVES]
        if most := pc.max(pc.list_value_length(lists)).as_py():
            lists = pc.list_slice(lists, 0, most, return_fixed_size_list=True)
            found += [pc.list_element(lists, place) for place in range(most)]
    return found


def _cosines(vectors: np.ndarray) -> np.ndarray:
    found: np.ndarray = (vectors[:, 0] * vectors[:, 1]).sum(-1, dtype=np.float64)
    return found


def _with_numbers(rows: Rows) -> Rows:
    """The rows with numbers as labels.

    Raises:
        UserError: a label is none, or not finite.
    """
    try:
        numbers = pc.cast(rows.table["label"], pa.float64())
    except pa.ArrowInvalid as error:
        raise UserError(f"{rows.where}: a label is no number ({error}).") from None
    if not pc.all(pc.is_finite(numbers)).as_py():
        raise UserError(f"{rows.where}: a label is no finite number.")
    return rows.with_labels(numbers)
