"""A sample of predictions for people to look at: texts with what was said of them."""

from __future__ import annotations

import pyarrow as pa

from noria.data.rows.rows import Rows
from noria.task.token_classification.form import TokenClassificationForm


def test_a_sample_has_marked_texts() -> None:
    rows = Rows(
        pa.table(
            {
                "id": ["a", "b", "c"],
                "text": ["Ada lived in New York", "no-one ?", "it rains"],
                "words": pa.array([None, ["no-one", "?"], None]),
                "label": [["B-PER", "O", "O", "B-LOC", "I-LOC"], ["O", "O"], ["O", "O"]],
            }
        ),
        "it",
    )
    said = [["B-PER", "O"], ["O", "O", "O", "O", "B-LOC"]]
    predictions = pa.table(
        {"id": ["b", "a"], "split": ["val"] * 2, "label": rows.table["label"].take([1, 0]), "prediction": said}
    )
    form = TokenClassificationForm(["O", "B-LOC", "I-LOC", "B-PER", "I-PER"])
    assert form.shown(predictions, rows) == {
        "id": ["b", "a"],
        "split": ["val", "val"],
        "label": ["no-one ?", "[Ada](PER) lived in [New York](LOC)"],
        "prediction": ["[no-one](PER) ?", "Ada lived in New [York](LOC)"],
    }
