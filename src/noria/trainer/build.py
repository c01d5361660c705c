"""Makes the Lightning Trainer from plain values. Knows neither data nor model."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Literal

import lightning.pytorch as pl
from annotated_types import Ge, Gt, Interval
from lightning.pytorch.callbacks import Callback, Checkpoint
from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities.exceptions import MisconfigurationException

from noria.common.errors import UserError
from noria.trainer.checkpoint_io import AtomicCheckpointIO
from noria.trainer.precision import settled

log = logging.getLogger(__name__)

Precision = Literal["auto", "32-true", "bf16-mixed", "bf16-true", "16-mixed"]
MatmulPrecision = Literal["highest", "high", "medium"]
Share = Annotated[int, Ge(0)] | Annotated[float, Interval(ge=0, le=1)]
Every = Annotated[int, Gt(0)] | Annotated[float, Interval(gt=0, le=1)]
Count = Literal[-1] | Annotated[int, Gt(0)]


def build_trainer(
    callbacks: list[Callback],
    loggers: list[Logger],
    run_dir: str,
    *,
    accelerator: Literal["auto", "cpu", "gpu", "cuda", "mps", "tpu"] = "auto",
    devices: Literal["auto"] | Count | list[int] = "auto",
    num_nodes: Annotated[int, Gt(0)] = 1,
    strategy: Any = "auto",
    precision: Precision = "auto",
    max_epochs: Annotated[int, Ge(-1)] = 3,
    max_steps: Annotated[int, Ge(-1)] = -1,
    accumulate_grad_batches: Annotated[int, Gt(0)] = 1,
    gradient_clip_val: Annotated[float, Ge(0)] | None = None,
    gradient_clip_algorithm: Literal["norm", "value"] = "norm",
    val_check_interval: Every = 1.0,
    check_val_every_n_epoch: Annotated[int, Gt(0)] = 1,
    limit_train_batches: Share = 1.0,
    limit_val_batches: Share = 1.0,
    log_every_n_steps: Annotated[int, Gt(0)] = 10,
    deterministic: bool | Literal["warn"] = False,
    compile: bool = False,
    float32_matmul_precision: MatmulPrecision = "high",
    detect_anomaly: bool = False,
    profiler: Any = None,
) -> pl.Trainer:
    """Every key of `trainer`, as Lightning's Trainer names it.

    Args:
        callbacks, loggers: the objects themselves.
        run_dir: Lightning's default root.
        precision: `auto` takes the best that this hardware supports, and says which.
        limit_train_batches, limit_val_batches, val_check_interval: batches, or a share of the epoch.
        compile: tries `torch.compile` on some of the run's batches, and keeps it where it is quicker (`compiling.py`).
        float32_matmul_precision: of fp32 products on a GPU in training, as torch names them; `high` is TF32.

    Raises:
        UserError: values that Lightning refuses together.
    """
    found: Any  # a str, of which Lightning knows only some
    found, why = settled(precision, accelerator)
    if precision == "auto":
        log.info("precision: %s (%s)", found, why)
    with _plain_refusals():
        return pl.Trainer(
            accelerator=accelerator,
            devices=devices,
            num_nodes=num_nodes,
            strategy=strategy,
            precision=found,
            max_epochs=max_epochs,
            max_steps=max_steps,
            accumulate_grad_batches=accumulate_grad_batches,
            gradient_clip_val=gradient_clip_val or None,
            gradient_clip_algorithm=gradient_clip_algorithm if gradient_clip_val else None,
            val_check_interval=val_check_interval,
            check_val_every_n_epoch=check_val_every_n_epoch,
            limit_train_batches=limit_train_batches,
            limit_val_batches=limit_val_batches,
            log_every_n_steps=log_every_n_steps,
            deterministic=deterministic,
            detect_anomaly=detect_anomaly,
            profiler=profiler,
            callbacks=callbacks,
            plugins=[AtomicCheckpointIO()],
            logger=loggers,
            default_root_dir=run_dir,
            num_sanity_val_steps=0,  # the data has been checked before, with better messages
            use_distributed_sampler=False,  # the batches know their rank; Lightning's sampler pads with duplicates
            enable_model_summary=False,
            # False: Lightning would add one of its own
            enable_checkpointing=any(isinstance(callback, Checkpoint) for callback in callbacks),
        )


@contextmanager
def _plain_refusals() -> Iterator[None]:
    """What Lightning refuses is one sentence; it does so by any of these errors, also of what it reads of SLURM's."""
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*GPU available but not used.*")
            yield
    except (MisconfigurationException, ValueError, TypeError, RuntimeError, ImportError, OSError) as error:
        said = " ".join(str(error).split())
        where = "" if isinstance(error, MisconfigurationException) else " (it reads SLURM_… and NODE_RANK, too)"
        raise UserError(f"Lightning refuses these values of trainer: {said}{where}") from error
