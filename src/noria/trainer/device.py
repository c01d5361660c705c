"""Which device a single process computes on."""

from __future__ import annotations

import torch

from noria.common.hardware import device_type


def pick_device(accelerator: str) -> torch.device:
    """The device that Lightning's accelerator name means for a single process; the CPU where it names none of here."""
    return torch.device(device_type(accelerator, torch.cuda.is_available(), torch.backends.mps.is_available()))
