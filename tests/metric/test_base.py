"""The base of all metrics: what it refuses, and every YAML through one suite."""

from __future__ import annotations

import importlib
import inspect
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from tests.metric.answered import kinds_of, of

from noria.common.errors import UserError
from noria.config.signature import class_attributes
from noria.metric.accuracy import Accuracy
from noria.metric.answers import CONTENTS, Answers
from noria.metric.base import Metric
from noria.metric.f1 import F1
from noria.metric.perplexity import Perplexity

ROOT = Path(__file__).resolve().parents[2]
YAMLS = sorted((ROOT / "conf/metric").glob("*.yaml"))
OF_TEXT = (
    "bits_per_byte",
    "word_perplexity",
    "bleu",
    "bert_score",
    "chrf",
    "rouge1",
    "rouge1_mean",
    "rouge2",
    "rouge2_mean",
    "rougeL",
    "rougeL_mean",
    "rougeLsum",
)  # test_sums.py and test_texts.py have them
OF_TAGS = ("conlleval_f1", "entity_f1", "entity_precision", "entity_recall", "token_accuracy")  # test_entities.py
OF_ANSWERS = ("answer_f1", "exact_match")  # test_answer_text.py
OF_RANKS = ("map", "mrr", "ndcg", "retrieval_recall")  # test_ranks.py
MEASURED = [path for path in YAMLS if path.stem not in OF_TEXT + OF_TAGS + OF_ANSWERS + OF_RANKS]


def test_the_yamls_are_found() -> None:
    assert len(YAMLS) >= 9
    files = {path.stem for path in (ROOT / "src/noria/metric").glob("*.py")} - {
        "__init__",
        "answers",
        "base",
        "tags",
        "answer_text",
        "best_answer",
        "counted_loss",
        "entities",
        "ranks",
        "references",
    }
    always = {"loss", "token_loss", "window_loss", "word_loss"}  # measured without being asked for
    assert files - always == {yaml.safe_load(path.read_text())[path.stem]["_target_"].split(".")[-2] for path in YAMLS}


def load(path: Path) -> tuple[type[Metric], dict[str, Any]]:
    config = yaml.safe_load(path.read_text())
    assert list(config) == [path.stem]
    options = config[path.stem]
    module, name = options.pop("_target_").rsplit(".", 1)
    return getattr(importlib.import_module(module), name), options


def example(kind: str, rows: int = 60) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    if kind == "regression":
        labels = torch.randn(rows, generator=generator)
        return labels + torch.randn(rows, generator=generator), labels
    if kind == "causal_lm":  # mean losses, and how many targets they are the means of
        return 5 * torch.rand(rows, generator=generator), torch.randint(1, 200, (rows,), generator=generator)
    scores = torch.rand(rows, 3, generator=generator)
    if kind == "multi_label":
        return scores, (scores + 0.3 * torch.randn(rows, 3, generator=generator) > 0.5).long()
    return scores.softmax(dim=1), torch.randint(0, 3, (rows,), generator=generator)


def best(kind: str, labels: torch.Tensor) -> torch.Tensor:
    """The scores that nothing beats."""
    if kind == "causal_lm":
        return torch.zeros(len(labels))
    return torch.eye(3)[labels] if kind == "single_label" else labels.float()


LABELS = {"single_label": 3, "multi_label": 3, "regression": 1, "causal_lm": 0}


@pytest.mark.parametrize("path", MEASURED, ids=lambda path: path.stem)
def test_every_yaml_gives_a_number_with_its_interval(path: Path) -> None:
    target, options = load(path)
    keywords = {
        name: parameter
        for name, parameter in inspect.signature(target.__init__).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }
    assert set(options) <= set(keywords)
    assert kinds_of(target)
    for kind in kinds_of(target):
        metric = of(target, kind, LABELS[kind], **options)
        scores, labels = example(kind)
        estimate = metric.estimate(scores, labels, resamples=50, seed=1)
        assert estimate.value == pytest.approx(metric(scores, labels), abs=1e-6)
        assert estimate.low < estimate.value < estimate.high
        assert estimate.n == 60
        assert metric.estimate(scores, labels, resamples=50, seed=1) == estimate


@pytest.mark.parametrize("path", MEASURED, ids=lambda path: path.stem)
def test_better_scores_move_the_metric_the_way_its_mode_says(path: Path) -> None:
    target, options = load(path)
    for kind in kinds_of(target):
        metric = of(target, kind, LABELS[kind], **options)
        scores, labels = example(kind)
        perfect, given = metric(best(kind, labels), labels), metric(scores, labels)
        assert perfect > given if target.mode == "max" else perfect < given


@pytest.mark.parametrize("path", YAMLS, ids=lambda path: path.stem)
def test_what_it_reads_and_its_mode_can_be_read_without_importing(path: Path) -> None:
    target, _ = load(path)
    found = class_attributes(f"{target.__module__}.{target.__name__}")
    assert found["reads"] == target.reads and found["mode"] == target.mode
    assert {content for contents in target.reads.values() for content in contents} <= set(CONTENTS)


@pytest.mark.parametrize("path", MEASURED, ids=lambda path: path.stem)
def test_one_row_works(path: Path) -> None:
    target, options = load(path)
    for kind in kinds_of(target):
        metric = of(target, kind, LABELS[kind], **options)
        scores, labels = example(kind, rows=1)
        assert isinstance(metric(scores, labels), float)
        assert metric.estimate(scores, labels, resamples=5).n == 1


def test_every_kind_is_measured() -> None:
    assert {kind for path in MEASURED for kind in kinds_of(load(path)[0])} == set(LABELS)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one row"):
        Answers({"label": np.zeros(0)})
    with pytest.raises(ValueError, match="equally long"):
        Answers({"label": np.zeros(2), "prediction": np.zeros(3)})
    with pytest.raises(UserError, match="do not tell their prediction: measure the runs anew"):
        Accuracy()(Answers({"label": np.zeros(2, int)}))


def test_a_nan_score_makes_the_metric_nan() -> None:
    scores, labels = torch.tensor([[0.2, 0.8], [math.nan, math.nan]]), torch.tensor([1, 0])
    for metric in (of(Accuracy, "single_label", 2), of(F1, "single_label", 2)):
        assert math.isnan(metric(scores, labels))
        estimate = metric.estimate(scores, labels)
        assert math.isnan(estimate.value)
        assert math.isnan(estimate.low)
    assert math.isnan(of(Perplexity, "causal_lm", 0)(torch.tensor([1.0, math.nan]), torch.tensor([3, 4])))


def test_a_probability_a_hair_above_one_is_no_logit() -> None:
    # torchmetrics would apply a sigmoid to all scores, after which every one of these lies above 0.5.
    scores = torch.tensor([[1.0001, 0.2], [0.1, 0.9]])
    labels = torch.tensor([[1, 0], [0, 1]])
    assert of(Accuracy, "multi_label", 2)(scores, labels) == 1.0
    assert of(F1, "multi_label", 2)(scores, labels) == 1.0


def test_half_precision_and_gradients_are_accepted() -> None:
    scores = torch.tensor([[0.2, 0.8], [0.7, 0.3]], dtype=torch.bfloat16, requires_grad=True)
    assert of(Accuracy, "single_label", 2)(scores, torch.tensor([1, 0], dtype=torch.int32)) == 1.0
