"""What work from text to text needs of a row, and what it answers. No torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute

from noria.common.errors import UserError
from noria.data.batch.encoded import padding_id
from noria.data.batch.encoded_pairs import EncodedPairs
from noria.data.batch.tokens import cached_tokens, tokenise
from noria.data.rows.pairs import TARGETS, trivial_answers
from noria.data.rows.rows import Rows
from noria.metric.answers import Answers, objects
from noria.metric.references import REFERENCE, RESPONSE, chrf_scores
from noria.task.form import Form, Written
from noria.task.outputs import Outputs
from noria.task.requests import Given
from noria.task.seq2seq.ballot import Seq2SeqBallot
from noria.task.seq2seq.frame import around_targets, set_languages, writes_targets
from noria.task.seq2seq.reading import SourceReading
from noria.task.seq2seq.service import Seq2SeqService

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from noria.data.batch.encoded import Encoded

pc: Any = pyarrow.compute  # its functions are made when it is imported: type checkers see none


class Seq2SeqForm(Form):
    """A source text (`text`) and what it should become (`targets`): the first is learnt from, all are references.

    A source or target beyond the limit is cut there and counted.

    Args:
        prefix: stands before every source, as T5 wants it (`translate English to German: `).
        source_lang, target_lang: the languages of a tokenizer that knows several, by its own names.
        generation: the settings by which the model answers, as `Sampling` takes them.
    """

    needs = (("text", "targets"),)
    answers: ClassVar[dict[str, dict[str, str]]] = {
        "seq2seq": {"loss": "number", "tokens": "count", "reference": "texts", "response": "text"}
    }
    generated: ClassVar[tuple[str, ...]] = ("reference", "response")
    truth: ClassVar[dict[str, str]] = {
        "tokens": "cut the same targets into different tokens: losses a token of different tokenizers cannot be "
        "compared. What is measured on the texts can.",
        "reference": "have different references for the same rows.",
    }
    measured: ClassVar[dict[str, str]] = {"loss": "noria.metric.token_loss.TokenLoss"}

    def __init__(
        self,
        *,
        prefix: str = "",
        source_lang: str | None = None,
        target_lang: str | None = None,
        generation: Mapping[str, Any] | None = None,
    ) -> None:
        self.prefix, self.source_lang, self.target_lang = prefix, source_lang, target_lang
        self.generation = dict(generation or {})

    def settings(self) -> dict[str, Any]:
        names = ("prefix", "source_lang", "target_lang", "generation")
        return {name: getattr(self, name) for name in names}

    def service(self) -> Seq2SeqService:
        return Seq2SeqService()

    def ballot(self) -> Seq2SeqBallot:
        return Seq2SeqBallot()

    def right(self, table: pa.Table) -> np.ndarray:
        """chrF of each answer against its best reference, from 0 to 1."""
        if "response" not in table.column_names:
            raise UserError(
                "these predictions hold no texts: measure them with a metric of texts (metric=[bleu,chrf])."
            )
        answers = self.read(table)
        return chrf_scores(answers["response"], answers["reference"]) / 100

    def encode(
        self, rows: Rows, tokenizer: PreTrainedTokenizerBase, max_length: int, measured: bool, written: Written
    ) -> EncodedPairs:
        set_languages(tokenizer, self.source_lang, self.target_lang)
        texts = rows.table["text"]
        if self.prefix:
            texts = pc.binary_join_element_wise(self.prefix, texts, "")
        sources = cached_tokens(tokenizer, texts, None, max_length)
        targets = pc.list_element(rows.table[TARGETS], 0)
        with writes_targets(tokenizer):
            made = cached_tokens(tokenizer, targets, None, written.get("max_target_length") or max_length)
        _, after = around_targets(tokenizer)
        return EncodedPairs(sources, made, padding_id(tokenizer), after, rows.table[TARGETS])

    def contents(self, rows: Rows) -> list[Iterable[str]]:
        first = (targets[0] for targets in rows.table[TARGETS].to_pylist())
        return [rows.table["id"], rows.table["text"], first]

    def corpus(self, rows: Rows) -> Iterable[str]:
        return chain(rows.table["text"].to_pylist(), (targets[0] for targets in rows.table[TARGETS].to_pylist()))

    def decide(self, outputs: Outputs, encoded: Encoded, index: np.ndarray) -> pa.Table:
        tokens = np.asarray(outputs["tokens"])
        loss = np.asarray(outputs["loss_sum"]) / np.maximum(tokens, 1)
        columns = {"row": encoded.row[index], "loss": loss, "tokens": tokens}
        if RESPONSE in outputs:  # of a validation that generates
            assert isinstance(encoded, EncodedPairs) and encoded.references is not None
            columns[REFERENCE] = encoded.references.take(pa.array(encoded.row[index]))
            columns[RESPONSE] = pa.array(np.asarray(outputs[RESPONSE]), pa.string())
        return pa.table(columns)

    def made_up(self, encoded: Encoded) -> Outputs:
        assert isinstance(encoded, EncodedPairs)
        drawn = np.random.default_rng(0).random(len(encoded))
        return {"loss_sum": drawn * encoded.targets, "tokens": encoded.targets}

    def read(self, table: pa.Table) -> Answers:
        found = {}
        for name, content in self.contents_of().items():
            if name in table.column_names:
                values = table[name].to_pylist()
                found[name] = objects(values) if content in ("text", "texts") else np.asarray(table[name])
        return Answers(found)

    def asked(self, rows: Rows) -> list[tuple[Any, Any]]:
        return [({"text": row["text"]}, row[TARGETS]) for row in rows.table.select(["text", TARGETS]).to_pylist()]

    def trivial(self, rows: Rows, written: Written) -> dict[str, list[str]]:
        return trivial_answers(rows, written["trivial"])

    def shown(self, predictions: pa.Table, rows: Rows) -> dict[str, list[Any]]:
        text = dict(zip(rows.ids, rows.texts, strict=True))
        found = {"id": predictions["id"].to_pylist(), "split": predictions["split"].to_pylist()}
        found["text"] = [text[id] for id in found["id"]]
        if "response" in predictions.column_names:
            found["reference"] = [" | ".join(texts) for texts in predictions["reference"].to_pylist()]
            found["response"] = predictions["response"].to_pylist()
        return found | {"loss": predictions["loss"].to_pylist()}

    def reading(self, given: Given) -> SourceReading:
        return SourceReading(given)

    def encode_requests(
        self, requests: Sequence[Any], tokenizer: PreTrainedTokenizerBase, max_length: int
    ) -> EncodedPairs:
        set_languages(tokenizer, self.source_lang, self.target_lang)
        texts = [self.prefix + request["text"] for request in requests]
        tokens = tokenise(tokenizer, texts, None, max_length)
        return EncodedPairs(tokens, None, padding_id(tokenizer))

    def prompts(self, rows: Rows, count: int) -> list[tuple[Any, str]]:
        few = Rows(rows.table.slice(0, count), rows.where)
        return [(request, targets[0]) for request, targets in self.asked(few)]
