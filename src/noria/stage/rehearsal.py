"""Tries, before the first step, what comes after the last one, so that no training is lost to it.

Knows what a fit leaves; trains nothing and measures nothing.
"""

from __future__ import annotations

import logging
import shutil
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch.utilities.seed import isolate_rng
from torch import nn

from noria.artifact import bundle
from noria.artifact.bundle import class_path
from noria.callback.monitored import no_value
from noria.common.errors import RunError, UserError
from noria.data.module import DataModule
from noria.inference.runner import Runner
from noria.metric.base import Metric
from noria.stage.exits import no_room
from noria.stage.samples import PROMPTS
from noria.task.kind import Kind
from noria.task.learner import NOTHING_COUNTS, Learner

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

log = logging.getLogger(__name__)


def rehearse(
    trainer: pl.Trainer,
    data: DataModule,
    learner: Learner,
    kind: Kind,
    splits: Sequence[str],
    metrics: Mapping[str, Metric],
    monitored: Sequence[str],
    facts: dict[str, Any],
    resumed: bool,
) -> None:
    """Everything that this file tries, for a fit that is about to begin.

    Args:
        trainer: its default root is the run folder.
        kind: what the artifact is to do.
        splits: those that will be measured at the end.
        monitored: the numbers that something of the run goes by, `val/…`.
        facts: what `noria.yaml` will say.
        resumed: an earlier part of the run has written what is tried here.

    Raises:
        UserError, RunError, OSError: what cannot be done, as the functions below say it.
    """
    assert data.row_weights is not None and data.tokenizer is not None
    try_weights(data.row_weights)
    try_metrics(data, kind, splits, metrics, monitored if trainer.limit_val_batches else ())
    if resumed:
        return
    for callback in trainer.checkpoint_callbacks:
        if folder := getattr(callback, "dirpath", None):
            try_folder(Path(folder))
    prompts = data.prompts(splits[0], PROMPTS) if splits else []
    try_artifact(Path(trainer.default_root_dir), learner.network, data.tokenizer, kind, facts, prompts)


def try_weights(weights: np.ndarray) -> None:
    """Refuses training rows (weights of each) that all count with nothing.

    Raises:
        UserError: so that there is nothing to learn, or a weight is no number.
    """
    if not np.isfinite(weights).all():
        raise UserError("A training row has a weight that is no finite number: task.class_weights must be numbers.")
    if not weights.sum() > 0:
        raise UserError(
            f"All {len(weights):,} training rows count with weight 0, so there is nothing to learn: give a class that "
            "stands in train a weight above 0 (task.class_weights)."
        )


def try_metrics(
    data: DataModule, kind: Kind, splits: Sequence[str], metrics: Mapping[str, Metric], monitored: Sequence[str]
) -> None:
    """Reads and encodes each split, and computes every metric on its labels with scores that are made up.

    Args:
        monitored: the numbers that something of the run goes by, `val/…`.

    Raises:
        UserError: a split cannot be read, or a monitored number has no value on these labels whatever the model is.
    """
    for split in splits:
        encoded = data.encoded(split)
        lacking = {f"{split}/loss": NOTHING_COUNTS} if split == "val" and not kind.weights(encoded).any() else {}
        answers = kind.form.read(kind.form.decide(kind.form.made_up(encoded), encoded, np.arange(len(encoded))))
        for name, metric in metrics.items():
            if not metric.fits(answers):
                continue
            if why := metric.undefined(answers):
                lacking[f"{split}/{name}"] = why
        if wanted := next((name for name in monitored if name in lacking), None):
            names = [f"{split}/{name}" for name in ("loss", *metrics)]
            raise UserError(no_value(wanted, lacking[wanted], [name for name in names if name not in lacking]))
        for name, why in lacking.items():
            log.warning("%s has no value on these rows: %s.", name, why)


def try_folder(folder: Path) -> None:
    """Writes into a folder, which is made, and takes what it has written away.

    Raises:
        UserError: that is not possible.
    """
    trial = folder / ".rehearsal"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        trial.touch()
        trial.unlink()
    except OSError as error:
        raise UserError(f"No checkpoint can be written to {folder} ({error.strerror}): name another folder.") from error


def try_artifact(
    folder: Path,
    network: nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    kind: Kind,
    facts: dict[str, Any],
    prompts: list[tuple[Any, str]],
) -> None:
    """Saves an artifact of the untrained network inside the run folder, opens it again, and takes it away.

    Args:
        prompts: what the model is asked at the end: those that it has no room for are said.

    Raises:
        UserError: the network cannot save itself, or what was saved cannot be opened.
        RunError: it cannot be saved.
        OSError: the folder cannot be written, or has no room for it.
    """
    if not hasattr(network, "save_pretrained"):
        raise UserError(
            f"The network that this model gives ({type(network).__name__}) has no save_pretrained, so no artifact "
            "could be saved: make it a transformers PreTrainedModel whose folder transformers' auto classes open."
        )
    place = folder / ".rehearsal"
    try:
        with isolate_rng():  # opening draws random numbers; no run is to depend on that
            bundle.save(place / "artifact", network, tokenizer, kind, facts)
            opened = bundle.open_artifact(place / "artifact", [class_path(kind)])
            if prompts:
                settings = kind.sample_settings(opened.network)
                answerer = Runner(opened, "32-true", torch.device("cpu"), settings).answerer
                for why in filter(None, (answerer.problem(prompt) for prompt, _ in prompts)):
                    log.warning("A sample will be left out: %s.", why)
    except (UserError, RunError, OSError):
        raise
    except Exception as error:  # out of transformers, or of a component of the user's
        if reason := no_room(error):
            raise RunError(f"The run folder {folder} cannot be written ({reason}), so nothing was trained.") from error
        where = traceback.extract_tb(error.__traceback__)[-1]
        raise RunError(
            "This model cannot be saved as an artifact and opened again, so nothing was trained "
            f"({type(error).__name__}: {' '.join(str(error).split())[:300]}; {Path(where.filename).name}, line "
            f"{where.lineno})."
        ) from error
    finally:
        shutil.rmtree(place, ignore_errors=True)
