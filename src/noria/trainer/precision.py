"""The best floating-point precision that a piece of hardware supports. Knows nothing of models."""

from __future__ import annotations

import torch

from noria.common.hardware import machine


def best_precision(accelerator: str) -> tuple[str, str]:
    """Lightning's name of the precision, and why: bf16 where the hardware multiplies it, else fp32.

    fp16 is never chosen: its loss scaling skips steps, so that a run on one machine would not be that of another.
    """
    on_gpu = torch.cuda.is_available() and accelerator in ("auto", "gpu", "cuda")
    if on_gpu:
        name = torch.cuda.get_device_name()
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return "bf16-mixed", f"{name} multiplies bf16"
        return "32-true", f"{name} does not multiply bf16"
    if accelerator in ("auto", "cpu") and not torch.backends.mps.is_available() and machine().cpu_has_bf16:
        return "bf16-mixed", "this CPU multiplies bf16"
    return "32-true", "this hardware does not multiply bf16"
