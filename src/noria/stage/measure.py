"""Measures an artifact on some splits and writes it all down: record, predictions, W&B."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from omegaconf import DictConfig
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from noria.artifact.bundle import Artifact, open_artifact
from noria.common.console import get_console
from noria.data.module import DataModule
from noria.inference.evaluation import Evaluation
from noria.inference.runner import Runner
from noria.metric.base import Metric
from noria.stage.parts import device_of, own_kinds
from noria.stage.samples import show_samples
from noria.tracking.beside import beside
from noria.tracking.looks import look
from noria.tracking.record import Record, first_rank
from noria.tracking.record_file import PREDICTIONS
from noria.tracking.wandb_logger import log_summary, log_tables

SAMPLE = 100  # predictions that W&B gets


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
    opened = open_artifact(artifact, own_kinds(cfg))
    settings = opened.kind.sample_settings(opened.network)
    runner = Runner(opened, precision, device_of(cfg), settings)
    done = [_evaluate(runner, data, split, metrics, record) for split in splits]
    estimates = {f"{e.split}/{name}": estimate for e in done for name, estimate in e.estimates.items()}
    record.data["metrics"] |= {name: estimate.as_dict() for name, estimate in estimates.items()}
    if trivial := {e.split: e.baselines for e in done if e.baselines}:
        record.data["baselines"] = {
            split: {kind: {name: one.as_dict() for name, one in found.items()} for kind, found in kinds.items()}
            for split, kinds in trivial.items()
        }
    if not done:  # data without a validation set, in a run that leaves the test set alone
        return
    predictions = pa.concat_tables([e.predictions for e in done])
    path = record.folder / PREDICTIONS
    pq.write_table(predictions, path)
    record.data["paths"]["predictions"] = str(path)
    if "test" in splits:
        with beside("The count of looks at this test set"):
            record.data["test_looks"] = look(Path(cfg.paths.runs), data.fingerprints["test"], record.folder)
    record.write()
    log_summary({f"final/{name}": estimate.value for name, estimate in estimates.items()})
    sample: dict[str, list[Any]] = {}
    left = SAMPLE
    for one in done:
        for name, values in opened.kind.form.shown(one.predictions.slice(0, left), data.splits[one.split]).items():
            sample.setdefault(name, []).extend(values)
        left -= min(left, len(one.predictions))
    log_tables({"predictions": (list(sample), list(zip(*sample.values(), strict=True)))})
    show_samples(runner, data, splits[0], record)


def measure_before(
    cfg: DictConfig,
    untrained: Artifact,
    data: DataModule,
    metrics: Mapping[str, Metric],
    record: Record,
    precision: str,
) -> None:
    """The validation set under the model as it comes: what training has to be better than. Rank 0 alone."""
    if not first_rank():
        return
    runner = Runner(untrained, precision, device_of(cfg))
    found = _evaluate(runner, data, "val", metrics, record).estimates
    record.data["metrics"] |= {f"before/val/{name}": estimate.as_dict() for name, estimate in found.items()}
    record.write()
    get_console().print("before:", ", ".join(f"val/{name} {estimate}" for name, estimate in found.items()))


def _evaluate(
    runner: Runner, data: DataModule, split: str, metrics: Mapping[str, Metric], record: Record
) -> Evaluation:
    """One split, with a bar and its time in the record."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=get_console(), transient=True) as bar:
        started = time.perf_counter()
        rows = bar.add_task(f"Evaluating {split}", total=runner.steps(data.encoded(split), metrics))
        done = runner.measure(data, split, metrics, data.eval_batch_size, partial(bar.advance, rows))
        record.time(f"{split}_seconds", time.perf_counter() - started)
    return done
