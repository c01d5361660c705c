"""Every scheduler YAML through one suite: it scales groups alike, survives a checkpoint, lives through a fit."""

from __future__ import annotations

import importlib
import inspect
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch.optim import SGD
from torch.optim.lr_scheduler import LRScheduler

from noria.common.errors import UserError

GROUP = "scheduler"
ROOT = Path(__file__).resolve().parents[2]


def step(scheduler: LRScheduler) -> None:
    scheduler.optimizer.step()
    scheduler.step()


def make_optimizer(*rates: float) -> SGD:
    """A group for each rate."""
    return SGD([{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": rate} for rate in rates], lr=rates[0])


def test_the_yamls_are_found(found: list[str]) -> None:
    files = {path.stem for path in (ROOT / "src/noria/scheduler").glob("*.py")}
    assert set(found) == files - {"__init__", "warmup"}


def test_a_fit_with_it(life: Callable[..., dict[str, Any]], choice: str) -> None:
    life(f"scheduler={choice}", "stage.test=false")


def build(choice: str, optimizer: SGD, total: int, **changes: Any) -> LRScheduler:
    options = yaml.safe_load((ROOT / f"conf/scheduler/{choice}.yaml").read_text())
    module, name = options.pop("_target_").rsplit(".", 1)
    function = getattr(importlib.import_module(module), name)
    keywords = [p for p in inspect.signature(function).parameters.values() if p.kind is p.KEYWORD_ONLY]
    assert set(options) <= {parameter.name for parameter in keywords}
    return function(optimizer, total, **(options | changes))


def test_every_group_follows_in_proportion(choice: str) -> None:
    optimizer = make_optimizer(1.0, 0.01)
    scheduler = build(choice, optimizer, 50)
    for _ in range(50):
        head, embeddings = scheduler.get_last_lr()
        assert 0 <= head <= 1
        assert embeddings == pytest.approx(0.01 * head)
        step(scheduler)


def test_state_survives_a_checkpoint(choice: str) -> None:
    optimizer = make_optimizer(1.0, 0.1)
    scheduler = build(choice, optimizer, 40)
    for _ in range(17):
        step(scheduler)
    file = io.BytesIO()
    torch.save({"scheduler": scheduler.state_dict(), "optimizer": optimizer.state_dict()}, file)
    file.seek(0)
    saved = torch.load(file, weights_only=True)

    again = make_optimizer(1.0, 0.1)
    resumed = build(choice, again, 40)
    again.load_state_dict(saved["optimizer"])
    resumed.load_state_dict(saved["scheduler"])
    assert resumed.last_epoch == 17
    for _ in range(23):
        assert [g["lr"] for g in again.param_groups] == [g["lr"] for g in optimizer.param_groups]
        step(scheduler)
        step(resumed)
    assert resumed.get_last_lr() == scheduler.get_last_lr()


@pytest.mark.parametrize("total", [1, 2, 3, 5])
def test_a_dry_run_of_a_few_steps_works(choice: str, total: int) -> None:
    scheduler = build(choice, make_optimizer(1.0), total)
    rates = []
    for _ in range(total):
        rates.append(scheduler.get_last_lr()[0])
        step(scheduler)
    assert max(rates) > 0


def test_a_warmup_as_long_as_the_training_is_the_users_mistake(choice: str) -> None:
    with pytest.raises(UserError, match=r"warmup_steps=30 is not shorter than the training of 30 "):
        build(choice, make_optimizer(1.0), 30, warmup_steps=30)
