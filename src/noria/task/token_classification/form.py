"""What tagging words needs of a row, and what it answers. No torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import repeat
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute

from noria.common.errors import UserError
from noria.data.batch.encoded import Encoded
from noria.data.rows.rows import WORDS, Rows
from noria.metric import tags as tag_room
from noria.metric.answers import Answers
from noria.task.form import Form, Written
from noria.task.outputs import Outputs, Ragged
from noria.task.requests import NO_NUMBER, Given
from noria.task.token_classification.ballot import TokenClassificationBallot
from noria.task.token_classification.gold import cleaned
from noria.task.token_classification.reading import WordReading
from noria.task.token_classification.service import TokenClassificationService
from noria.task.token_classification.viterbi import best
from noria.task.token_classification.windows import EncodedWords, encode_words
from noria.task.words import marked, places

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

pc: Any = pyarrow.compute  # its functions are made when it is imported: type checkers see none

ENTITY = pa.struct([("start", pa.int32()), ("end", pa.int32()), ("type", pa.string()), ("score", pa.float32())])


class TokenClassificationForm(Form):
    """Texts, or lists of words, with a tag for each word; or texts with spans of characters.

    Entities are tagged in BIO inside, however they are written. Tags without prefixes are learnt as they are.

    Args:
        labels: the names of the tags, in the order of the network's outputs; none yet.
        viterbi: whether answers are the most probable valid sequence of tags (`viterbi.py`).
    """

    needs = (("text", "label"),)
    answers: ClassVar[dict[str, dict[str, str]]] = {
        "token_classification": {
            "label": "tags",
            "prediction": "tags",
            "entities": "spans",
            "loss": "number",
            "words": "count",
        }
    }
    truth: ClassVar[dict[str, str]] = {"label": "have different tags for the same rows."}
    measured: ClassVar[dict[str, str]] = {"loss": "noria.metric.word_loss.WordLoss"}

    def __init__(self, labels: Sequence[str] = (), viterbi: bool = True) -> None:
        names = list(labels) if isinstance(labels, list | tuple) else [None]
        if not all(isinstance(name, str) for name in names) or len({*names}) < len(names):
            raise UserError("its labels are no list of different names.")
        self.labels = list(labels)
        self.viterbi = viterbi

    def settings(self) -> dict[str, Any]:
        return {"labels": list(self.labels), "viterbi": self.viterbi}

    def clean(self, given: dict[str, Rows], written: Written) -> dict[str, Rows]:
        return {split: cleaned(rows, written.get("label_names")) for split, rows in given.items()}

    def settle(self, train: Rows, written: Written) -> None:
        if not self.labels:
            found = {tag for row in train.table["label"].to_pylist() for tag in row}
            self.labels = tag_room.labels_of(found.union(written.get("label_names") or ()))

    def check(self, rows: Rows) -> None:
        known = {*self.labels}
        for name, row in zip(rows.ids, rows.table["label"].to_pylist(), strict=True):
            if unknown := sorted({*row} - known):
                raise UserError(
                    f"{rows.where}: row {name} has the tag '{unknown[0]}', which no row of train has "
                    f"({', '.join(self.labels[:12])})."
                )

    def encode(
        self, rows: Rows, tokenizer: PreTrainedTokenizerBase, max_length: int, measured: bool, written: Written
    ) -> Encoded:
        numbers = {name: number for number, name in enumerate(self.labels)}
        labels = [np.array([numbers[tag] for tag in row], np.int64) for row in rows.table["label"].to_pylist()]
        texts = rows.texts
        return encode_words(tokenizer, texts, _places(texts, _words(rows.table)), labels, max_length)

    def contents(self, rows: Rows) -> list[Iterable[str]]:
        tags = ("\x1f".join(row) for row in rows.table["label"].to_pylist())
        return [rows.table["id"], rows.table["text"], tags]

    def decide(self, outputs: Outputs, encoded: Encoded, index: np.ndarray) -> pa.Table:
        assert isinstance(encoded, EncodedWords)
        rows, scores, words, losses = _by_row(outputs, encoded, index)
        chosen = self._chosen(scores)
        columns: dict[str, Any] = {"row": rows}
        of = [encoded.word_places[row] for row in rows]
        said = [self._filled(path, mine, len(each)) for path, mine, each in zip(chosen, words, of, strict=True)]
        strings = pa.list_(pa.string())
        if encoded.all_labels is not None:
            columns["label"] = pa.array([[self.labels[n] for n in encoded.all_labels[row]] for row in rows], strings)
        columns["prediction"] = pa.array(said, strings)
        found = [self._entities(*each) for each in zip(said, chosen, scores, words, of, strict=True)]
        columns["entities"] = pa.array(found, pa.list_(ENTITY))
        if losses is not None:
            columns["loss"] = np.array([each.mean() if len(each) else 0.0 for each in losses], np.float64)
            columns["words"] = np.array([len(each) for each in losses], np.int64)
        return pa.table(columns)

    def made_up(self, encoded: Encoded) -> Outputs:
        assert isinstance(encoded, EncodedWords)
        lengths = encoded.scored
        drawn = np.random.default_rng(0).random((int(lengths.sum()), max(1, len(self.labels))), dtype=np.float32)
        return {"log_probabilities": Ragged(np.log(drawn / drawn.sum(1, keepdims=True)), lengths)}

    def read(self, table: pa.Table) -> Answers:
        found: dict[str, np.ndarray] = {}
        for name in ("label", "prediction"):
            if name in table.column_names:
                if not pa.types.is_list(table[name].type):
                    raise UserError(f"These predictions hold {table[name].type}, which are no tags of words.")
                rows = table[name].to_pylist()
                found[name] = np.empty(len(rows), object)
                found[name][:] = rows
        for name, kind in (("loss", np.float64), ("words", np.int64)):
            if name in table.column_names:
                found[name] = np.asarray(table[name], dtype=kind)
        return Answers(found, tuple(self.labels))

    @property
    def types(self) -> list[str]:
        """What a span of words can be: the types of entities, or the tags themselves where they have no prefixes."""
        if not tag_room.has_prefixes(self.labels):
            return [label for label in self.labels if label != tag_room.OUTSIDE]
        return list(dict.fromkeys(tag_room.split(label)[1] for label in self.labels if label != tag_room.OUTSIDE))

    def service(self) -> TokenClassificationService:
        return TokenClassificationService(self)

    def ballot(self) -> TokenClassificationBallot:
        return TokenClassificationBallot(list(self.labels))

    def shown(self, predictions: pa.Table, rows: Rows) -> dict[str, list[Any]]:
        found = super().shown(predictions, rows)
        mine = rows.table.take(pc.index_in(predictions["id"].combine_chunks(), rows.table["id"].combine_chunks()))
        of = _places(mine["text"].to_pylist(), _words(mine))
        for name in ("label", "prediction"):
            if name in found:
                each = zip(mine["text"].to_pylist(), of, found[name], strict=True)
                found[name] = [marked(text, places, self._spans(tags)) for text, places, tags in each]
        return found

    def right(self, table: pa.Table) -> np.ndarray:
        return np.array([a == b for a, b in zip(*(table[n].to_pylist() for n in ("label", "prediction")), strict=True)])

    def reading(self, given: Given) -> WordReading:
        return WordReading(given)

    def encode_requests(
        self, requests: Sequence[Mapping[str, Any]], tokenizer: PreTrainedTokenizerBase, max_length: int
    ) -> Encoded:
        texts = [request["text"] for request in requests]
        words = _places(texts, [request.get(WORDS) for request in requests])
        return encode_words(tokenizer, texts, words, None, max_length)

    def replies(self, outputs: Outputs, encoded: Encoded) -> list[dict[str, Any]]:
        assert isinstance(encoded, EncodedWords)
        table = self.decide(outputs, encoded, np.arange(len(encoded)))
        by_row = dict(zip(table["row"].to_pylist(), table.to_pylist(), strict=True))
        scores = outputs["log_probabilities"]
        assert isinstance(scores, Ragged)
        broken = {int(encoded.row[n]) for n, part in enumerate(scores.split()) if not np.isfinite(part).all()}
        found: list[dict[str, Any]] = []
        for row, mine in enumerate(encoded.word_places):
            if row in broken:
                found.append({"error": NO_NUMBER})
                continue
            answer = by_row.get(row, {"prediction": [tag_room.OUTSIDE] * len(mine), "entities": []})
            entities = [{**one, "score": round(one["score"], 6)} for one in answer["entities"]]
            found.append({"prediction": answer["prediction"], "entities": entities})
        return found

    def _chosen(self, scores: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The numbers of the tags of each text's words."""
        if self.viterbi and tag_room.has_prefixes(self.labels):
            return best(scores, self.labels)
        return [each.argmax(-1) if len(each) else np.empty(0, np.int64) for each in scores]

    def _spans(self, tags: Sequence[str]) -> list[tuple[int, int, str]]:
        """The entities, or where there are none each word with a tag, in words."""
        if tag_room.has_prefixes(self.labels):
            return tag_room.entities(tags)
        return [(place, place + 1, tag) for place, tag in enumerate(tags) if tag != tag_room.OUTSIDE]

    def _filled(self, path: np.ndarray, words: np.ndarray, count: int) -> list[str]:
        """The tags of all of a text's words: one without a token lies inside of what goes on around it, or is O."""
        tags: list[str | None] = [None] * count
        for word, number in zip(words, path, strict=True):
            tags[word] = self.labels[number]
        filled: list[str] = []
        for place, tag in enumerate(tags):
            if tag is not None:
                filled.append(tag)
                continue
            after = next((later for later in tags[place + 1 :] if later is not None), tag_room.OUTSIDE)
            goes_on = after.startswith("I-") and filled and tag_room.follows(filled[-1], after)
            filled.append(after if goes_on else tag_room.OUTSIDE)
        return filled

    def _entities(
        self, tags: list[str], path: np.ndarray, scores: np.ndarray, words: np.ndarray, of: np.ndarray
    ) -> list[dict[str, Any]]:
        """What the tags say in spans of characters; the score is the least probable of its words' tags."""
        sure = dict(zip(words.tolist(), np.exp(scores[np.arange(len(path)), path]).tolist(), strict=True))
        found = []
        for start, end, kind in self._spans(tags):
            score = min((sure[word] for word in range(start, end) if word in sure), default=0.0)
            found.append({"start": int(of[start, 0]), "end": int(of[end - 1, 1]), "type": kind, "score": score})
        return found


def _words(table: pa.Table) -> Iterable[Sequence[str] | None]:
    return table[WORDS].to_pylist() if WORDS in table.column_names else repeat(None, len(table))


def _places(texts: Sequence[str], words: Iterable[Sequence[str] | None]) -> list[np.ndarray]:
    return [places(text, given) for text, given in zip(texts, words, strict=True)]


def _by_row(
    outputs: Outputs, encoded: EncodedWords, index: np.ndarray
) -> tuple[np.ndarray, list[np.ndarray], list[np.ndarray], list[np.ndarray] | None]:
    """The rows, and of each the scores, numbers and losses of its words over all of its windows, in their order."""
    scores = outputs["log_probabilities"]
    assert isinstance(scores, Ragged)
    losses = outputs.get("loss")
    parts = scores.split()
    lost = losses.split() if isinstance(losses, Ragged) else None
    windows: dict[int, list[int]] = {}
    for place, number in enumerate(index):
        windows.setdefault(int(encoded.row[number]), []).append(place)
    rows = np.array(sorted(windows), np.int64)
    order = {row: sorted(windows[row], key=lambda place: index[place]) for row in rows.tolist()}
    found = [np.concatenate([parts[place] for place in order[row]]) for row in rows.tolist()]
    words = [np.concatenate([encoded.words[index[place]] for place in order[row]]) for row in rows.tolist()]
    each = None if lost is None else [np.concatenate([lost[p] for p in order[row]]) for row in rows.tolist()]
    return rows, found, words, each
