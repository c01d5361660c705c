"""Proof: what makes training quick costs no accuracy. MiniLM on Rotten Tomatoes, by Noria and by the transformers
Trainer at its best, over several seeds each, on rows that neither has seen.

The same rows, recipe and number of epochs; the last weights count, so that nothing was chosen on held-out rows. Noria
is no worse where the 95 % interval of the difference, resampled over seeds and over examples, ends above -1 point.

    python scripts/prove/accuracy.py                          # 5 seeds, 2 epochs: three quarters of an hour on 2 cores
    python scripts/prove/accuracy.py --seeds 2 --rows 400 --epochs 1 --held-out 200   # a look, which proves nothing

Each run's predictions stay in the folder given by --folder: started again with the same, it goes on where it stopped.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts" / "bench"))

import _bench  # noqa: E402
import _peer  # noqa: E402

MARGIN = 0.01
RESAMPLES = 10_000
NAMES = ("negative", "positive")
NORIA, PEER = "Noria", "Trainer at its best"


def main() -> int:
    parser = _bench.parser(__doc__ or "")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=6000, help="to train on")
    parser.add_argument("--held-out", type=int, default=2500, help="rows to measure on")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--max-length", type=int, default=128)
    parser.add_argument("--lr", type=float, default=1e-4)
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "accuracy")
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    rows = _bench.rotten_tomatoes(asked.rows + asked.held_out)
    shared = {
        "model": str(asked.model.resolve()),
        "train": str(_bench.write_rows(asked.folder / "train.csv", rows[asked.held_out :])),
        "val": str(_bench.write_rows(asked.folder / "val.csv", rows[: asked.held_out])),
        "batch_size": asked.batch_size,
        "max_length": asked.max_length,
        "lr": asked.lr,
        "epochs": asked.epochs,
    }
    truth = np.array([int(row["label"]) for row in rows[: asked.held_out]])
    right: dict[str, np.ndarray] = {}
    for name, train in ((NORIA, noria), (PEER, peer)):
        predicted = []
        for seed in range(asked.seeds):
            print(f"{name}, seed {seed} …", flush=True)
            predicted.append(remembered(asked.folder, name, shared, seed, train))
            print(f"    {np.mean(predicted[-1] == truth):.4f}", flush=True)
        right[name] = np.array(predicted) == truth
    return judge(right, asked)


def remembered(folder: Path, name: str, shared: dict[str, Any], seed: int, train: Any) -> np.ndarray:
    """The predictions of one run, from its file where it lies there."""
    path = folder / f"{name.partition(' ')[0].lower()}-{seed}.json"
    asked = {**shared, "seed": seed}
    if path.is_file() and (found := json.loads(path.read_text()))["asked"] == asked:
        return np.array(found["predicted"])
    predicted = train(folder / "run", **asked)
    path.write_text(json.dumps({"asked": asked, "predicted": predicted}))
    return np.array(predicted)


def noria(
    folder: Path, model: str, train: str, val: str, batch_size: int, max_length: int, lr: float, epochs: int, seed: int
) -> list[int]:
    """Noria's own command line; its predictions in the order of the rows."""
    import pyarrow.parquet as pq

    shutil.rmtree(folder, ignore_errors=True)
    _bench.run_command(
        [
            *(sys.executable, ROOT / "scripts/run.py", "experiment=quickstart", "precision=auto", "logger=csv"),
            *("model=hub", f"model.name={model}", f"optimizer.lr={lr}", f"trainer.max_epochs={epochs}"),
            *("scheduler.warmup_steps=0", f"seed={seed}", "~callback.checkpoint", "stage.test=false"),
            *("data=table", f"data.path={train}", f"data.val_path={val}", "data.label_names=[negative,positive]"),
            *("data.val_fraction=0", "data.test_fraction=0"),
            *(f"data.batch_size={batch_size}", f"data.max_length={max_length}"),
            *(f"paths.run_dir={folder}", f"paths.runs={folder}/all"),
        ]
    )
    rows = pq.read_table(folder / "predictions.parquet").to_pylist()
    rows.sort(key=lambda row: int(row["id"].rpartition(":")[2]))
    return [NAMES.index(row["prediction"]) for row in rows]


def peer(folder: Path, seed: int, **shared: Any) -> list[int]:
    """The Trainer with its best setting."""
    from noria.trainer.precision import best_precision

    precision = "bf16" if best_precision("auto")[0].startswith("bf16") else "fp32"
    words = {**shared, "setting": "grouped", "precision": precision, "seed": seed, "predict": True}
    found = _bench.run_function(_peer.__file__, "train", folder=str(folder), **words).result["predicted"]
    return [int(label) for label in found]


def judge(right: dict[str, np.ndarray], asked: argparse.Namespace) -> int:
    """The table, the difference with its interval, and the verdict.

    Args:
        right: for each contestant which of its predictions are right, bool (seeds, examples).
    """
    table = []
    for name, found in right.items():
        each = found.mean(1)
        facts = {"mean accuracy": each.mean(), "lowest": each.min(), "highest": each.max(), "sd": each.std(ddof=1)}
        table.append({"trained by": name, "seeds": len(each), **{key: f"{value:.4f}" for key, value in facts.items()}})
    difference, low, high = difference_interval(right[NORIA], right[PEER])
    facts = {
        **{name: str(value) if isinstance(value, Path) else value for name, value in vars(asked).items()},
        "difference": f"{difference:+.4f} [{low:+.4f}, {high:+.4f}]",
    }
    return _bench.report(facts, table, [_bench.Bar("difference, lower end", low, -MARGIN)], asked.json)


def difference_interval(ours: np.ndarray, theirs: np.ndarray) -> tuple[float, float, float]:
    """Mean accuracy of `ours` less that of `theirs`, each bool (seeds, examples), with the 95 % percentile interval.

    The examples are drawn for both at once, for they are the same rows; the seeds of each for itself, for a seed
    means nothing across two programs (Sellam et al. 2022, The MultiBERTs, section 4: the multi-bootstrap).
    """
    rng = np.random.default_rng(0)
    count = ours.shape[1]
    drawn = []
    for _ in range(RESAMPLES):
        examples = rng.multinomial(count, np.full(count, 1 / count)) / count
        both = []
        for found in (ours, theirs):
            seeds = rng.multinomial(len(found), np.full(len(found), 1 / len(found))) / len(found)
            both.append(seeds @ (found @ examples))
        drawn.append(both[0] - both[1])
    low, high = np.quantile(drawn, [0.025, 0.975])
    return float(ours.mean() - theirs.mean()), float(low), float(high)


if __name__ == "__main__":
    sys.exit(main())
