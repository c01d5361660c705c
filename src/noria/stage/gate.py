"""What an artifact that was made of another one is worth: the same rows answered by both, and timed in turn."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from hydra.utils import instantiate
from omegaconf import DictConfig
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from noria.artifact import bundle
from noria.common.console import get_console
from noria.common.errors import UserError
from noria.comparison.rules import Rules
from noria.compression.gate import judged
from noria.compression.pace import calls, paces
from noria.inference.runner import Runner
from noria.stage.parts import device_of, make_metrics, open_form, own_kinds, precision_of

BEFORE, AFTER = "before", "after"


def measured(cfg: DictConfig, before: Path, after: Path, split: str, margin: float) -> dict[str, Any]:
    """Both artifacts on the rows of a split of the data that the first was trained with, or that was typed.

    Returns:
        What `noria.compression.gate.judged` says, the `pace` of both (`noria.compression.pace.paces`), and as `against`
        in words what speaks against the second: nothing where it is kept.

    Raises:
        UserError: the data have no such split.
    """
    data = instantiate(cfg.data).bind(open_form(before, cfg), bundle.open_tokenizer(before), cfg.seed)
    data.setup()
    if split not in data.splits:
        raise UserError(f"stage.split={split}: this data has no such split, only {', '.join(data.splits)}.")
    metrics = make_metrics(cfg.metric)
    runners = {
        name: Runner(bundle.open_artifact(folder, own_kinds(cfg)), precision_of(cfg), device_of(cfg))
        for name, folder in ((BEFORE, before), (AFTER, after))
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
    found = judged(runners[BEFORE].form, metrics, done[BEFORE], done[AFTER], Rules(margin=margin))
    return {**found, "pace": pace, "against": _against(found, pace)}


def _against(found: dict[str, Any], pace: dict[str, dict[str, float]]) -> list[str]:
    said = [
        f"{name}: {one['before']['value']:.4f} before, {one['after']['value']:.4f} after; not shown to be no worse "
        f"within {found['margin']:g}, {_p(one['no_worse'])}"
        for name, one in found["metrics"].items()
        if not one["holds"]
    ]
    first, second = pace[BEFORE], pace[AFTER]
    slower = [
        f"{words}: {first[name]:.3g} before, {second[name]:.3g} after"
        for name, words, sign in (("p50_ms", "ms for an example alone", 1), ("examples_per_second", "examples/s", -1))
        if sign * second[name] > sign * first[name]
    ]
    return [*said, *(f"slower, {one}" for one in slower)]


def _p(value: float | None) -> str:
    return "the test is undefined on these rows" if value is None else f"p {value:.2g}"


def show(found: dict[str, Any], sizes: dict[str, int]) -> None:
    """What was measured, as a table for people."""
    table = Table("", BEFORE, AFTER, "ratio", box=None)
    pace = found["pace"]
    rows: list[tuple[str, float, float, str]] = [
        ("size, MB", sizes[BEFORE] / 1e6, sizes[AFTER] / 1e6, ".1f"),
        ("one example, p50, ms", pace[BEFORE]["p50_ms"], pace[AFTER]["p50_ms"], ".2f"),
        ("one example, p99, ms", pace[BEFORE]["p99_ms"], pace[AFTER]["p99_ms"], ".2f"),
        ("examples/s", pace[BEFORE]["examples_per_second"], pace[AFTER]["examples_per_second"], ".0f"),
    ]
    for name, first, second, form in rows:
        table.add_row(name, f"{first:{form}}", f"{second:{form}}", f"{second / first:.2f}")
    console = get_console()
    console.print(table)
    if "agreement" in found:
        one = found["agreement"]
        said = f"the same answer to {one['value']:.1%} of {found['rows']:,} rows of {found['split']}"
        console.print(f"{said} [{one['low']:.1%}, {one['high']:.1%}]", highlight=False, markup=False)
    for name, one in found["metrics"].items():
        gap = one["difference"]
        said = f"{name}: {one['before']['value']:.4f} → {one['after']['value']:.4f}"
        verdict = f"no worse within {found['margin']:g}" if one["holds"] else "not shown to be no worse"
        console.print(
            f"{said}, {gap['value']:+.4f} [{gap['low']:+.4f}, {gap['high']:+.4f}]: {verdict}",
            highlight=False, markup=False,
        )  # fmt: skip
    for said in found["against"]:
        console.print(f"against it: {said}", style="yellow", highlight=False, markup=False)
