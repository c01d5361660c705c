"""What a language model needs of a row: plain text, or a conversation of which the answers are learnt. No torch."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pyarrow as pa

from noria.common.errors import UserError
from noria.data.batch.encoded import Encoded, padding_id
from noria.data.batch.encoded_text import EncodedText
from noria.data.batch.tokens import cached_tokens, length_limit
from noria.data.chat.chat import ends_turns
from noria.data.chat.written import written as written_chats
from noria.data.rows.mapped import pieces
from noria.data.rows.pairs import TARGETS, trivial_answers
from noria.data.rows.rows import Rows
from noria.metric.answers import Answers, objects
from noria.task.causal_lm.pairs import PairReading, as_chats
from noria.task.causal_lm.passages import encode_passages
from noria.task.causal_lm.reading import PromptReading
from noria.task.form import Form, Written
from noria.task.outputs import Outputs
from noria.task.requests import Given
from noria.task.service import Service

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

log = logging.getLogger(__name__)

BEGINNING = 200  # characters of a passage that a decoder is shown to go on from
CUT_OFF = "answer_beyond_max_length"


class CausalLMForm(Form):
    """Passages of documents (`text`, `last`), every token of which is a target, or conversations (`messages`, `tools`),
    of which the assistant's answers are.

    A conversation is cut at `max_length` tokens; one of which no answer is left then is left out and counted. Pairs of
    a source text and its targets (`text`, `targets`) are conversations of one question.

    Args:
        prefix: stands before the source of a pair.
        pairs: the model has learnt from pairs.
    """

    needs = (("text", "last"), ("messages", "tools"), ("text", "targets"))
    answers: ClassVar[dict[str, dict[str, str]]] = {
        "causal_lm": {
            "loss": "number",
            "tokens": "count",
            "text_loss": "number",
            "bytes": "count",
            "words": "count",
            "reference": "texts",
            "response": "text",
        }
    }

    generated: ClassVar[tuple[str, ...]] = ("reference", "response")
    truth: ClassVar[dict[str, str]] = {
        "tokens": "cut the same texts into different tokens or windows: losses a token of different tokenizers cannot "
        "be compared. Bits per byte can, in their records.",
        "reference": "have different references for the same rows.",
    }
    measured: ClassVar[dict[str, str]] = {
        "loss": "noria.metric.token_loss.TokenLoss",
        "bits_per_byte": "noria.metric.bits_per_byte.BitsPerByte",
        "word_perplexity": "noria.metric.word_perplexity.WordPerplexity",
    }

    def service(self) -> Service:
        raise UserError(
            "it is a language model: stage=serve serves classifiers and regressions. stage=predict answers prompts."
        )

    def __init__(self, *, prefix: str = "", pairs: bool = False) -> None:
        self.prefix, self.pairs = prefix, pairs

    def settings(self) -> dict[str, Any]:
        return {"prefix": self.prefix, "pairs": self.pairs}

    def clean(self, given: dict[str, Rows], written: Written) -> dict[str, Rows]:
        self.pairs = self.pairs or TARGETS in given["train"].table.column_names
        return {
            name: as_chats(rows, self.prefix) if TARGETS in rows.table.column_names else rows
            for name, rows in given.items()
        }

    def encode(
        self, rows: Rows, tokenizer: PreTrainedTokenizerBase, max_length: int, measured: bool, written: Written
    ) -> EncodedText:
        if "messages" in rows.table.column_names:
            return _encode_chats(rows, tokenizer, max_length, measured, written.get("chat_template"))
        encoded = encode_passages(rows, tokenizer, max_length, measured, written.get("stride"))
        if not len(encoded):
            raise UserError(f"{rows.where} has no two tokens in a row to learn from.")
        return encoded

    def contents(self, rows: Rows) -> list[Iterable[str]]:
        if "messages" in rows.table.column_names:
            tools = rows.table["tools"].to_pylist()
            return [rows.table["id"], rows.table["messages"], *([tools] if any(tools) else [])]
        lasts = (str(last) for piece in pieces(rows.table["last"]) for last in piece.to_pylist())
        return [rows.table["id"], rows.table["text"], lasts]

    def corpus(self, rows: Rows) -> Iterable[str]:
        if "messages" not in rows.table.column_names:
            return super().corpus(rows)
        chats = (json.loads(messages) for messages in rows.table["messages"].to_pylist())
        return (str(message.get("content") or "") for chat in chats for message in chat)

    def decide(self, outputs: Outputs, encoded: Encoded, index: np.ndarray) -> pa.Table:
        """One line a window, or where windows overlap a row, for only rows are then independent of each other."""
        assert isinstance(encoded, EncodedText)
        rows, found = encoded.row[index], {name: np.asarray(values) for name, values in outputs.items()}
        if encoded.bytes is not None and encoded.words is not None:
            found |= {"bytes": encoded.bytes[index], "words": encoded.words[index]}
        if encoded.overlaps:
            rows, place = np.unique(rows, return_inverse=True)
            found = {name: np.bincount(place, values).astype(values.dtype) for name, values in found.items()}
        columns: dict[str, Any] = {"row": rows, "loss": found["loss_sum"] / found["tokens"], "tokens": found["tokens"]}
        return pa.table(columns | {name: found[name] for name in ("text_loss", "bytes", "words") if name in found})

    def made_up(self, encoded: Encoded) -> Outputs:
        assert isinstance(encoded, EncodedText)
        drawn = np.random.default_rng(0).random(len(encoded))
        return {"loss_sum": drawn * encoded.targets, "tokens": encoded.targets, "text_loss": drawn}

    def read(self, table: pa.Table) -> Answers:
        found = {}
        for name, content in self.contents_of().items():
            if name in table.column_names:
                found[name] = (
                    objects(table[name].to_pylist()) if content in ("text", "texts") else np.asarray(table[name])
                )
        return Answers(found)

    def reading(self, given: Given) -> PromptReading | PairReading:
        return PairReading(given, self.prefix) if self.pairs else PromptReading(given)

    def asked(self, rows: Rows) -> list[tuple[Any, Any]]:
        """Of each conversation the last answer, asked for by what stands before it."""
        if "messages" not in rows.table.column_names:
            return []
        prompts = self.prompts(rows, len(rows))
        if TARGETS not in rows.table.column_names:
            return [(prompt, [right]) for prompt, right in prompts]
        return [(prompt, right) for (prompt, _), right in zip(prompts, rows.table[TARGETS].to_pylist(), strict=True)]

    def trivial(self, rows: Rows, written: Written) -> dict[str, list[str]]:
        return trivial_answers(rows, written["trivial"]) if "trivial" in written else {}

    def prompts(self, rows: Rows, count: int) -> list[tuple[Any, str]]:
        if "messages" not in rows.table.column_names:
            texts = rows.table["text"].slice(0, count).to_pylist()
            return [(text[:BEGINNING], text[BEGINNING : 2 * BEGINNING]) for text in texts if len(text) > BEGINNING]
        found: list[tuple[Any, str]] = []
        for row in rows.table.slice(0, count).select(["messages", "tools"]).to_pylist():
            *messages, last = json.loads(row["messages"])
            prompt = {"messages": messages, "tools": json.loads(row["tools"])} if row["tools"] else messages
            found.append((prompt, last["content"]))
        return found


def _encode_chats(
    rows: Rows, tokenizer: PreTrainedTokenizerBase, max_length: int, measured: bool, template: str | None
) -> EncodedText:
    texts, answers = written_chats(rows, tokenizer, template)
    if not ends_turns(tokenizer, texts[0], answers[0]):
        log.warning("The chat template ends an answer without a special token: a model will not learn to stop.")
    tokens = cached_tokens(tokenizer, texts, None, None, spans=answers, special=False, sized=measured)
    limit = length_limit(tokenizer, max_length)
    encoded = EncodedText(tokens, padding_id(tokenizer), limit, first=True, reason=CUT_OFF)
    if not len(encoded):
        raise UserError(f"{rows.where}: no answer begins within {limit} tokens. Raise data.max_length.")
    return encoded
