"""Out of the store into rows: a bare "wrong" of three labels tells something, and never what it does not tell."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from tests.conftest import answered

from noria.data.source.feedback import FeedbackData
from noria.data.source.table import TableData
from noria.feedback.store import Store
from noria.task.text_classification.form import TextClassificationForm

LABELS = ["bad", "fair", "good"]


def test_wrong_alone_speaks_against_what_was_predicted(write, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/feedback.db"
    store, chances = Store(url), dict.fromkeys(LABELS, 1 / 3)
    for i in range(60):
        text, key = f"a film of {i} minutes", f"{i:032x}"
        store.add_predictions([answered(key, text, "bad", chances)])
        store.add_feedback(key, "ann", correct=False)
        if i < 40:  # the others are fair or good: nobody knows
            store.add_feedback(key, "ben", correct=False, correction="fair" if i % 2 else "good")
    store.close()

    lines = ["text,label", *(f"an old film of {i} minutes,{LABELS[i % 3]}" for i in range(60))]
    original = partial(TableData, path=write("original.csv", lines))
    data = FeedbackData(url=url, original=original, replay=0).bind(
        TextClassificationForm("single_label", LABELS), None, 1
    )
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


def test_pairs_are_told_apart_by_both_texts_and_stand_beside_original_pairs(write, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/feedback.db"
    store, chances = Store(url), dict.fromkeys(LABELS, 1 / 3)

    def said(number: int, client: str, label: str, text: str | None, pair: str | None) -> None:
        key = f"{number:032x}"
        store.add_predictions([answered(key, text, "bad", chances, pair)])
        store.add_feedback(key, client, correct=label == "bad", correction=None if label == "bad" else label)

    for i in range(60):  # of one first text, many second ones
        said(i, "ann", LABELS[i % 3], "What was it like?", f"It took {i} minutes")
    said(100, "ben", "bad", "WHAT was it  like?", "it took 0 minutes")  # merged
    said(101, "ben", "good", "before\tthere was a column", None)  # as stores of before have a pair
    said(102, "ben", "good", "one text alone", None)
    said(103, "ben", "good", None, None)
    said(104, "ben", "good", "an old question 7", "an old film of 7 minutes")  # gold: fair, so ben is once wrong
    said(105, "ben", "good", "an old question 7", "another film")  # not gold: the second text is another
    store.close()

    rows = (f"an old question {i},an old film of {i} minutes,{LABELS[i % 3]}" for i in range(60))
    original = partial(TableData, path=write("original.csv", ["asked,said,label", *rows]), text=["asked", "said"])
    data = FeedbackData(url=url, original=original, replay=30, least=0.5).bind(
        TextClassificationForm("single_label", LABELS), None, 1
    )
    data.setup()
    gold = "an old question 7" in data.original.splits["train"].texts
    assert data.report["feedback"] == {
        "corrections": 66,
        "rows": 62 + (not gold),
        "left_out": {"merged": 1, "no_text": 1, "no_second_text": 1} | ({"gold": 1} if gold else {}),
    }
    ours, replayed = {}, 0
    for rows in data.splits.values():
        for row in rows.table.to_pylist():
            replayed += not row["id"].startswith("feedback:")
            if row["id"].startswith("feedback:"):
                ours[row["text"].casefold(), row["text_pair"].casefold()] = row["label"]
    assert replayed and ours["before", "there was a column"] == ours["an old question 7", "another film"] == "good"
    assert all(ours["what was it like?", f"it took {i} minutes"] == LABELS[i % 3] for i in range(1, 60))
    assert min(len(rows) for rows in data.splits.values()) > 3, "one first text lies on all sides, by its second ones"


def test_feedback_of_pairs_is_not_learnt_by_a_model_of_single_texts(write, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/feedback.db"
    store, chances = Store(url), dict.fromkeys(LABELS, 1 / 3)
    for i in range(60):
        made = answered(f"{i:032x}", f"a\ttext {i}", "bad", chances, "p" * (i < 5) or None)
        store.add_predictions([made])
        store.add_feedback(made.id, "ann", correct=True)
    store.close()
    lines = ["text,label", *(f"an old film of {i} minutes,{LABELS[i % 3]}" for i in range(60))]
    original = partial(TableData, path=write("original.csv", lines))
    data = FeedbackData(url=url, original=original, replay=0).bind(
        TextClassificationForm("single_label", LABELS), None, 1
    )
    data.setup()
    assert data.report["feedback"] == {"corrections": 60, "rows": 55, "left_out": {"second_text": 5}}
    assert all("\t" in text for rows in data.splits.values() for text in rows.texts), "a tab is part of a single text"
