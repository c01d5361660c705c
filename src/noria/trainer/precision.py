"""The best floating-point precision that a piece of hardware supports. Knows nothing of models."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from noria.common.hardware import machine
from noria.trainer.device import pick_device


def best_precision(accelerator: str) -> tuple[str, str]:
    """Lightning's name of the precision, and why: bf16 where the hardware multiplies it, else fp32.

    fp16 is never chosen: its loss scaling skips steps, so that a run on one machine would not be that of another.
    """
    device = pick_device(accelerator).type
    if device == "cuda":
        name = torch.cuda.get_device_name()
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return "bf16-mixed", f"{name} multiplies bf16"
        return "32-true", f"{name} does not multiply bf16"
    if device == "cpu" and accelerator in ("auto", "cpu") and machine().cpu_has_bf16:
        return "bf16-mixed", "this CPU multiplies bf16"
    return "32-true", "this hardware does not multiply bf16"


def settled(precision: str, accelerator: str) -> tuple[str, str]:
    """The precision itself, and why: what was asked for, or the best of this hardware where that was `auto`."""
    return best_precision(accelerator) if precision == "auto" else (precision, "as asked for")


@contextmanager
def matmul_precision(name: str, device: str) -> Iterator[None]:
    """Fp32 matrix products of that precision (`torch.set_float32_matmul_precision`) on a CUDA device, until the end.

    Elsewhere they stay exact: on a CPU the setting would mean bf16.
    """
    before = torch.get_float32_matmul_precision()
    if device == "cuda":
        torch.set_float32_matmul_precision(name)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
