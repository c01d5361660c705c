"""What is said of models whose answers are no single label; the rest is in test_http.py."""

from __future__ import annotations

import pytest

from noria.serving.bodies import Verdict, read_texts, read_verdict
from noria.serving.model import as_text
from noria.serving.problem import Problem

ID = "0123456789abcdef" * 2


def test_the_label_it_should_be():
    labels = ["a", "b", "c"]
    assert read_verdict({"id": ID, "label": "b"}, "single_label", labels) == Verdict(ID, False, "b")
    assert read_verdict({"id": ID, "label": ["c", "a"]}, "multi_label", labels) == Verdict(ID, False, '["a", "c"]')
    assert read_verdict({"id": ID, "label": []}, "multi_label", labels) == Verdict(ID, False, "[]")
    assert read_verdict({"id": ID, "label": 3}, "regression", []) == Verdict(ID, False, "3.0")
    assert as_text(["a", "c"]) == '["a", "c"]' and as_text(3.0) == "3.0" and as_text("ä") == "ä"


@pytest.mark.parametrize("label", [10**401, -(10**400), float("inf"), float("nan"), True, None, "3", [3.0]])
def test_numbers_that_no_float_can_be(label):
    with pytest.raises(Problem, match="label must be a number"):
        read_verdict({"id": ID, "label": label}, "regression", [])


def test_of_very_many_labels_a_message_names_some():
    labels = [f"label {n}" for n in range(5000)]
    for kind in ("single_label", "multi_label"):
        with pytest.raises(Problem, match="label 19 and 4,980 more, which /info names") as said:
            read_verdict({"id": ID, "label": "none of them"}, kind, labels)
        assert len(said.value.said) < 400


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
