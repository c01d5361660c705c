"""A comparison of many runs: 2,000 of 10,000 examples each, from their files to table, page and pictures.

The runs are drawn, as fits leave them: configs of five seeds each, a record and a Parquet file of predictions a run.
Measured is the whole command in a process of its own. About three minutes on 2 cores.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import _bench
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from _bench import ROOT, Bar

SECONDS, GIB = 60.0, 2.0
SEEDS = 5
LABELS = ["negative", "positive"]


def main() -> int:
    parser = _bench.parser(__doc__ or "")
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--metrics", nargs="+", default=["accuracy", "f1", "loss"])
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_runs(folder / "runs/drawn", asked.runs, asked.rows)
        command = [sys.executable, ROOT / "scripts/run.py", "stage=compare", "logger=none", f"paths.runs={folder}/runs"]
        command.append("stage.runs=[drawn]")
        contestants = {
            metric: (lambda metric=metric: _bench.run_command([*command, f"stage.metric={metric}"]))
            for metric in asked.metrics
        }
        found = _bench.rounds(contestants, asked.rounds)
    rows = [
        {
            f"{asked.runs:,} runs of {asked.rows:,} rows by": metric,
            "s": _bench.middle([run.seconds for run in runs]),
            "lowest": min(run.seconds for run in runs),
            "highest": max(run.seconds for run in runs),
            "peak RSS, MiB": max(run.peak_rss for run in runs) / 2**20,
        }
        for metric, runs in found.items()
    ]
    bars = [
        Bar("seconds, the slowest metric", max(row["s"] for row in rows), SECONDS, at_most=True),
        Bar("GiB, the largest", max(row["peak RSS, MiB"] for row in rows) / 1024, GIB, at_most=True),
    ]
    return _bench.report({"rounds": asked.rounds}, rows, bars, asked.json)


def write_runs(folder: Path, runs: int, rows: int) -> None:
    """Configs that differ in the learning rate, each a little better or worse than the others, over `SEEDS` seeds."""
    rng = np.random.default_rng(0)
    truth, hard = rng.integers(0, 2, rows), rng.normal(size=rows)
    names = np.array(LABELS)
    fixed = {
        "id": pa.array([f"val.csv:{number}" for number in range(1, rows + 1)]),
        "key": pa.array([rng.bytes(16) for _ in range(rows)], pa.binary(16)),
        "split": pa.array(["val"] * rows),
        "label": pa.array(names[truth]),
    }
    for number in range(runs):
        config, seed = divmod(number, SEEDS)
        margin = 2 + 0.002 * config + 0.05 * rng.normal() + 2 * hard + rng.normal(size=rows)
        right = (1 / (1 + np.exp(-margin))).astype(np.float32)
        chosen = np.where(right > 0.5, truth, 1 - truth)
        positive = np.where(truth == 1, right, 1 - right)
        table = pa.table(
            {
                **fixed,
                "prediction": names[chosen],
                "probabilities": pa.array(list(np.stack([1 - positive, positive], 1)), pa.list_(pa.float32())),
                "loss": -np.log(np.maximum(right, 1e-7)),
            }
        )
        run = folder / f"run-{number:05}"
        run.mkdir(parents=True)
        pq.write_table(table, run / "predictions.parquet")
        (run / "record.json").write_text(json.dumps(record(config, seed, run, float((right > 0.5).mean()))))


def record(config: int, seed: int, run: Path, accuracy: float) -> dict[str, object]:
    """As a fit leaves it, of the things that a comparison reads."""
    metrics = {name: {"_target_": f"noria.metric.{name.lower()}.{name}"} for name in ("Accuracy", "F1")}
    return {
        **{"stage": "fit", "status": "done", "experiment": "drawn", "started": "2026-01-01T00:00:00", "seed": seed},
        "config": {
            "seed": seed,
            "monitor": {"metric": "val/accuracy", "mode": "max"},
            "metric": {name.lower(): node for name, node in metrics.items()},
            "optimizer": {"lr": 1e-5 * (1 + config)},
            "paths": {"run_dir": str(run)},
        },
        "choices": {"optimizer": "adamw"},
        "metrics": {"val/accuracy": {"value": accuracy}},
        "data": {"labels": LABELS, "fingerprints": {"train": "drawn", "val": "drawn too"}},
        "timings": {"fit_seconds": 60.0 + config % 7},
        "model": {"parameters": 22_000_000},
        "history": [
            {"epoch": e, "step": 100 * e, "train/loss": 1 / e, "val/loss": 1.1 / e, "val/accuracy": accuracy - 0.1 / e}
            for e in (1, 2, 3)
        ],
    }


if __name__ == "__main__":
    sys.exit(main())
