from __future__ import annotations

import math

import pytest
import torch
from tests.metric.answered import of
from torchmetrics.functional.text import perplexity

from noria.metric.perplexity import Perplexity


@pytest.fixture
def rows() -> tuple[torch.Tensor, torch.Tensor, float]:
    """Mean losses and numbers of targets of 40 rows of very uneven length, and torchmetrics' perplexity of them."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(40, 30, 11, generator=generator)
    targets = torch.randint(0, 11, (40, 30), generator=generator)
    targets[torch.arange(30) >= torch.randint(1, 31, (40, 1), generator=generator)] = -100
    losses = torch.nn.functional.cross_entropy(logits.transpose(1, 2), targets, reduction="none")
    counts = (targets != -100).sum(1)
    return losses.sum(1) / counts, counts, float(perplexity(logits, targets, ignore_index=-100))


def test_it_is_that_of_torchmetrics(rows) -> None:
    scores, counts, wanted = rows
    assert of(Perplexity, "causal_lm", 0)(scores, counts) == pytest.approx(wanted, rel=1e-5)
    assert wanted != pytest.approx(math.exp(scores.mean()), rel=1e-3), "rows weigh by their targets"


def test_its_interval_resamples_rows(rows) -> None:
    scores, counts, wanted = rows
    estimate = of(Perplexity, "causal_lm", 0).estimate(scores, counts)
    assert estimate.low < wanted < estimate.high and estimate.n == 40
    spread = (counts * (scores - math.log(wanted))).double().std() / counts.double().mean() / math.sqrt(40)  # ratio
    assert math.log(estimate.high / estimate.low) == pytest.approx(2 * 1.96 * float(spread), rel=0.15)


def test_a_loss_beyond_all_measure() -> None:
    assert of(Perplexity, "causal_lm", 0)(torch.tensor([800.0]), torch.tensor([3])) == math.inf
