"""The base of all metrics: what it refuses, and every YAML through one suite."""

from __future__ import annotations

import ast
import importlib
import inspect
import math
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from noria.common.errors import UserError
from noria.metric.accuracy import Accuracy
from noria.metric.base import Metric
from noria.metric.f1 import F1
from noria.metric.mse import MSE
from noria.metric.perplexity import Perplexity

ROOT = Path(__file__).resolve().parents[2]
YAMLS = sorted((ROOT / "conf/metric").glob("*.yaml"))


def test_the_yamls_are_found() -> None:
    assert len(YAMLS) >= 9
    files = {path.stem for path in (ROOT / "src/noria/metric").glob("*.py")} - {"__init__", "base"}
    assert files == {path.stem for path in YAMLS}


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


@pytest.mark.parametrize("path", YAMLS, ids=lambda path: path.stem)
def test_every_yaml_gives_a_number_with_its_interval(path: Path) -> None:
    target, options = load(path)
    keywords = {
        name: parameter
        for name, parameter in inspect.signature(target.__init__).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }
    assert set(options) <= set(keywords)
    assert target.kinds
    for kind in target.kinds:
        metric = target(kind, LABELS[kind], **options)
        scores, labels = example(kind)
        estimate = metric.estimate(scores, labels, resamples=50, seed=1)
        assert estimate.value == pytest.approx(metric(scores, labels), abs=1e-6)
        assert estimate.low < estimate.value < estimate.high
        assert estimate.n == 60
        assert metric.estimate(scores, labels, resamples=50, seed=1) == estimate


@pytest.mark.parametrize("path", YAMLS, ids=lambda path: path.stem)
def test_better_scores_move_the_metric_the_way_its_mode_says(path: Path) -> None:
    target, options = load(path)
    for kind in target.kinds:
        metric = target(kind, LABELS[kind], **options)
        scores, labels = example(kind)
        perfect, given = metric(best(kind, labels), labels), metric(scores, labels)
        assert perfect > given if target.mode == "max" else perfect < given


@pytest.mark.parametrize("path", YAMLS, ids=lambda path: path.stem)
def test_kinds_and_mode_can_be_read_without_importing(path: Path) -> None:
    target, _ = load(path)
    tree = ast.parse((ROOT / f"src/noria/metric/{path.stem}.py").read_text())
    body = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == target.__name__)
    written = {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in body.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
    assert written == {"kinds": target.kinds, "mode": target.mode}
    assert set(target.kinds) <= set(LABELS)
    assert target.mode in ("max", "min")


@pytest.mark.parametrize("path", YAMLS, ids=lambda path: path.stem)
def test_one_row_works(path: Path) -> None:
    target, options = load(path)
    for kind in target.kinds:
        metric = target(kind, LABELS[kind], **options)
        scores, labels = example(kind, rows=1)
        assert isinstance(metric(scores, labels), float)
        assert metric.estimate(scores, labels, resamples=5).n == 1


def test_every_kind_is_measured() -> None:
    assert {kind for path in YAMLS for kind in load(path)[0].kinds} == set(LABELS)


def test_a_metric_of_the_wrong_kind_is_the_users_mistake() -> None:
    with pytest.raises(UserError, match=r"MSE .* measures regression, and the task is single_label"):
        MSE("single_label", 2)
    with pytest.raises(UserError, match=r"Accuracy .* measures .*, and the task is causal_lm"):
        Accuracy("causal_lm", 0)


@pytest.mark.parametrize(
    ("scores", "labels", "message"),
    [
        (torch.empty(0, 2), torch.empty(0, dtype=torch.long), "at least one row"),
        (torch.rand(3, 3), torch.tensor([0, 1, 1]), r"scores must have shape \(3, 2\)"),
        (torch.rand(3, 2), torch.tensor([[0], [1], [1]]), r"labels must have shape \(3,\)"),
        (torch.rand(3, 2), torch.tensor([0, 1, 2]), r"0\.\.1, got 0\.\.2"),
        (torch.rand(3, 2), torch.tensor([0, 1, -100]), r"got -100\.\.1"),
        (torch.tensor([[3.0, -2.0]]), torch.tensor([0]), "probabilities"),
    ],
)
def test_what_does_not_fit_is_refused(scores: torch.Tensor, labels: torch.Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Accuracy("single_label", 2)(scores, labels)


@pytest.mark.parametrize(
    ("scores", "labels", "message"),
    [
        (torch.empty(0), torch.empty(0, dtype=torch.long), "at least one row"),
        (torch.rand(3, 2), torch.tensor([1, 2, 3]), r"causal_lm scores must have shape \(3,\), got \(3, 2\)"),
        (torch.rand(3), torch.ones(3, 2), r"causal_lm labels must have shape \(3,\), got \(3, 2\)"),
        (torch.rand(2), torch.tensor([1, 2, 3]), r"causal_lm scores must have shape \(3,\), got \(2,\)"),
    ],
)
def test_losses_that_do_not_fit_are_refused(scores: torch.Tensor, labels: torch.Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Perplexity("causal_lm", 0)(scores, labels)


def test_a_nan_score_makes_the_metric_nan() -> None:
    scores, labels = torch.tensor([[0.2, 0.8], [math.nan, math.nan]]), torch.tensor([1, 0])
    for metric in (Accuracy("single_label", 2), F1("single_label", 2)):
        assert math.isnan(metric(scores, labels))
        estimate = metric.estimate(scores, labels)
        assert math.isnan(estimate.value)
        assert math.isnan(estimate.low)
    assert math.isnan(Perplexity("causal_lm", 0)(torch.tensor([1.0, math.nan]), torch.tensor([3, 4])))


def test_a_probability_a_hair_above_one_is_no_logit() -> None:
    # torchmetrics would apply a sigmoid to all scores, after which every one of these lies above 0.5.
    scores = torch.tensor([[1.0001, 0.2], [0.1, 0.9]])
    labels = torch.tensor([[1, 0], [0, 1]])
    assert Accuracy("multi_label", 2)(scores, labels) == 1.0
    assert F1("multi_label", 2)(scores, labels) == 1.0


def test_half_precision_and_gradients_are_accepted() -> None:
    scores = torch.tensor([[0.2, 0.8], [0.7, 0.3]], dtype=torch.bfloat16, requires_grad=True)
    assert Accuracy("single_label", 2)(scores, torch.tensor([1, 0], dtype=torch.int32)) == 1.0
