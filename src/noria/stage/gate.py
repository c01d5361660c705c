"""What an artifact that was made of another one is worth: the same rows answered by both, and timed in turn.

And where such a one may go.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

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
from noria.compression.pace import TOGETHER, calls, paces, some
from noria.inference.runner import Runner
from noria.report.gate import show
from noria.stage.parts import device_of, make_metrics, open_form, own_kinds, precision_of
from noria.tracking.record import Record


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
        UserError: as `measured`; the artifact is then marked as not measured.
    """
    record.data["paths"]["artifact"] = str(after)
    console = get_console()
    if split is not None:
        unproven = {"against": ["it has not been measured to the end"], "split": split, "margin": margin}
        bundle.write_facts(after, {**bundle.read_facts(after), "gate": unproven})
        found = measured(cfg, before, after, split, margin)
        record.update(gate=found)
        bundle.write_facts(after, {**bundle.read_facts(after), "gate": {**unproven, "against": found["against"]}})
        show(found, {BEFORE: network_bytes(before), AFTER: network_bytes(after)})
    console.print(f"artifact: {after}", highlight=False, markup=False)
    console.print(f"next:     noria stage=evaluate artifact={after}", highlight=False, markup=False)


def measured(cfg: DictConfig, before: Path, after: Path, split: str, margin: float) -> dict[str, Any]:
    """Both artifacts on the rows of a split of the data that the first was trained with, or that was typed.

    Returns:
        What `noria.compression.gate.judged` says, the `pace` of both (`noria.compression.pace.Pace`) with the
        `peak_memory` in bytes of a process that answers with it, how many `times` as long or as much the second takes
        or gives (with the interval), the `machine` on which that holds, and as `against` in words what speaks against
        the second: nothing where it is kept.

    Raises:
        UserError: the data have no such split.
    """
    data = instantiate(cfg.data).bind(open_form(before, cfg), bundle.open_tokenizer(before), cfg.seed)
    data.setup()
    if split not in data.splits:
        raise UserError(f"stage.split={split}: this data has no such split, only {', '.join(data.splits)}.")
    metrics = make_metrics(cfg.metric)
    folders = {BEFORE: before, AFTER: after}
    runners = {
        name: Runner(bundle.open_artifact(folder, own_kinds(cfg)), precision_of(cfg), device_of(cfg))
        for name, folder in folders.items()
    }
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    encoded = data.encoded(split)
    with Progress(*columns, console=get_console(), transient=True) as bar:
        done = {}
        for name, runner in runners.items():
            task = bar.add_task(f"Answering {split}, {name}", total=runner.steps(encoded, metrics))
            done[name] = runner.measure(data, split, metrics, data.eval_batch_size, partial(bar.advance, task))
        timing = bar.add_task("Timing both in turn", total=calls())
        pace = paces(runners, encoded, partial(bar.advance, timing))
        bar.add_task("Answering in a process of its own, for the memory", total=None)
        rows = some(encoded, TOGETHER)
        memory = peaks(folders, own_kinds(cfg), precision_of(cfg), device_of(cfg), encoded, rows, data.eval_batch_size)
    found = judged(runners[BEFORE].form, metrics, done[BEFORE], done[AFTER], Rules(margin=margin))
    return {
        **found,
        "pace": {name: {**one.as_dict(), "peak_memory": memory[name]} for name, one in pace.items()},
        "times": {name: one.as_dict() for name, one in pace[AFTER].times(pace[BEFORE]).items()},
        "machine": {"cpu": cpu_name(), "flags": cpu_flags(), "threads": torch.get_num_threads()},
        "against": speaks_against(found, pace),
    }
