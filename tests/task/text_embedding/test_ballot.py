"""What users of a search say becomes pairs: the document they name, against the first where they say it is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.task.text_embedding.case import PAIRS

from noria.common.errors import UserError
from noria.feedback.records import Prediction
from noria.feedback.store import Store
from noria.task.text_embedding.ballot import TextEmbeddingBallot
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


def test_a_model_learns_from_what_users_of_a_search_say(noria: Callable[..., int], tiny_model: Path) -> None:
    Path("pairs.jsonl").write_text(PAIRS)
    store, form = Store("sqlite:///feedback.db"), "noria.index.form.SearchForm"
    for number in range(80):
        hits = [{**hit, "passage": f"{hit['passage']} of {number}"} for hit in HITS]
        row = ({"text": f"violin {number}"}, {"hits": hits, "answer": None}, 1.0, "me", datetime.now(UTC))
        store.add_predictions([Prediction(f"{number:032x}", "index", form, *row)])
        store.add_feedback(f"{number:032x}", "someone", correct=number % 2 == 0, correction="b" if number % 2 else None)
    store.close()
    words = ["task=embedding", "data=feedback", "data.url=sqlite:///feedback.db", "data.replay=40", "logger=csv"]
    words += ["~data.original.source", "~data.original.label_names", "+data.original.path=pairs.jsonl"]
    words += ["data.original._target_=noria.data.source.query_pairs.QueryPairData", "data.max_length=32"]
    words += ["model=hub", f"model.name={tiny_model}", "trainer.max_epochs=1", "paths.run_dir=fit"]
    assert noria(*words) == 0
    data = json.loads(Path("fit/record.json").read_text())["data"]
    assert data["feedback"] == {"corrections": 80, "rows": 80, "left_out": {}} and data["replayed"] == 40
    assert data["rows"]["train"] > 80
