"""`stage=evaluate`: measure an artifact on a split of any data that fits it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import lightning.pytorch as pl
from hydra.utils import instantiate
from omegaconf import DictConfig
from rich import get_console

from noria.artifact import bundle
from noria.common.errors import UserError
from noria.stage import show
from noria.stage.parts import make_loggers, make_metrics, summary_modes
from noria.stage.report import data_facts, evaluate_and_record
from noria.stage.run import open_record, plain, recording
from noria.tracking.run_info import RunInfo
from noria.trainer.precision import best_precision


def evaluate(
    cfg: DictConfig, choices: dict[str, Any], multirun: bool, *, split: Literal["train", "val", "test"] = "test"
) -> None:
    """The artifact's saved config is the base; what was typed overrides it.

    Args:
        split: which rows; looking at `test` is counted.

    Raises:
        UserError: no such split; the data's labels are not the artifact's.
    """
    artifact = Path(cfg.artifact)
    facts = bundle.read_facts(artifact)
    record = open_record(cfg, "evaluate", choices)
    with recording(record):
        record.data["paths"]["artifact"] = str(artifact)
        pl.seed_everything(cfg.seed, workers=True, verbose=False)

        tokenizer = bundle.open_tokenizer(artifact)
        data = instantiate(cfg.data, facts["kind"], tokenizer, cfg.seed, facts["labels"])
        data.setup()
        if split not in data.splits:
            raise UserError(f"stage.split={split}: this data has no such split, only {', '.join(data.splits)}.")
        show.data(data)
        if data.fingerprints[split] == facts["data"]["fingerprints"]["train"]:
            get_console().print("[yellow]These are the very rows that the artifact was trained on.[/yellow]")
        record.update(data=data_facts(data))

        metrics = make_metrics(cfg.metric, facts["kind"], data.num_labels)
        modes = summary_modes(metrics)
        info = RunInfo(
            record.folder, record.data["experiment"], "evaluate", record.data["wandb"]["id"], plain(cfg), modes
        )
        make_loggers(cfg.logger, info)
        precision = cfg.trainer.precision
        if precision == "auto":
            precision, _ = best_precision(cfg.trainer.accelerator)
        evaluate_and_record(cfg, artifact, data, [split], metrics, record, precision)
        show.metrics(record)
        show.where(record)
