"""What an artifact that was made of another one is worth: the same rows answered by both, and timed in turn.

And where such a one may go.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
from hydra.utils import instantiate
from omegaconf import DictConfig
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from noria.artifact import bundle
from noria.common.console import get_console
from noria.common.errors import UserError
from noria.common.hardware import cpu_flags, cpu_name
from noria.common.names import ARTIFACT_FILE
from noria.comparison.rules import Rules
from noria.compression.artifact import network_bytes
from noria.compression.gate import AFTER, BEFORE, judged, speaks_against
from noria.compression.memory import peaks
from noria.compression.pace import TOGETHER, Pace, calls, paces, some
from noria.compression.writing import ASKED, SHORT, writing_calls, writing_paces
from noria.data.module import DataModule
from noria.inference.evaluation import Evaluation
from noria.inference.runner import Runner
from noria.report.gate import show
from noria.stage.inputs import data_facts
from noria.stage.parts import device_of, make_metrics, open_form, own_kinds, precision_of
from noria.tracking.record import Record
from noria.tracking.record_file import PREDICTIONS

TOKENS = 16384  # that are answered for the peak of memory, about


def place_for(source: Path, output: str | None, overwrite: bool, record: Record) -> Path:
    """Where the new artifact goes: `stage.output`, or into the run's folder.

    Raises:
        UserError: something lies there that may not be written over.
    """
    goal = Path(output) if output else record.folder / "artifact"
    if goal.resolve() == source.resolve():
        raise UserError(f"stage.output={goal} is the artifact itself, which would be lost: name another folder.")
    if goal.exists() and not (overwrite and (goal / ARTIFACT_FILE).is_file()):
        raise UserError(
            f"stage.output={goal} is there already: name another folder, or type stage.overwrite=true to write an "
            "artifact anew."
        )
    return goal


def hold_against(cfg: DictConfig, record: Record, before: Path, after: Path, split: str | None, margin: float) -> None:
    """Measures the new artifact beside the one that it was made of, writes into both the record and the artifact what
    speaks against it, and shows all that.

    Args:
        split: None: nothing is measured.

    Raises:
        UserError: the data have no such split; the artifact is then marked as not measured.
    """
    record.data["paths"] |= {"artifact": str(after), "source": str(before.resolve())}
    console = get_console()
    if split is not None:
        unproven = {"against": ["it has not been measured to the end"], "split": split, "margin": margin}
        bundle.write_facts(after, {**bundle.read_facts(after), "gate": unproven})
        data = _data(cfg, before, split)
        record.update(data=data_facts(data))
        found, answers = measured(cfg, data, before, after, split, margin)
        sizes = {BEFORE: network_bytes(before), AFTER: network_bytes(after)}
        record.update(gate=found, costs={name: {**one, "bytes": sizes[name]} for name, one in found["pace"].items()})
        keep_answers(record, answers)
        bundle.write_facts(after, {**bundle.read_facts(after), "gate": {**unproven, "against": found["against"]}})
        show(found, sizes)
    console.print(f"artifact: {after}", highlight=False, markup=False)
    console.print(f"next:     noria stage=evaluate artifact={after}", highlight=False, markup=False)


def keep_answers(record: Record, answers: Evaluation) -> None:
    """Leaves the new artifact's answers and metrics as `stage=evaluate` does, so that `stage=compare` can tell it from
    others."""
    path = record.folder / PREDICTIONS
    pq.write_table(answers.predictions, path)
    estimates = {f"{answers.split}/{name}": one.as_dict() for name, one in answers.estimates.items()}
    record.data["paths"]["predictions"] = str(path)
    record.update(metrics=estimates)


def measured(
    cfg: DictConfig, data: DataModule, before: Path, after: Path, split: str, margin: float
) -> tuple[dict[str, Any], Evaluation]:
    """Both artifacts on the rows of a split.

    Returns:
        What `noria.compression.gate.judged` says, the `pace` of both (`noria.compression.pace.Pace`) with the
        `peak_memory` in bytes of a process that answers with it, how many `times` as long or as much the second takes
        or gives (with the interval), the `machine` on which that holds, and as `against` in words what speaks against
        the second: nothing where it is kept. And the second one's answers.
    """
    metrics = make_metrics(cfg.metric)
    folders = {BEFORE: before, AFTER: after}
    runners = {
        name: Runner(bundle.open_artifact(folder, own_kinds(cfg)), precision_of(cfg), device_of(cfg), SHORT)
        for name, folder in folders.items()
    }
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    encoded = data.encoded(split)
    with Progress(*columns, console=get_console(), transient=True) as bar:
        done = {}
        for name, runner in runners.items():
            task = bar.add_task(f"Answering {split}, {name}", total=runner.steps(encoded, metrics))
            done[name] = runner.measure(data, split, metrics, data.eval_batch_size, partial(bar.advance, task))
        pace = _paces(runners, data, split, bar)
        bar.add_task("Answering in a process of its own, for the memory", total=None)
        rows = some(encoded, max(1, min(TOGETHER, TOKENS // max(int(np.mean(encoded.lengths)), 1))))
        memory = peaks(folders, own_kinds(cfg), precision_of(cfg), device_of(cfg), encoded, rows, data.eval_batch_size)
    found = judged(runners[BEFORE].form, metrics, done[BEFORE], done[AFTER], Rules(margin=margin))
    said = {
        **found,
        "pace": {name: {**one.as_dict(), "peak_memory": memory[name]} for name, one in pace.items()},
        "times": {name: one.as_dict() for name, one in pace[AFTER].times(pace[BEFORE]).items()},
        "machine": {"cpu": cpu_name(), "flags": cpu_flags(), "threads": torch.get_num_threads()},
        "against": speaks_against(found, pace),
    }
    return said, done[AFTER]


def _data(cfg: DictConfig, artifact: Path, split: str) -> DataModule:
    """The data that the artifact was trained with, or that was typed.

    Raises:
        UserError: it has no such split.
    """
    data: DataModule = instantiate(cfg.data).bind(open_form(artifact, cfg), bundle.open_tokenizer(artifact), cfg.seed)
    data.setup()
    if split not in data.splits:
        raise UserError(f"stage.split={split}: this data has no such split, only {', '.join(data.splits)}.")
    return data


def _paces(runners: dict[str, Runner], data: DataModule, split: str, bar: Progress) -> dict[str, Pace]:
    """Of what writes texts how quick it writes, of all else how quick it answers."""
    asked = [prompt for prompt, _ in data.prompts(split, ASKED)]
    requests = [prompt for prompt in asked if not any(one.answerer.problem(prompt) for one in runners.values())]
    timing = bar.add_task("Timing both in turn", total=writing_calls(requests) if requests else calls())
    advance = partial(bar.advance, timing)
    return writing_paces(runners, requests, advance) if requests else paces(runners, data.encoded(split), advance)
