"""The measures give the numbers of `noria.metric`, also on resampled rows."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from noria.common.errors import UserError
from noria.comparison.answers import Answers
from noria.comparison.measures import make_measure
from noria.inference.text_units import by_text
from noria.metric.accuracy import Accuracy
from noria.metric.auroc import AUROC
from noria.metric.f1 import F1
from noria.metric.mae import MAE
from noria.metric.matthews import Matthews
from noria.metric.mse import MSE
from noria.metric.pearson import Pearson
from noria.metric.perplexity import Perplexity
from noria.metric.spearman import Spearman

ROWS = 300


def classes(labels: int) -> tuple[Any, Answers, torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(labels)
    truth = rng.integers(0, labels, ROWS)
    logits = rng.normal(size=(ROWS, labels)) + 1.2 * np.eye(labels)[truth]
    scores = torch.softmax(torch.from_numpy(logits).float(), 1)
    sheet = SimpleNamespace(kind="single_label", truth=truth.astype(np.int16), labels=tuple(map(str, range(labels))))
    answers = Answers(scores.argmax(1).numpy().astype(np.int16), scores.numpy())
    return sheet, answers, scores, torch.from_numpy(truth)


def sets() -> tuple[Any, Answers, torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(9)
    truth = (rng.random((ROWS, 4)) < 0.4).astype(np.int8)
    truth[:, 3] = 0  # a label that is nowhere
    scores = np.clip(0.3 * truth + 0.7 * rng.random(truth.shape) * [1, 1, 1, 0.4], 0, 1).astype(np.float32)
    sheet = SimpleNamespace(kind="multi_label", truth=truth, labels=tuple("abcd"))
    return sheet, Answers((scores > 0.5).astype(np.int8), scores), torch.from_numpy(scores), torch.from_numpy(truth)


def values() -> tuple[Any, Answers, torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(3)
    truth = rng.normal(3, 2, ROWS)
    said = truth + rng.normal(size=ROWS)
    sheet = SimpleNamespace(kind="regression", truth=truth, labels=(), __len__=lambda: ROWS)
    return _Sized(sheet), Answers(said), torch.from_numpy(said), torch.from_numpy(truth)


class _Sized(SimpleNamespace):
    def __init__(self, of: SimpleNamespace) -> None:
        super().__init__(**vars(of))

    def __len__(self) -> int:
        return ROWS


CASES = {
    "accuracy": ("accuracy", {}, classes(3), Accuracy("single_label", 3)),
    "macro f1": ("f1", {}, classes(3), F1("single_label", 3)),
    "micro f1": ("f1", {"average": "micro"}, classes(3), F1("single_label", 3, average="micro")),
    "weighted f1": ("f1", {"average": "weighted"}, classes(4), F1("single_label", 4, average="weighted")),
    "matthews": ("matthews", {}, classes(3), Matthews("single_label", 3)),
    "auroc": ("auroc", {}, classes(2), AUROC("single_label", 2)),
    "auroc, weighted": ("auroc", {"average": "weighted"}, classes(4), AUROC("single_label", 4, average="weighted")),
    "sets: accuracy": ("accuracy", {}, sets(), Accuracy("multi_label", 4)),
    "sets: f1": ("f1", {}, sets(), F1("multi_label", 4)),
    "sets: micro f1": ("f1", {"average": "micro"}, sets(), F1("multi_label", 4, average="micro")),
    "sets: auroc": ("auroc", {}, sets(), AUROC("multi_label", 4)),
    "mae": ("mae", {}, values(), MAE("regression", 1)),
    "mse": ("mse", {}, values(), MSE("regression", 1)),
    "pearson": ("pearson", {}, values(), Pearson("regression", 1)),
    "spearman": ("spearman", {}, values(), Spearman("regression", 1)),
}


@pytest.mark.parametrize("case", CASES)
def test_it_is_the_metric(case: str) -> None:
    name, options, (sheet, answers, scores, labels), metric = CASES[case]
    measure = make_measure(name, sheet.kind, {name: {"_target_": f"noria.metric.{name}.{name}", **options}})
    features = measure.features(sheet, answers)
    assert float(measure.value(features.sum(axis=0))) == pytest.approx(metric(scores, labels), abs=1e-6)
    assert measure.mode == metric.mode


@pytest.mark.parametrize("case", CASES)
def test_it_is_the_metric_of_resampled_rows(case: str) -> None:
    name, options, (sheet, answers, scores, labels), metric = CASES[case]
    measure = make_measure(name, sheet.kind, {name: {"_target_": f"noria.metric.{name}.{name}", **options}})
    features = measure.features(sheet, answers)
    rng = np.random.default_rng(1)
    drawn = [rng.integers(0, ROWS, ROWS) for _ in range(200)]
    ours = np.array([float(measure.value(features[rows].sum(axis=0))) for rows in drawn])
    theirs = np.array([metric(scores[rows], labels[rows]) for rows in drawn])
    if case.endswith(("auroc", "weighted", "spearman")) and "f1" not in case:  # to first order, as DeLong's is
        assert np.std(ours) == pytest.approx(np.std(theirs), rel=0.1)
        assert np.corrcoef(ours, theirs)[0, 1] > 0.98
    else:
        assert ours == pytest.approx(theirs, abs=1e-6)


def test_perplexity_weighs_texts_by_their_tokens() -> None:
    rng = np.random.default_rng(5)
    losses, tokens = rng.random(ROWS).astype(np.float32), rng.integers(1, 50, ROWS)
    sheet: Any = SimpleNamespace(kind="causal_lm", tokens=tokens)
    measure = make_measure("perplexity", "causal_lm", {})
    features = measure.features(sheet, Answers(loss=losses))
    expected = Perplexity("causal_lm", 0)(torch.from_numpy(losses), torch.from_numpy(tokens))
    assert float(measure.value(features.sum(axis=0))) == pytest.approx(expected)


def test_what_no_tokenizer_decides_is_compared_too() -> None:
    rng = np.random.default_rng(6)
    losses, sizes, words = rng.random(ROWS) * 99, rng.integers(1, 200, ROWS), rng.integers(1, 50, ROWS)
    sheet: Any = SimpleNamespace(kind="causal_lm", bytes=sizes, words=words)
    expected = by_text(losses, sizes, words)
    for name, estimate in expected.items():
        measure = make_measure(name, "causal_lm", {})
        features = measure.features(sheet, Answers(text_loss=losses))
        assert float(measure.value(features.sum(axis=0))) == pytest.approx(estimate.value) and measure.mode == "min"
        with pytest.raises(UserError, match="noria stage=evaluate"):
            measure.features(SimpleNamespace(kind="causal_lm", bytes=None, words=None), Answers())  # type: ignore[arg-type]


def test_what_cannot_be_measured_is_said() -> None:
    with pytest.raises(UserError, match=r"perplexity cannot be computed .* single_label"):
        make_measure("perplexity", "single_label", {})
    with pytest.raises(UserError, match="Did you mean 'accuracy'"):
        make_measure("acuracy", "single_label", {})


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
    sheet: Any = SimpleNamespace(kind="generation", truth=np.array(true, object))
    answers = Answers(np.array(said, object))
    measure = make_measure("bleu", "generation", {})
    features = measure.features(sheet, answers)
    for rows in (np.arange(60), rng.integers(0, 60, 60), np.array([3])):
        expected = sacrebleu.corpus_bleu([said[i] for i in rows], [[true[i] for i in rows]]).score
        assert float(measure.value(features[rows].sum(axis=0))) == pytest.approx(expected, abs=1e-6)
    measure = make_measure("rougeL", "generation", {"_target_": "noria.metric.rougeL.rougeL"})
    scorer = RougeScorer(["rougeL"])
    expected = np.mean([scorer.score(t, s)["rougeL"].fmeasure for t, s in zip(true, said, strict=True)])
    assert float(measure.value(measure.features(sheet, answers).sum(axis=0))) == pytest.approx(expected)
