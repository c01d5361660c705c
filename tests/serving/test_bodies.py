"""What is said of models whose answers are no single label; the rest is in test_http.py."""

from __future__ import annotations

import pytest

from noria.serving.bodies import Verdict, as_text, read_texts, read_verdict
from noria.serving.problem import Problem

ID = "0123456789abcdef" * 2


def test_the_label_it_should_be():
    labels = ["a", "b", "c"]
    assert read_verdict({"id": ID, "label": "b"}, "single_label", labels) == Verdict(ID, False, "b")
    assert read_verdict({"id": ID, "label": ["c", "a"]}, "multi_label", labels) == Verdict(ID, False, '["a", "c"]')
    assert read_verdict({"id": ID, "label": []}, "multi_label", labels) == Verdict(ID, False, "[]")
    assert read_verdict({"id": ID, "label": 3}, "regression", []) == Verdict(ID, False, "3.0")
    assert as_text(["a", "c"]) == '["a", "c"]' and as_text(3.0) == "3.0" and as_text("ä") == "ä"


@pytest.mark.parametrize(
    ("kind", "label"),
    [("multi_label", "a"), ("multi_label", ["d"]), ("regression", "3"), ("regression", True), ("single_label", ["a"])],
)
def test_labels_of_the_wrong_kind(kind, label):
    with pytest.raises(Problem, match="label must be") as said:
        read_verdict({"id": ID, "label": label}, kind, ["a", "b"])
    assert said.value.status == 422


def test_a_pair_is_two_texts_with_a_tab():
    assert read_texts({"text": "one\tother"}, 1, pairs=True) == ["one\tother"]
    for text in ("one", "one\t", "one\tother\tthird", "\tother"):
        with pytest.raises(Problem, match="put one tab"):
            read_texts({"text": text}, 1, pairs=True)
