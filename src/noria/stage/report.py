"""Measures an artifact on some splits and writes it all down: record, predictions, W&B."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from omegaconf import DictConfig
from rich import get_console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from noria.artifact.bundle import open_artifact
from noria.data.rows import Rows
from noria.data.split import KEY_BYTES, keys
from noria.data.module import DataModule
from noria.inference.classifier import Classifier
from noria.inference.device import pick_device
from noria.inference.evaluation import Evaluation, evaluate
from noria.metric.base import Metric
from noria.tracking.looks import look
from noria.tracking.record import Record, first_rank
from noria.tracking.wandb_logger import log_summary, log_tables

SAMPLE = 100
TRAIN_KEYS = "train_keys.npy"
KEY = f"S{KEY_BYTES}"


def keep_train_keys(data: DataModule, record: Record) -> None:
    """Leaves the hashes of the training texts in the run folder, not in the artifact, which may be shared."""
    if first_rank():
        np.save(record.folder / TRAIN_KEYS, np.frombuffer(b"".join(keys(data.splits["train"])), dtype=KEY))


def trained_on(artifact: Path, rows: Rows) -> int | None:
    """How many of the rows the artifact was trained on; None where its run folder is not around it."""
    path = artifact.parent / TRAIN_KEYS
    if not path.is_file():
        return None
    seen = np.load(path, allow_pickle=False)
    return int(np.isin(np.frombuffer(b"".join(keys(rows)), dtype=KEY), seen).sum())


def data_facts(data: DataModule) -> dict[str, Any]:
    """What the record says of the data."""
    return {"fingerprint": data.fingerprint, "fingerprints": data.fingerprints, **data.report}


def evaluate_and_record(
    cfg: DictConfig,
    artifact: Path,
    data: DataModule,
    splits: list[str],
    metrics: Mapping[str, Metric],
    record: Record,
    precision: str,
) -> None:
    """Opens the artifact, measures each split, and leaves estimates, `predictions.parquet` and a W&B sample.

    What is measured is the artifact as others will open it, not the network that happens to be in memory.
    """
    classifier = Classifier(open_artifact(artifact), precision, pick_device(cfg.trainer.get("accelerator", "auto")))
    done: list[Evaluation] = []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=get_console(), transient=True) as bar:
        for split in splits:
            started = time.perf_counter()
            rows = bar.add_task(f"Evaluating {split}", total=len(data.splits[split]))
            done.append(evaluate(classifier, data, split, metrics, data.eval_batch_size, partial(bar.advance, rows)))
            record.time(f"{split}_seconds", time.perf_counter() - started)
    estimates = {f"{e.split}/{name}": estimate for e in done for name, estimate in e.estimates.items()}
    record.data["metrics"] |= {name: estimate.as_dict() for name, estimate in estimates.items()}
    if not done:  # data without a validation set, in a run that leaves the test set alone
        return
    predictions = pa.concat_tables([e.predictions for e in done])
    path = record.folder / "predictions.parquet"
    pq.write_table(predictions, path)
    record.data["paths"]["predictions"] = str(path)
    if "test" in splits:
        record.data["test_looks"] = look(Path(cfg.paths.runs), data.fingerprints["test"], record.folder)
    record.write()
    log_summary({f"final/{name}": estimate.value for name, estimate in estimates.items()})
    shown = [name for name in ("id", "split", "label", "prediction", "loss") if name in predictions.column_names]
    sample = predictions.select(shown).slice(0, SAMPLE)
    log_tables({"predictions": (shown, list(zip(*(sample.column(c).to_pylist() for c in shown), strict=True)))})
