"""What answering questions needs of a row, and what it answers. No torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pyarrow as pa

from noria.data.batch.encoded import Encoded
from noria.data.rows.rows import Rows
from noria.data.source.squad import ANSWERS
from noria.metric.answer_f1 import AnswerF1
from noria.metric.answers import Answers, objects
from noria.metric.references import REFERENCE, RESPONSE
from noria.task.form import Form, Written
from noria.task.outputs import Outputs, Ragged
from noria.task.question_answering.ballot import QuestionAnsweringBallot
from noria.task.question_answering.reading import QuestionReading
from noria.task.question_answering.service import QuestionAnsweringService
from noria.task.question_answering.spans import Found, Window, answered_first, best_spans
from noria.task.question_answering.windows import EncodedQuestions, Span, encode_questions
from noria.task.requests import NO_NUMBER, Given

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SHOWN = 5  # of the likeliest answers that are told
SPAN = pa.struct([("answer", pa.string()), ("start", pa.int32()), ("end", pa.int32()), ("score", pa.float32())])


class QuestionAnsweringForm(Form):
    """Questions (`text_pair`) on passages (`text`), with `answers` that are spans of them; none where there is none.

    The first answer is learnt, each of them is right. Answers are spans of the passage as it was given.

    Args:
        stride, max_answer_length, n_best, no_answer, no_answer_threshold: as `QuestionAnswering` takes them.
    """

    needs = (("text", "text_pair", "answers"),)
    answers: ClassVar[dict[str, dict[str, str]]] = {
        "question_answering": {
            "reference": "texts",
            "response": "text",
            "answers": "spans",
            "loss": "number",
            "windows": "count",
        }
    }
    truth: ClassVar[dict[str, str]] = {"reference": "have different right answers for the same rows."}
    measured: ClassVar[dict[str, str]] = {"loss": "noria.metric.window_loss.WindowLoss"}

    def __init__(
        self,
        *,
        stride: int = 128,
        max_answer_length: int = 30,
        n_best: int = 20,
        no_answer: bool | None = None,
        no_answer_threshold: float = 0.0,
    ) -> None:
        self.stride, self.max_answer_length, self.n_best = stride, max_answer_length, n_best
        self.no_answer, self.no_answer_threshold = no_answer, no_answer_threshold

    def settings(self) -> dict[str, Any]:
        names = ("stride", "max_answer_length", "n_best", "no_answer", "no_answer_threshold")
        return {name: getattr(self, name) for name in names}

    def settle(self, train: Rows, written: Written) -> None:
        if self.no_answer is None:
            self.no_answer = not all(train.table[ANSWERS].to_pylist())

    def encode(
        self, rows: Rows, tokenizer: PreTrainedTokenizerBase, max_length: int, measured: bool, written: Written
    ) -> EncodedQuestions:
        answers = rows.table[ANSWERS].to_pylist()
        references = [[one["text"] for one in each] for each in answers]
        spans = [_span(each[0]) if each else None for each in answers]
        questions = rows.pairs or []
        return encode_questions(tokenizer, questions, rows.texts, spans, references, max_length, self.stride)

    def contents(self, rows: Rows) -> list[Iterable[str]]:
        said = ("\x1f".join(f"{a['start']}:{a['text']}" for a in each) for each in rows.table[ANSWERS].to_pylist())
        return [rows.table["id"], rows.table["text"], rows.table["text_pair"], said]

    def decide(self, outputs: Outputs, encoded: Encoded, index: np.ndarray) -> pa.Table:
        assert isinstance(encoded, EncodedQuestions)
        owners = encoded.row[index]
        rows, first = np.unique(owners, return_inverse=True)
        counts = np.bincount(first)
        found = self._found(outputs, encoded, index)
        told = [_told(encoded.passages[row], found[row]) for row in rows.tolist()]
        columns: dict[str, Any] = {"row": rows, "windows": counts}
        if encoded.references is not None:
            columns[REFERENCE] = pa.array([encoded.references[row] for row in rows], pa.list_(pa.string()))
        columns[RESPONSE] = pa.array([each[0]["answer"] for each in told], pa.string())
        columns[ANSWERS] = pa.array(told, pa.list_(SPAN))
        if "loss" in outputs:
            columns["loss"] = np.bincount(first, weights=np.asarray(outputs["loss"])) / counts
        return pa.table(columns)

    def made_up(self, encoded: Encoded) -> Outputs:
        assert isinstance(encoded, EncodedQuestions)
        rng = np.random.default_rng(0)
        lengths = np.array([len(encoded.places(window)) for window in range(len(encoded))], np.int64)
        drawn = rng.random((int(lengths.sum()), 2), dtype=np.float32)
        return {"logits": Ragged(drawn, lengths), "nothing": rng.random((len(encoded), 2), dtype=np.float32)}

    def read(self, table: pa.Table) -> Answers:
        found: dict[str, np.ndarray] = {}
        for name in (REFERENCE, RESPONSE):
            if name in table.column_names:
                found[name] = objects(table[name].to_pylist())
        for name, kind in (("loss", np.float64), ("windows", np.int64)):
            if name in table.column_names:
                found[name] = np.asarray(table[name], dtype=kind)
        return Answers(found)

    def right(self, table: pa.Table) -> np.ndarray:
        """F1 of each answer against the nearest right one."""
        return AnswerF1().features(self.read(table))[:, 0]

    def shown(self, predictions: pa.Table, rows: Rows) -> dict[str, list[Any]]:
        texts = {id: (a, b) for id, a, b in zip(rows.ids, rows.texts, rows.pairs or [], strict=True)}
        ids = predictions["id"].to_pylist()
        found = {"id": ids, "split": predictions["split"].to_pylist()}
        found["question"] = [texts[id][1] for id in ids]
        found["context"] = [
            _marked(texts[id][0], said[0]) for id, said in zip(ids, predictions[ANSWERS].to_pylist(), strict=True)
        ]
        found["reference"] = [" | ".join(each) for each in predictions[REFERENCE].to_pylist()]
        return found | {name: predictions[name].to_pylist() for name in (RESPONSE, "loss")}

    def service(self) -> QuestionAnsweringService:
        return QuestionAnsweringService(self)

    def ballot(self) -> QuestionAnsweringBallot:
        return QuestionAnsweringBallot(bool(self.no_answer))

    def reading(self, given: Given) -> QuestionReading:
        return QuestionReading(given)

    def encode_requests(
        self, requests: Sequence[Mapping[str, Any]], tokenizer: PreTrainedTokenizerBase, max_length: int
    ) -> EncodedQuestions:
        passages, questions = ([request[name] for request in requests] for name in ("text", "text_pair"))
        return encode_questions(tokenizer, questions, passages, None, None, max_length, self.stride)

    def replies(self, outputs: Outputs, encoded: Encoded) -> list[dict[str, Any]]:
        assert isinstance(encoded, EncodedQuestions)
        found = self._found(outputs, encoded, np.arange(len(encoded)))
        logits, nothing = outputs["logits"], np.asarray(outputs["nothing"])
        assert isinstance(logits, Ragged)
        whole = [np.isfinite(part).all() and np.isfinite(nothing[n]).all() for n, part in enumerate(logits.split())]
        broken = {int(encoded.row[n]) for n, fine in enumerate(whole) if not fine}
        replies: list[dict[str, Any]] = []
        for row, passage in enumerate(encoded.passages):
            told = _told(passage, found[row])
            replies.append({"error": NO_NUMBER} if row in broken else {**told[0], ANSWERS: told})
        return replies

    def _found(self, outputs: Outputs, encoded: EncodedQuestions, index: np.ndarray) -> dict[int, list[Found]]:
        """Of each row the likeliest answers, the one that is given first."""
        logits, nothing = outputs["logits"], np.asarray(outputs["nothing"])
        assert isinstance(logits, Ragged)
        windows: dict[int, list[Window]] = {}
        for place, (number, part) in enumerate(zip(index.tolist(), logits.split(), strict=True)):
            window = Window(part, encoded.places(number), nothing[place])
            windows.setdefault(int(encoded.row[number]), []).append(window)
        of = encoded.passages
        best = {
            row: best_spans(of[row], each, self.n_best, self.max_answer_length, bool(self.no_answer))
            for row, each in windows.items()
        }
        return {row: answered_first(each, self.no_answer_threshold) for row, each in best.items()}


def _span(answer: Mapping[str, Any]) -> Span:
    return answer["start"], answer["start"] + len(answer["text"])


def _told(passage: str, found: Sequence[Found]) -> list[dict[str, Any]]:
    """The likeliest answers as people and files get them; where nothing was found, that there is none."""
    return [
        {"answer": passage[one.start : one.end], "start": one.start, "end": one.end, "score": round(one.score, 6)}
        for one in found[:SHOWN] or [Found(0, 0, 0.0)]
    ]


def _marked(passage: str, said: Mapping[str, Any]) -> str:
    """The passage with the answer in brackets."""
    start, end = said["start"], said["end"]
    return f"{passage[:start]}[{passage[start:end]}]{passage[end:]}" if end else passage
