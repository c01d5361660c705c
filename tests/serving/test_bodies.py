"""What is said of models whose answers are no single label; the rest is in test_http.py."""

from __future__ import annotations

import pytest

from noria.serving.bodies import Verdict, read_requests, read_verdict
from noria.serving.problem import Problem
from noria.task.service import Service
from noria.task.text_classification.form import TextClassificationForm

ID = "0123456789abcdef" * 2


def service(kind: str = "single_label", labels: list[str] | None = None, texts: int = 1) -> Service:
    return TextClassificationForm(kind, labels or [], texts).service()


def test_the_label_it_should_be():
    labels = ["a", "b", "c"]
    assert read_verdict({"id": ID, "label": "b"}, service("single_label", labels)) == Verdict(ID, False, "b")
    assert read_verdict({"id": ID, "label": ["c", "a"]}, service("multi_label", labels)).correction == ["a", "c"]
    assert read_verdict({"id": ID, "label": []}, service("multi_label", labels)) == Verdict(ID, False, [])
    assert read_verdict({"id": ID, "label": 3}, service("regression")) == Verdict(ID, False, 3.0)


@pytest.mark.parametrize("label", [10**401, -(10**400), float("inf"), float("nan"), True, None, "3", [3.0]])
def test_numbers_that_no_float_can_be(label):
    with pytest.raises(Problem, match="label must be a number"):
        read_verdict({"id": ID, "label": label}, service("regression"))


def test_of_very_many_labels_a_message_names_some():
    labels = [f"label {n}" for n in range(5000)]
    for kind in ("single_label", "multi_label"):
        with pytest.raises(Problem, match="label 19 and 4,980 more, which /info names") as said:
            read_verdict({"id": ID, "label": "none of them"}, service(kind, labels))
        assert len(said.value.said) < 400


@pytest.mark.parametrize(
    ("kind", "label"),
    [("multi_label", "a"), ("multi_label", ["d"]), ("regression", "3"), ("regression", True), ("single_label", ["a"])],
)
def test_labels_of_the_wrong_kind(kind, label):
    with pytest.raises(Problem, match="label must be") as said:
        read_verdict({"id": ID, "label": label}, service(kind, ["a", "b"]))
    assert said.value.status == 422


def test_a_pair_is_two_texts_with_a_tab():
    pairs = service(texts=2)
    assert read_requests({"text": "one\tother"}, pairs, 1) == [{"text": "one", "text_pair": "other"}]
    for text in ("one", "one\t", "one\tother\tthird", "\tother"):
        with pytest.raises(Problem, match="put one tab"):
            read_requests({"text": text}, pairs, 1)
    assert read_requests({"text": ["one\tother"]}, service(), 1) == [{"text": "one\tother"}], "a tab in a single text"
