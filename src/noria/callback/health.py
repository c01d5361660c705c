"""Whether a network is still made of numbers, and what is said of one that is not. Knows no loss and no metric."""

from __future__ import annotations

import lightning.pytorch as pl
import torch
from torch.distributed.tensor import DTensor

from noria.common.errors import RunError


def broken_weights(module: pl.LightningModule) -> list[str]:
    """The names of the weight tensors that hold NaN or an infinite value; of FSDP's those in this rank's share."""
    own = {n: p.to_local() if isinstance(p, DTensor) else p for n, p in module.named_parameters()}
    return [name for name, parameter in own.items() if not torch.isfinite(parameter).all()]


def diverged(what: str, trainer: pl.Trainer, module: pl.LightningModule) -> RunError:
    """The end of a run that has diverged: what became of it, where, and what usually helps.

    Args:
        what: a sentence without its end, such as "The training loss became nan".
    """
    broken = broken_weights(module)
    weights = f"{len(broken)} weight tensors hold NaN (first: {broken[0]})" if broken else "the weights are finite"
    rate = trainer.optimizers[0].param_groups[0]["lr"]
    return RunError(
        f"{what} near step {trainer.global_step} (learning rate {rate:.2g}; {weights}). Lower optimizer.lr, lengthen "
        "scheduler.warmup_steps, clip harder (trainer.gradient_clip_val=0.5), or use precision=fp32 in place of fp16."
    )
