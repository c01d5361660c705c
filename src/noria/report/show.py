"""What a run shows on the terminal. Prints, decides nothing."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from rich.table import Table

from noria.common.command import command, word
from noria.common.console import get_console
from noria.data.module import DataModule
from noria.tracking.epoch_table import EpochTable
from noria.tracking.record import Record
from noria.tracking.record_file import FILE
from noria.tracking.wandb_logger import how_to_sync, live_run, log_artifact, log_tables

LARGE = 1e6  # from where on a number is shown by its first digits
FEW = 20  # rows below which an interval over resampled rows is too narrow
SHORT = ("experiment", "data", "model", "task", "optimizer", "scheduler", "precision", "strategy")


def config(cfg: DictConfig, choices: dict[str, Any]) -> None:
    """The composed config in short: two lines."""
    made = " ".join(f"{group}={choices[group]}" for group in SHORT if choices.get(group))
    trainer, lr = cfg.trainer, cfg.optimizer.get("lr")
    limit = "max_steps" if trainer.get("max_steps", -1) > 0 else "max_epochs"
    length = f"{limit}={trainer.get(limit, 'default')}"
    size = "batch_tokens" if cfg.data.get("batch_tokens") else "batch_size"
    get_console().print(made, style="bold", highlight=False)
    get_console().print(
        f"lr={lr:g} {size}={cfg.data.get(size)} {length} seed={cfg.seed} → {cfg.paths.run_dir}"
        if lr is not None
        else f"{length} seed={cfg.seed} → {cfg.paths.run_dir}",
        highlight=False,
    )


def data(module: DataModule) -> None:
    """Rows per split, what was left out and why, how many were cut, texts found on both sides."""
    console = get_console()
    rows = ", ".join(f"{name} {count:,}" for name, count in module.report["rows"].items())
    names = ", ".join(module.labels[:8]) + (" …" if len(module.labels) > 8 else "")
    console.print(f"rows: {rows}; labels: {names}" if names else f"rows: {rows}", highlight=False)
    for split, reasons in module.report["dropped"].items():
        for reason, count in reasons.items():
            console.print(f"left out of {split}: {count:,} rows ({reason})", style="yellow", highlight=False)
    for split, count in module.report["truncated"].items():
        if count:
            of_all = f"{count:,} of {module.report['rows'][split]:,} rows"
            said = f"cut in {split} at data.max_length={module.max_length}: {of_all}"
            console.print(said, style="yellow", highlight=False)
    for pair, overlap in module.report["overlaps"].items():
        if overlap["count"]:
            first = overlap["examples"][0]
            console.print(
                f"{overlap['count']:,} texts stand both in {pair.replace('/', ' and in ')}, such as: {first!r}",
                style="yellow",
            )


def metrics(record: Record) -> None:
    """Every measured number with its unit and its 95 % interval; which of these stand on few rows."""
    found = record.data["metrics"]
    units = ["unit"] if any(e.get("unit") for e in found.values()) else []
    table = Table(title="Measured on the artifact")
    for column in ("metric", *units, "value", "95 % interval", "n", "method"):
        table.add_column(column, no_wrap=column in ("metric", "value"))
    for name, e in found.items():
        value, low, high = (_shown(e[key]) for key in ("value", "low", "high"))
        unit = [str(e.get("unit", ""))] if units else []
        table.add_row(name, *unit, value, f"[{low}, {high}]", f"{e['n']:,}", e["method"])
    get_console().print(table)
    baselines(record)
    for split, few in {name.rpartition("/")[0]: e["n"] for name, e in found.items() if e["n"] < FEW}.items():
        said = (
            f"{split}: {few} row{'s' if few > 1 else ''} or windows are too few for an interval that can be relied on"
        )
        get_console().print(f"{said} ({FEW} or more would do).", style="yellow", highlight=False)
    if looks := record.data.get("test_looks"):
        get_console().print(f"This test set has now been looked at {looks} time{'s' if looks > 1 else ''}.")


def baselines(record: Record) -> None:
    """What trivial answers have on the same rows, and how much the model's are better, where texts were generated."""
    found = record.data.get("baselines")
    if not found:
        return
    table = Table(title="Beside answers that take no model")
    for column in ("metric", "of", "value", "the model's is better by", "95 % interval"):
        table.add_column(column, no_wrap=column != "95 % interval")
    for split, kinds in found.items():
        for name in next(iter(kinds.values())):
            for kind, metrics in kinds.items():
                own, gap = metrics[name], metrics[name]["difference"]
                value, better, low, high = map(_shown, (own["value"], gap["value"], gap["low"], gap["high"]))
                table.add_row(f"{split}/{name}", kind, value, better, f"[{low}, {high}]")
    get_console().print(table)


def _shown(number: float | None) -> str:
    if number is None:
        return "nan"
    return f"{number:.4f}" if abs(number) < LARGE else f"{number:.4g}"


def end(record: Record, table: EpochTable) -> None:
    """The whole epoch table, the measurements, where everything is, what to type next."""
    console = get_console()
    console.print(table.table())
    metrics(record)
    rates = record.data["throughput"]
    of_peak = rates["share_of_peak"]
    console.print(
        f"{rates['examples_per_second']:.1f} examples/s, {rates['tokens_per_second']:,.0f} tokens/s in training"
        + (f": {of_peak:.0%} of the peak ({rates['peak_source']})" if of_peak is not None else "")
    )
    if (price := record.data["checkpoints"]) and price["writes"]:
        each, share = price["seconds"] / price["writes"], price["seconds"] / record.data["timings"]["fit_seconds"]
        console.print(
            f"{price['writes']:,} times the last checkpoint was written, {each:.2f} s each: {share:.1%} of the fit"
        )
    names = ["epoch", "step", *table.columns]
    log_tables({"epochs": (names, [[row.get(name) for name in names] for row in table.rows])})
    artifact = near(record.folder) / "artifact"
    log_artifact(artifact, {"metrics": record.data["metrics"]})
    console.print(f"artifact: {artifact}", highlight=False, soft_wrap=True)
    console.print(f"          {_kept(record.data['kept'])}", highlight=False)
    where(record)
    opened = word("artifact", artifact)
    split = next(name for name in ("test", "val", "train") if name in record.data["data"]["rows"])
    of = [f"stage.split={split}"] if split != "test" else []
    console.print(
        f"next:     {command('stage=predict', opened, 'input=-')}\n          {command('stage=evaluate', opened, *of)}",
        highlight=False,
        soft_wrap=True,
    )


def _kept(kept: dict[str, Any]) -> str:
    """Which weights the artifact has."""
    step, steps, metric = kept["step"], kept["steps"], kept.get("metric")
    if count := kept.get("averaged"):
        return (
            f"the mean of the weights after the last {count} validations, the last one after step {step:,} of {steps:,}"
        )
    if metric is None:
        return f"the weights after step {step:,} of {steps:,}: no validation has chosen among them"
    return f"the weights after step {step:,} of {steps:,}, with the best {metric} ({kept['value']:.4f})"


def near(path: Path) -> Path:
    """The path from the working directory, as people type it."""
    return Path(os.path.relpath(path))


def where(record: Record) -> None:
    """Where the record and the W&B run are, and how to upload one that is offline."""
    console = get_console()
    console.print(f"record:   {near(record.folder) / FILE}", highlight=False, soft_wrap=True)
    if run := live_run():
        sync = how_to_sync()
        said = f"offline; to upload: {sync}" if sync else run.url
        console.print(f"W&B:      {said}", highlight=False, soft_wrap=True)
