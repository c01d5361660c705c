"""The precision that `auto` takes, by what the hardware can do; and the names that Lightning knows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, get_args

import lightning.pytorch as pl
import pytest
import torch

from noria.common.hardware import machine
from noria.trainer import precision
from noria.trainer.build import Precision
from noria.trainer.precision import best_precision, matmul_precision


@pytest.mark.parametrize(("has_bf16", "name"), [(True, "bf16-mixed"), (False, "32-true")])
@pytest.mark.parametrize("accelerator", ["cpu", "auto"])
def test_a_cpu(monkeypatch: pytest.MonkeyPatch, accelerator: str, has_bf16: bool, name: str) -> None:
    if accelerator == "auto":
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    cpu = replace(machine(), cpu_has_bf16=has_bf16)
    monkeypatch.setattr(precision, "machine", lambda: cpu)
    found, why = best_precision(accelerator)
    assert found == name and ("not" in why) == (not has_bf16)


@pytest.mark.parametrize(("has_bf16", "name"), [(True, "bf16-mixed"), (False, "32-true")])
def test_a_gpu(monkeypatch: pytest.MonkeyPatch, has_bf16: bool, name: str) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Some GPU")
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: has_bf16)
    found, why = best_precision("auto")
    assert found == name and why.startswith("Some GPU")
    assert best_precision("cpu")[1].split()[1] != "GPU", "a CPU was asked for"


def test_lightning_knows_every_name() -> None:
    names = [name for name in get_args(Precision) if name not in ("auto", "16-mixed")]  # fp16 needs a GPU
    assert len(names) >= 3
    for name in names:
        quiet: dict[str, Any] = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
        assert pl.Trainer(accelerator="cpu", precision=name, **quiet).precision == name


@pytest.mark.parametrize(("device", "inside"), [("cuda", "high"), ("cpu", "highest"), ("mps", "highest")])
def test_tf32_is_for_cuda_and_ends_with_training(device: str, inside: str) -> None:
    assert torch.get_float32_matmul_precision() == "highest"
    with pytest.raises(KeyboardInterrupt), matmul_precision("high", device):
        assert torch.get_float32_matmul_precision() == inside
        raise KeyboardInterrupt
    assert torch.get_float32_matmul_precision() == "highest"
