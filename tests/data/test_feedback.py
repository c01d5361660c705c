"""Out of the store into rows: a bare "wrong" of three labels tells something, and never what it does not tell."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from noria.data.feedback import FeedbackData
from noria.data.table import TableData
from noria.feedback.store import Prediction, Store

LABELS = ["bad", "fair", "good"]


def test_wrong_alone_speaks_against_what_was_predicted(write, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/feedback.db"
    store, chances = Store(url), dict.fromkeys(LABELS, 1 / 3)
    for i in range(60):
        text, key = f"a film of {i} minutes", f"{i:032x}"
        store.add_predictions([Prediction(key, "1", text, "bad", chances, 1.0, "shop", datetime.now(UTC))])
        store.add_feedback(key, "ann", correct=False, label=None)
        if i < 40:  # the others are fair or good: nobody knows
            store.add_feedback(key, "ben", correct=False, label="fair" if i % 2 else "good")
    store.close()

    lines = ["text,label", *(f"an old film of {i} minutes,{LABELS[i % 3]}" for i in range(60))]
    original = partial(TableData, path=write("original.csv", lines))
    data = FeedbackData("single_label", None, 1, LABELS, url=url, original=original, replay=0)
    data.setup()
    assert data.report["feedback"] == {
        "corrections": 100, "rows": 40, "left_out": {"undecided": 20, "merged": 40},
    }  # fmt: skip
    assert data.report["dropped"]["feedback"] == {"undecided": 20, "merged": 40}
    assert not any(data.report["dropped"][split] for split in data.splits), "each is counted once"
    found: dict[str, str] = {}
    for split in data.splits.values():
        found.update(zip(split.texts, split.table["label"].to_pylist(), strict=True))
    assert found == {f"a film of {i} minutes": "fair" if i % 2 else "good" for i in range(40)}
