"""Measures an artifact on some splits and writes it all down: record, predictions, W&B."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from omegaconf import DictConfig
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from noria.artifact.bundle import Artifact, open_artifact
from noria.common.console import get_console
from noria.data.module import DataModule
from noria.data.rows.rows import Rows
from noria.data.rows.split import KEY_BYTES, keys
from noria.inference.evaluation import Evaluation
from noria.inference.runner import Runner
from noria.metric.base import Metric
from noria.stage.parts import device_of, own_kinds
from noria.task.generation.prompts import last_said
from noria.tracking.beside import beside
from noria.tracking.looks import look
from noria.tracking.record import Record, first_rank
from noria.tracking.record_file import PREDICTIONS, TRAIN_KEYS
from noria.tracking.wandb_logger import log_summary, log_tables

SAMPLE = 100  # predictions that W&B gets
ANSWERS = 5  # prompts that the model is asked
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
    labels = {"labels": data.labels} if data.labels else {}
    return {"fingerprint": data.fingerprint, "fingerprints": data.fingerprints, **labels, **data.report}


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
    shown = [name for name in ("id", "split", "label", "prediction", "loss") if name in predictions.column_names]
    sample = predictions.select(shown).slice(0, SAMPLE)
    log_tables({"predictions": (shown, list(zip(*(sample.column(c).to_pylist() for c in shown), strict=True)))})
    _show_answers(runner, data, splits[0], record)


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
        rows = bar.add_task(f"Evaluating {split}", total=len(data.encoded(split)))
        done = runner.measure(data, split, metrics, data.eval_batch_size, partial(bar.advance, rows))
        record.time(f"{split}_seconds", time.perf_counter() - started)
    return done


@beside("The samples")
def _show_answers(runner: Runner, data: DataModule, split: str, record: Record) -> None:
    """What the model says to a few prompts: in the run folder, in W&B, and the first of it on the terminal."""
    if not (prompts := data.prompts(split, ANSWERS)):
        return
    problems = [runner.answerer.problem(prompt) for prompt, _ in prompts]
    refused = [problem for problem in problems if problem]
    rows = [
        {"prompt": prompt, "reference": reference, **runner.answer([prompt], 1)[0]}
        for (prompt, reference), problem in zip(prompts, problems, strict=True)
        if not problem
    ]
    path = record.folder / "samples.jsonl"
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    record.data["paths"]["samples"] = str(path)
    if refused:
        get_console().print(f"{len(refused)} of {len(prompts)} samples are left out: {refused[0]}", style="yellow")
    record.write()
    said = [last_said(row["prompt"]) for row in rows]
    names = ("prompt", "reference", "response")
    log_tables(
        {"samples": (names, [(s, row["reference"], row["response"]) for s, row in zip(said, rows, strict=True)])}
    )
    for question, row in zip(said[:1], rows, strict=False):
        for word, text in (("asked", question), ("says ", row["response"])):
            get_console().print(Text.assemble((word, "bold"), " ", text))
