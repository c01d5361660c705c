"""`stage=compare`: which runs differ in truth, by how much, and what that looks like."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import pyarrow.parquet as pq
from annotated_types import Ge, Gt, Interval
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from rich.progress import Progress, track

from noria.artifact import bundle
from noria.common.console import get_console
from noria.common.errors import UserError
from noria.comparison.chosen import metric_named
from noria.comparison.common_rows import CommonRows
from noria.comparison.compare import compare as compare_groups
from noria.comparison.evidence import costs, gather
from noria.comparison.from_wandb import PREFIX, fetch
from noria.comparison.leaks import refuse_leaks
from noria.comparison.result import Comparison, Evidence, Winner
from noria.comparison.rules import Rules
from noria.comparison.runs import Run, find_runs
from noria.comparison.smallest import smallest
from noria.comparison.systems import Group, group
from noria.comparison.systems import baseline as find_baseline
from noria.data.module import DataModule
from noria.inference.runner import Runner
from noria.report import show, table
from noria.report.page import write_page
from noria.report.plots import draw, save_png
from noria.stage.parts import device_of, make_loggers, make_metrics, open_form, precision_of
from noria.stage.run import open_record, recording, shareable
from noria.task.form import Form
from noria.tracking.beside import beside
from noria.tracking.looks import look
from noria.tracking.record import Record
from noria.tracking.record_file import jsonable, write_json
from noria.tracking.run_info import RunInfo
from noria.tracking.wandb_logger import log_images, log_tables
from noria.tracking.wandb_report import publish

FORMAT = 1
RESULT, PAGE, PLOTS = "comparison.json", "report.html", "plots"


def compare(
    cfg: DictConfig,
    choices: dict[str, Any],
    multirun: bool,
    *,
    runs: list[str] | str,
    baseline: str | None = None,
    metric: str | None = None,
    split: str | None = None,
    margin: Annotated[float, Ge(0)] = 0.01,
    alpha: Annotated[float, Interval(ge=1e-9, lt=1)] = 0.05,
    correction: Literal["holm", "fdr_bh", "none"] = "holm",
    resamples: Annotated[int, Gt(0)] = 1000,
    effect: Annotated[float, Gt(0)] | None = None,
    test: bool = False,
    within: Annotated[float, Ge(0)] | None = None,
) -> None:
    """Compares the configs of the runs, each over its seeds, and leaves table, page, pictures and plain values.

    Args:
        runs: folders, patterns, names of sweeps, `wandb:<entity>/<project>[/<group>]`.
        baseline: what the others are compared to: part of a config, or a run folder; None: the first one given.
        metric, split: None: the monitor's; `val`, or `test` where that is what all runs have.
        margin: how much worse is still "no worse", in units of the metric.
        alpha, correction: of the tests, and for making many of them.
        resamples: of the bootstrap.
        effect: the difference to tell the number of seeds for; None: each config's own.
        test: measure the winner and the baseline on the test set, which counts as one look at it.
        within: choose the smallest artifact that is no worse than the baseline within it, which then is the margin;
            None: none is chosen.

    Raises:
        UserError: what is named cannot be compared, with the reason.
    """
    words = [runs] if isinstance(runs, str) else list(runs)
    record = open_record(cfg, "compare", choices)
    with recording(record):
        everything = Path(cfg.paths.runs)
        local = [str(fetch(word, everything / "wandb")) if word.startswith(PREFIX) else word for word in words]
        found, left_out = find_runs(local, everything)
        groups, repeated = group(found)
        base = find_baseline(groups, baseline)
        split = split or _common_split(found)
        rules = Rules(margin if within is None else within, alpha, correction, resamples, cfg.seed, effect)
        compared, rows, notes = _compared(groups, base, metric or _monitored(base), split, rules)
        winner = _winner(cfg, record, compared, groups, base, rules, test)
        compared = replace(compared, winner=winner, notes=(*compared.notes, *left_out, *repeated, *notes))
        chosen = None if within is None else smallest(compared, costs(groups, "bytes"))
        evidence = gather(compared, groups, rows, lambda ids: _texts(base.runs[0], split, ids), cfg.seed)

        write_json(record.folder / RESULT, {"format": FORMAT, **jsonable(compared), "smallest": chosen and chosen.name})
        pictures = draw(compared, evidence)
        images = save_png(pictures, record.folder / PLOTS)
        write_page(record.folder / PAGE, compared, evidence, pictures, _facts(record))
        what = {"runs": len(found), "systems": len(groups), "split": split, "metric": compared.metric}
        record.update(comparison=what)
        info = RunInfo(record.folder, "compare", "compare", record.data["wandb"]["id"], shareable(cfg), {})
        with beside("The start of W&B"):
            make_loggers(cfg.get("logger"), info)
        log_tables({"comparison": (table.COLUMNS, table.rows(compared))})
        log_images({path.stem: path for path in images})
        of = sorted({run.record["config"].get("sweep") or run.record["experiment"] for run in found})
        url = publish(f"{split}/{compared.metric}", table.markdown(compared), of, f"{split}/{compared.metric}")
        _show(compared, record, url)
        if chosen is not None:
            _show_smallest(compared, next(one for one in groups if one.name == chosen.name), evidence)


def _compared(
    groups: Sequence[Group], base: Group, metric: str, split: str, rules: Rules
) -> tuple[Comparison, CommonRows, list[str]]:
    runs = [run for one in groups for run in one.runs]
    rows = CommonRows(base.runs[0], split)
    measured = metric_named(metric, base.runs[0], rows.form)
    notes = refuse_leaks(runs, rows)
    with Progress(console=get_console(), transient=True) as bar:
        work = bar.add_task("Comparing", total=len(runs))
        found = compare_groups(groups, base, rows, metric, measured, rules, partial(bar.advance, work))
    return found, rows, notes


def _winner(
    cfg: DictConfig,
    record: Record,
    compared: Comparison,
    groups: Sequence[Group],
    base: Group,
    rules: Rules,
    test: bool,
) -> Winner | None:
    """The best config on the test set, which has not chosen it: from predictions that are there, or made here once."""
    if compared.split == "test" or len(groups) < 2:
        return None
    best = next(one for one in groups if one.name == compared.systems[0].name)
    pair = [best] if best is base else [best, base]
    runs = [run for one in pair for run in one.runs]
    if all("test" in run.splits for run in runs):
        looks = max(int(run.record.get("test_looks") or 1) for run in runs)
    elif test:
        measured = {id(run): _measured_on_test(cfg, record.folder, run) for run in _tracked(runs, "Opening test")}
        pair = [replace(one, runs=tuple(measured[id(run)] for run in one.runs)) for one in pair]
        fingerprint = pair[0].runs[0].record["data"]["fingerprints"]["test"]
        looks = look(Path(cfg.paths.runs), fingerprint, record.folder)
    else:
        return None
    result, rows, _ = _compared(pair, pair[-1], compared.metric, "test", rules)
    system = next(one for one in result.systems if one.name == best.name)
    return Winner(system.name, len(rows), system.estimate, system.difference, looks)


def _measured_on_test(cfg: DictConfig, folder: Path, run: Run) -> Run:
    """The run with predictions of the test set, which lie in the comparison's own folder."""
    artifact = bundle.open_artifact(run.artifact)
    data = _data(run, artifact.form, artifact.tokenizer)
    if "test" not in data.splits:
        raise UserError(f"stage.test=true: the data of {run.folder} have no test set.")
    runner = Runner(artifact, precision_of(cfg), device_of(cfg))
    metrics = make_metrics(OmegaConf.create(run.config["metric"]))
    found = runner.measure(data, "test", metrics, data.eval_batch_size)
    file = folder / "test" / f"{run.folder.parent.name}-{run.folder.name}.parquet"
    file.parent.mkdir(exist_ok=True)
    pq.write_table(found.predictions, file)
    seen = {**run.record, "data": {**run.record["data"], "fingerprints": data.fingerprints}}
    return replace(run, record=seen, file=file)


def _data(run: Run, form: Form, tokenizer: Any) -> DataModule:
    """The data that the run's config names, read anew."""
    from noria.config.trust import refuse_untrusted

    refuse_untrusted(run.config, str(run.folder))
    node = dict(run.config["data"])
    if tokenizer is not None and "chat_template" in node:
        node["chat_template"] = None  # the artifact's tokenizer has it; the file may be another by now
    data: DataModule = instantiate(OmegaConf.create(node)).bind(form, tokenizer, run.seed)
    data.setup()
    return data


def _texts(run: Run, split: str, ids: list[str]) -> Mapping[str, str]:
    """The texts of row ids; none where the data is not at hand any more."""
    with suppress(UserError, OSError):
        rows = _data(run, open_form(run.artifact), None).splits[split].table
        place = {name: number for number, name in enumerate(rows["id"].to_pylist())}
        columns = [name for name in ("text", "text_pair") if name in rows.column_names]
        return {
            name: " / ".join(str(rows[column][place[name]].as_py()) for column in columns)
            for name in ids
            if name in place
        }
    return {}


def _common_split(runs: Sequence[Run]) -> str:
    """`val`, where all runs have it: what was selected on is compared, and the test set stays closed."""
    common = set.intersection(*(run.splits for run in runs))
    for split in ("val", "test"):
        if split in common:
            return split
    raise UserError("stage.split: the runs have no split in common; measure them with noria stage=evaluate.")


def _monitored(base: Group) -> str:
    monitored = str((base.runs[0].config.get("monitor") or {}).get("metric", "val/accuracy"))
    return monitored.rpartition("/")[2]


def _facts(record: Record) -> dict[str, str]:
    return {
        "made": str(record.data["started"]),
        "by": shlex.join(["noria", *sys.argv[1:]]),
        "versions": ", ".join(f"{name} {version}" for name, version in record.data["versions"].items()),
    }


def _show(compared: Comparison, record: Record, url: str | None) -> None:
    console = get_console()
    console.print(table.table(compared))
    console.print(table.sentence(compared), highlight=False)
    if (winner := compared.winner) is not None:
        gap = f", {table.signed(winner.difference)} less the baseline" if winner.difference else ""
        console.print(
            f"On the test set, which has not chosen it, {winner.name}: {compared.metric} {winner.estimate}{gap} "
            f"(looked at {winner.looks} time{'s' if winner.looks > 1 else ''}).",
            highlight=False,
        )
    elif len(compared.systems) > 1:
        console.print(
            "The first one's number is from the rows that chose it and is too good. stage.test=true opens the test "
            "set for it and the baseline, once."
            if compared.split != "test"
            else "These rows have chosen the first one: its number is too good.",
            highlight=False,
        )
    for note in compared.notes:
        console.print(note, style="yellow", highlight=False)
    console.print(f"report:   {show.near(record.folder / PAGE)}", highlight=False, soft_wrap=True)
    console.print(f"pictures: {show.near(record.folder / PLOTS)}", highlight=False, soft_wrap=True)
    show.where(record)
    if url:
        console.print(f"W&B report: {url}", highlight=False, soft_wrap=True)


def _show_smallest(compared: Comparison, chosen: Group, evidence: Evidence) -> None:
    """Which one was chosen, what it takes, and where it lies."""
    run, size, alone = chosen.runs[0], evidence.bytes[chosen.name][0], evidence.latency[chosen.name][0]
    cost = f"{size / 1e6:,.1f} MB, {alone:.1f} ms for an example alone"
    lines = [
        f"The smallest that is no worse than {compared.baseline} within {compared.margin:g}: {chosen.name} ({cost})",
        f"artifact: {show.near(run.artifact)}",
    ]
    for line in lines:
        get_console().print(line, highlight=False, markup=False, soft_wrap=True)


def _tracked(runs: Sequence[Run], what: str) -> Iterable[Run]:
    return track(runs, what, console=get_console(), transient=True)
