"""The training after something was cut from an artifact: a fit of its own, inside the run that cuts."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from noria.artifact import bundle
from noria.artifact.bundle import COMPRESSION
from noria.common.names import LAST_CHECKPOINT
from noria.stage.child import FIT, child_fit, trained_on
from noria.stage.run import plain
from noria.tracking.record_file import DONE, FILE, read_record

DISTILLATION = "noria.task.wrapper.distillation.Distillation"
ZEROS = {"_target_": "noria.callback.zeros.KeepZeros"}


def recovered(
    cfg: DictConfig, choices: dict[str, Any], cut: Path, folder: Path, epochs: int, zeros: bool, teacher: Path | None
) -> Path:
    """The artifact of a fit that starts from one that something was cut from.

    A fit that has left a checkpoint in the folder goes on from there, and one that is done is not done again.

    Args:
        cfg, choices: those of the stage around it; what they say of data, optimiser and trainer holds for the fit.
        cut: the artifact to start from.
        folder: of the fit.
        zeros: weights that are zero stay so.
        teacher: an artifact that is learnt from as well; None: from the labels alone.
    """
    artifact = folder / "artifact"
    if not ((folder / FILE).is_file() and read_record(folder).get("status") == DONE):
        goes_on = (folder / LAST_CHECKPOINT).is_file()
        if not goes_on:
            shutil.rmtree(folder, ignore_errors=True)
        config = plain(cfg)
        callbacks = {**(config.get("callback") or {}), **({"zeros": ZEROS} if zeros else {})}
        trainer = {**config["trainer"], "max_epochs": epochs, "max_steps": -1}
        taught = {} if teacher is None else {"wrapper": {"_target_": DISTILLATION, "teacher": str(teacher)}}
        child_fit(
            OmegaConf.create({**config, "callback": callbacks, "trainer": trainer, "compression": None}),
            {
                **{name: choice for name, choice in choices.items() if not name.startswith("compression")},
                "model": "hub",
            },
            folder,
            stage={**FIT, "dtype": bundle.read_facts(cut)["dtype"]},
            task={**config["task"], **taught},
            model=trained_on(cut, config["model"]),
            resume=str(folder) if goes_on else None,
        )
    facts = bundle.read_facts(artifact)
    bundle.write_facts(artifact, {**facts, COMPRESSION: bundle.read_facts(cut)[COMPRESSION]})
    return artifact
