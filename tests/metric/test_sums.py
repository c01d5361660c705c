"""A metric is a value of sums over rows: also on resampled rows it is what the whole metric says of them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from noria.common.errors import UserError
from noria.metric.accuracy import Accuracy
from noria.metric.answers import Answers
from noria.metric.auroc import AUROC
from noria.metric.base import Metric
from noria.metric.bits_per_byte import BitsPerByte
from noria.metric.bleu import Bleu
from noria.metric.f1 import F1
from noria.metric.mae import MAE
from noria.metric.matthews import Matthews
from noria.metric.mse import MSE
from noria.metric.pearson import Pearson
from noria.metric.perplexity import Perplexity
from noria.metric.rouge import Rouge
from noria.metric.spearman import Spearman
from noria.metric.word_perplexity import WordPerplexity
from noria.statistics.bootstrap import ratio_interval

ROWS = 300


def classes(labels: int) -> Answers:
    rng = np.random.default_rng(labels)
    truth = rng.integers(0, labels, ROWS)
    logits = rng.normal(size=(ROWS, labels)) + 1.2 * np.eye(labels)[truth]
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    columns = {"label": truth, "prediction": shares.argmax(1), "probabilities": shares.astype(np.float32)}
    return Answers(columns, tuple(map(str, range(labels))))


def several() -> Answers:
    rng = np.random.default_rng(9)
    truth = (rng.random((ROWS, 4)) < 0.4).astype(np.int8)
    truth[:, 3] = 0  # a label that is nowhere
    scores = np.clip(0.3 * truth + 0.7 * rng.random(truth.shape) * [1, 1, 1, 0.4], 0, 1).astype(np.float32)
    return Answers(
        {"label": truth, "prediction": (scores > 0.5).astype(np.int8), "probabilities": scores}, tuple("abcd")
    )


def values() -> Answers:
    rng = np.random.default_rng(3)
    truth = rng.normal(3, 2, ROWS)
    return Answers({"label": truth, "prediction": truth + rng.normal(size=ROWS)})


CASES: dict[str, tuple[Metric, Answers]] = {
    "accuracy": (Accuracy(), classes(3)),
    "macro f1": (F1(), classes(3)),
    "micro f1": (F1(average="micro"), classes(3)),
    "weighted f1": (F1(average="weighted"), classes(4)),
    "matthews": (Matthews(), classes(3)),
    "auroc": (AUROC(), classes(2)),
    "auroc, weighted": (AUROC(average="weighted"), classes(4)),
    "several: accuracy": (Accuracy(), several()),
    "several: f1": (F1(), several()),
    "several: micro f1": (F1(average="micro"), several()),
    "several: auroc": (AUROC(), several()),
    "mae": (MAE(), values()),
    "mse": (MSE(), values()),
    "pearson": (Pearson(), values()),
    "spearman": (Spearman(), values()),
}


def some(answers: Answers, rows: np.ndarray) -> Answers:
    return Answers({name: answers[name][rows] for name in answers}, answers.labels)


@pytest.mark.parametrize("case", CASES)
def test_the_value_of_the_sums_is_that_of_the_rows(case: str) -> None:
    metric, answers = CASES[case]
    features = metric.features(answers)
    rng = np.random.default_rng(1)
    drawn = [rng.integers(0, ROWS, ROWS) for _ in range(200)]
    ours = np.array([float(metric.value(features[rows].sum(axis=0))) for rows in drawn])
    theirs = np.array([metric(some(answers, rows)) for rows in drawn])
    if case.endswith(("auroc", "auroc, weighted", "spearman")):  # to first order, as DeLong's is
        assert np.std(ours) == pytest.approx(np.std(theirs), rel=0.1)
        assert np.corrcoef(ours, theirs)[0, 1] > 0.98
    else:
        assert ours == pytest.approx(theirs, abs=1e-9)


def test_perplexity_weighs_texts_by_their_tokens() -> None:
    rng = np.random.default_rng(5)
    losses, tokens = rng.random(ROWS), rng.integers(1, 50, ROWS)
    answers = Answers({"loss": losses, "tokens": tokens})
    assert Perplexity()(answers) == pytest.approx(math.exp((losses * tokens).sum() / tokens.sum()))


def test_what_no_tokenizer_decides() -> None:
    rng = np.random.default_rng(6)
    losses, sizes, words = rng.random(ROWS) * 99, rng.integers(1, 200, ROWS), rng.integers(1, 50, ROWS)
    answers = Answers({"text_loss": losses, "bytes": sizes, "words": words})
    bits, word = BitsPerByte().estimate(answers), WordPerplexity().estimate(answers)
    by_byte, by_word = ratio_interval(losses / math.log(2), sizes), ratio_interval(losses, words)
    for end in ("value", "low", "high"):
        assert getattr(bits, end) == pytest.approx(getattr(by_byte, end))
        assert getattr(word, end) == pytest.approx(math.exp(getattr(by_word, end)))
    assert bits.unit == "bits per byte" and word.unit == "per word"
    with pytest.raises(UserError, match="noria stage=evaluate"):
        BitsPerByte()(Answers({"loss": losses}))


def test_texts_are_measured_as_their_libraries_do() -> None:
    import sacrebleu
    from rouge_score.rouge_scorer import RougeScorer

    rng = np.random.default_rng(0)
    words = [
        "the",
        "cat",
        "sat",
        "on",
        "a",
        "red",
        "mat",
        "while",
        "dogs",
        "ran",
        "over",
        "green",
        "hills",
        "and",
        "rivers",
    ]
    true = [" ".join(rng.choice(words, rng.integers(5, 14))) for _ in range(60)]
    said = [" ".join(w if rng.random() < 0.8 else rng.choice(words) for w in text.split()) for text in true]
    answers = Answers({"reference": np.array(true, object), "response": np.array(said, object)})
    bleu: Any = Bleu()
    features = bleu.features(answers)
    for rows in (np.arange(60), rng.integers(0, 60, 60), np.array([3])):
        expected = sacrebleu.corpus_bleu([said[i] for i in rows], [[true[i] for i in rows]]).score
        assert float(bleu.value(features[rows].sum(axis=0))) == pytest.approx(expected, abs=1e-6)
    scorer = RougeScorer(["rougeL"])
    expected = np.mean([scorer.score(t, s)["rougeL"].fmeasure for t, s in zip(true, said, strict=True)])
    assert Rouge(variant="rougeL")(answers) == pytest.approx(expected)
