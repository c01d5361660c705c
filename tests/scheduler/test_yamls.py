"""Every scheduler YAML through one suite: it scales each group alike and survives a checkpoint."""

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

ROOT = Path(__file__).resolve().parents[2]
YAMLS = sorted((ROOT / "conf/scheduler").glob("*.yaml"))

every_yaml = pytest.mark.parametrize("path", YAMLS, ids=lambda path: path.stem)


def step(scheduler: LRScheduler) -> None:
    scheduler.optimizer.step()
    scheduler.step()


def test_the_yamls_are_found() -> None:
    assert len(YAMLS) >= 6
    files = {path.stem for path in (ROOT / "src/noria/scheduler").glob("*.py")}
    assert {path.stem for path in YAMLS} == files - {"__init__", "warmup"}


def build(path: Path, optimizer: SGD, total: int, **changes: Any) -> LRScheduler:
    options = yaml.safe_load(path.read_text())
    module, name = options.pop("_target_").rsplit(".", 1)
    function = getattr(importlib.import_module(module), name)
    keywords = [p for p in inspect.signature(function).parameters.values() if p.kind is p.KEYWORD_ONLY]
    assert set(options) <= {parameter.name for parameter in keywords}
    return function(optimizer, total, **(options | changes))


@every_yaml
def test_every_group_follows_in_proportion(make_optimizer: Callable[..., SGD], path: Path) -> None:
    optimizer = make_optimizer(1.0, 0.01)
    scheduler = build(path, optimizer, 50)
    for _ in range(50):
        head, embeddings = scheduler.get_last_lr()
        assert 0 <= head <= 1
        assert embeddings == pytest.approx(0.01 * head)
        step(scheduler)


@every_yaml
def test_state_survives_a_checkpoint(make_optimizer: Callable[..., SGD], path: Path) -> None:
    optimizer = make_optimizer(1.0, 0.1)
    scheduler = build(path, optimizer, 40)
    for _ in range(17):
        step(scheduler)
    file = io.BytesIO()
    torch.save({"scheduler": scheduler.state_dict(), "optimizer": optimizer.state_dict()}, file)
    file.seek(0)
    saved = torch.load(file, weights_only=True)

    again = make_optimizer(1.0, 0.1)
    resumed = build(path, again, 40)
    again.load_state_dict(saved["optimizer"])
    resumed.load_state_dict(saved["scheduler"])
    assert resumed.last_epoch == 17
    for _ in range(23):
        assert [g["lr"] for g in again.param_groups] == [g["lr"] for g in optimizer.param_groups]
        step(scheduler)
        step(resumed)
    assert resumed.get_last_lr() == scheduler.get_last_lr()


@every_yaml
@pytest.mark.parametrize("total", [1, 2, 3, 5])
def test_a_dry_run_of_a_few_steps_works(make_optimizer: Callable[..., SGD], path: Path, total: int) -> None:
    scheduler = build(path, make_optimizer(1.0), total)
    rates = []
    for _ in range(total):
        rates.append(scheduler.get_last_lr()[0])
        step(scheduler)
    assert max(rates) > 0


@every_yaml
def test_a_warmup_as_long_as_the_training_is_the_users_mistake(make_optimizer: Callable[..., SGD], path: Path) -> None:
    with pytest.raises(UserError, match=r"warmup_steps=30 is not shorter than the training of 30 "):
        build(path, make_optimizer(1.0), 30, warmup_steps=30)
