"""What the tests of a report share: a comparison as of a real sweep, and a browser."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from noria.comparison.result import (
    BETTER,
    CANNOT_TELL,
    NO_WORSE,
    WORSE,
    Calibration,
    Comparison,
    Curve,
    Difference,
    Disagreement,
    Dispute,
    Evidence,
    System,
    Winner,
)
from noria.statistics.estimate import Estimate

ReportCase = Callable[..., tuple[Comparison, Evidence]]


@pytest.fixture(scope="session")
def report_case() -> ReportCase:
    """Makes a comparison of so many systems with so many seeds, and all the evidence there can be."""
    return make_report_case


def make_report_case(
    systems: int = 6,
    seeds: int = 5,
    *,
    labels: tuple[str, ...] = ("negative", "positive"),
    rows: int = 1066,
    curves: bool = True,
    winner: bool = True,
    sizes: bool = True,
    random_search: bool = False,
    mode: str = "max",
    text: str = "A film of quiet grace, if a little long in its second half.",
) -> tuple[Comparison, Evidence]:
    rng = np.random.default_rng(0)
    settings = [_settings(number, rng, random_search) for number in range(systems)]
    truth = np.array([_truth(each, rng) for each in settings])
    if mode == "min":
        truth = 1 - truth
    values = truth[:, None] + rng.normal(0, 0.004, (systems, seeds))
    order = np.argsort(values.mean(axis=1) * (-1 if mode == "max" else 1))
    varying = [key for key in settings[0] if len({each[key] for each in settings}) > 1]
    settings = [{key: each[key] for key in varying} for each in settings]
    names = [
        " ".join(f"{key}={value:g}" if isinstance(value, float) else f"{key}={value}" for key, value in each.items())
        for each in settings
    ]
    base = int(order[systems * 3 // 5])
    found = tuple(
        _system(rank, names[number], settings[number], values[number], values[base], number == base, mode, rows)
        for rank, number in enumerate(order, start=1)
    )
    comparison = Comparison(
        metric="accuracy" if mode == "max" else "error",
        mode=mode,
        split="val",
        rows=rows,
        baseline=names[base],
        margin=0.005,
        alpha=0.05,
        correction="holm",
        systems=found,
        winner=Winner(found[0].name, 1066, found[0].estimate, found[0].difference, looks=2) if winner else None,
        notes=("With 3 to 5 seeds an interval of the mean over seeds is only a rough one.",) if seeds > 1 else (),
    )
    return comparison, _evidence(comparison, rng, labels, curves, sizes, text)


def _settings(number: int, rng: np.random.Generator, random_search: bool) -> dict[str, Any]:
    if random_search:
        return {
            "optimizer.lr": float(10 ** rng.uniform(-5.3, -2.7)),
            "optimizer.weight_decay": float(rng.uniform(0, 0.2)),
            "data.train_batch_size": int(2 ** rng.integers(3, 8)),
            "model.dropout": float(rng.uniform(0, 0.5)),
            "scheduler": ["constant", "cosine", "linear"][rng.integers(3)],
            "model/peft": [None, "lora", "dora"][rng.integers(3)],
        }
    rates, schedulers = [1e-5, 3e-5, 1e-4, 3e-4, 1e-3], ["cosine", "linear", "constant"]
    return {
        "optimizer.lr": rates[number % 5],
        "scheduler": schedulers[number // 5 % 3],
        "model.freeze": number // 15 % 2 == 1,
    }


def _truth(settings: dict[str, Any], rng: np.random.Generator) -> float:
    rate = abs(np.log10(settings["optimizer.lr"]) + 3.9)
    bonus = {"cosine": 0.006, "linear": 0.003}.get(settings["scheduler"], 0.0)
    failed = 0.32 if settings["optimizer.lr"] > 1e-3 and rng.random() < 0.5 else 0.0
    frozen = 0.03 if settings.get("model.freeze") else 0.0
    return float(0.915 - 0.014 * rate**2 + bonus - failed - frozen + rng.normal(0, 0.002))


def _system(
    rank: int,
    name: str,
    settings: dict[str, Any],
    values: np.ndarray,
    base: np.ndarray,
    is_base: bool,
    mode: str,
    rows: int,
) -> System:
    mean, sd = float(values.mean()), float(values.std(ddof=1)) if len(values) > 1 else float("nan")
    half = 0.009 + 0.2 * (0 if np.isnan(sd) else sd)
    change = mean - float(base.mean())
    good = change if mode == "max" else -change
    verdict = BETTER if good > 0.008 else WORSE if good < -0.008 else NO_WORSE if good > 0.004 else CANNOT_TELL
    p = float(min(1.0, 2 * np.exp(-abs(change) / 0.002)))
    difference = Difference(
        Estimate(change, change - 0.008, change + 0.008, rows, "bootstrap over rows and seeds"),
        p=p / 3,
        p_adjusted=p,
        test="paired bootstrap",
        verdict=verdict,
        smallest=0.0113,
        seeds_needed=14 if len(values) > 1 and verdict == CANNOT_TELL else None,
    )
    return System(
        rank=rank,
        name=name,
        settings=settings,
        runs=tuple(f"runs/sweep/{abs(hash(name)) % 10**8:08x}.{seed}" for seed in range(len(values))),
        seeds=tuple(range(len(values))),
        values=tuple(values.tolist()),
        estimate=Estimate(mean, mean - half, mean + half, rows, "bootstrap over rows and seeds"),
        sd=sd,
        difference=None if is_base else difference,
    )


def _evidence(
    comparison: Comparison, rng: np.random.Generator, labels: tuple[str, ...], curves: bool, sizes: bool, text: str
) -> Evidence:
    systems = comparison.systems
    shown = dict.fromkeys([*(system.name for system in systems[:8]), comparison.baseline])
    return Evidence(
        curves=tuple(
            _curve(comparison.metric, system, seed, rng)
            for system in systems
            if curves and system.name in shown
            for seed in range(len(system.seeds))
        ),
        seconds={
            system.name: tuple((rng.uniform(40, 60, len(system.seeds)) * (1 + system.rank % 4)).tolist())
            for system in systems
        },
        parameters={system.name: 22_713_986 if system.rank % 3 or not sizes else 109_483_778 for system in systems},
        latency={system.name: (2.0 + system.rank,) for system in systems} if sizes else {},
        bytes={system.name: (1e7 * (1 + system.rank % 4),) for system in systems} if sizes else {},
        labels=labels,
        confusion={system.name: _confusion(system, comparison.rows, len(labels), rng) for system in systems[:12]}
        | {comparison.baseline: _confusion(systems[-1], comparison.rows, len(labels), rng)},
        calibration={name: _calibration(comparison.rows, rng) for name in shown},
        dispute=Dispute(
            systems[0].name,
            comparison.baseline,
            *(61, 34, 160),
            tuple(_disagreement(number, labels, list(shown), rng, text) for number in range(8)),
        ),
    )


def _curve(metric: str, system: System, seed: int, rng: np.random.Generator) -> Curve:
    epochs = 8 if seed != 1 else 6  # one stopped early
    step = np.arange(1, epochs + 1) * 267.0
    fall = np.exp(-np.arange(epochs) / 2) * 0.4
    noise = rng.normal(0, 0.008, (3, epochs))
    val_metric = system.values[seed] - fall * 0.3 + noise[2] * 0.3
    val_metric[0] = np.nan
    return Curve(
        system=system.name,
        seed=seed,
        step=step,
        series={
            "train/loss": 0.15 + fall + noise[0] + 0.01 * system.rank,
            "val/loss": 0.28 + fall * 0.6 + np.arange(epochs) * 0.006 + noise[1],
            f"val/{metric}": val_metric,
        },
    )


def _confusion(system: System, rows: int, classes: int, rng: np.random.Generator) -> np.ndarray:
    value = system.estimate.value
    right = value if value > 0.5 else 1 - value
    each = max(1, rows * len(system.seeds) // classes)
    shares = np.full((classes, classes), 0.0)
    for row in range(classes):
        wrong = rng.dirichlet(np.full(classes, 0.15)) if classes > 2 else np.ones(classes)
        wrong[row] = 0
        shares[row] = wrong / (wrong.sum() or 1) * (1 - right)
        shares[row, row] = right
    return np.rint(shares * each).astype(int)


def _calibration(rows: int, rng: np.random.Generator) -> Calibration:
    confidence = np.linspace(0.525, 0.985, 10)
    accuracy = np.clip(confidence - rng.uniform(0, 0.12) + rng.normal(0, 0.02, 10), 0, 1)
    count = np.rint(rows * np.geomspace(0.02, 0.4, 10)).astype(int)
    error = float((np.abs(confidence - accuracy) * count).sum() / count.sum())
    return Calibration(confidence, accuracy, count, error)


def _disagreement(
    number: int, labels: tuple[str, ...], names: list[str], rng: np.random.Generator, text: str
) -> Disagreement:
    label = labels[number % len(labels)]
    other = labels[(number + 1) % len(labels)]
    answers: dict[str, dict[str, float]] = {}
    for name in names:
        share = float(rng.choice([0.0, 0.4, 1.0]))
        answers[name] = {answer: part for answer, part in ((label, share), (other, 1 - share)) if part > 0}
    return Disagreement(f"val-{number:05}", text if number != 3 else None, label, answers)


@dataclass
class Opened:
    """A page in a browser, what it asked for, and what it complained of."""

    page: Any
    requests: list[str]
    errors: list[str]


@pytest.fixture(scope="module")  # no longer: while it is open asyncio believes that a loop is running
def report_browser() -> Iterator[Any]:
    """Headless Chromium, for the tests of a file."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("no chromium on the PATH, so no page can be opened")
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright, of the dev extra, drives the browser")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def browser_page(report_browser: Any) -> Iterator[Callable[..., Opened]]:
    """Opens a file as a page: `browser_page(path, width=390)`; options of a browser context such as `color_scheme`."""
    contexts = []

    def open_page(path: Path, width: int = 1280, height: int = 800, **options: Any) -> Opened:
        context = report_browser.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        opened = Opened(context.new_page(), [], [])
        opened.page.on("request", lambda request: opened.requests.append(request.url))
        opened.page.on("pageerror", lambda error: opened.errors.append(str(error)))
        opened.page.on("console", lambda said: opened.errors.append(said.text) if said.type == "error" else None)
        opened.page.goto(path.resolve().as_uri())
        opened.page.wait_for_load_state("networkidle")
        return opened

    yield open_page
    for context in contexts:
        context.close()
