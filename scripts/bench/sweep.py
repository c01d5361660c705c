"""A sweep of trials with fixed work: Noria's launcher against the other ways to run many trials.

(a) a loop of fresh `python scripts/run.py`, (b) Hydra's basic launcher, which runs all trials in one process, (c) the
joblib launcher. The same trials with the same loggers (CSV, W&B offline); all find their tokens in the cache. What a
trial costs besides its own work is the time of its process, one at a time, less that of the same trial without loggers
in a warm process that runs nothing else. About fifteen minutes on 2 cores.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import _bench
from _bench import ROOT, Bar

SHARE = 0.35  # of the loop's wall time
COST = 1.0  # seconds that a trial costs besides its own work
NORIA, LOOP, BASIC, JOBLIB = "Noria: local", "a loop of fresh processes", "Hydra: basic", "Hydra: joblib"


def main() -> int:
    parser = _bench.parser(__doc__ or "")
    parser.add_argument("--trials", type=int, default=16)
    parser.add_argument("--rows", type=int, default=64, help="to train on")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = _bench.rotten_tomatoes(asked.rows + 32)
        train = _bench.write_rows(folder / "train.csv", rows[32:])
        val = _bench.write_rows(folder / "val.csv", rows[:32])
        words = [
            *("model=hub", f"model.name={asked.model.resolve()}", "data=table", f"data.path={train}"),
            *(f"data.val_path={val}", "data.val_fraction=0", "data.test_fraction=0", "data.batch_size=16"),
            *("data.max_length=64", "trainer.max_epochs=1", "stage.test=false", "~callback.checkpoint"),
            *("data.label_names=[negative,positive]",),
        ]
        own = _bench.run_function(__file__, "own_work", words=words, folder=str(folder / "own"), times=5).result
        single = sweep(folder / "single", words, 5, "local", "hydra.launcher.n_jobs=1")
        (path,) = (folder / "single").rglob("sweep.json")
        walls = [trial["seconds"] for trial in json.loads(path.read_text())["trials"]]
        seconds = _bench.rounds(
            {
                NORIA: lambda: sweep(folder / "local", words, asked.trials, "local"),
                LOOP: lambda: loop(folder / "loop", words, asked.trials),
                BASIC: lambda: sweep(folder / "basic", words, asked.trials, "basic"),
                JOBLIB: lambda: sweep(
                    folder / "joblib", words, asked.trials, "joblib", f"hydra.launcher.n_jobs={os.cpu_count()}"
                ),
            },
            asked.rounds,
        )
    facts = {"rounds": asked.rounds, "trials": asked.trials, "a sweep of 5, one at a time, s": f"{single:.1f}"}
    return _bench.report(*judged(facts, seconds, own, walls, asked.trials), asked.json)


def judged(
    facts: dict[str, Any], seconds: dict[str, list[float]], own: list[float], walls: list[float], trials: int
) -> tuple[dict[str, Any], list[dict[str, Any]], list[Bar]]:
    """The facts, the table and the bars.

    Args:
        seconds: of each contestant's rounds.
        own, walls: of a trial's own work and of its process, one at a time.
    """
    middle = {name: _bench.middle(found) for name, found in seconds.items()}
    rows = [
        {
            f"{trials} trials by": name,
            "s": middle[name],
            "lowest": min(found),
            "highest": max(found),
            "s a trial": middle[name] / trials,
            "of the loop": middle[name] / middle[LOOP],
        }
        for name, found in seconds.items()
    ]
    work, wall = _bench.middle(own), _bench.middle(walls)
    facts |= {"own work of a trial, s": f"{work:.2f}", "its process, one at a time, s": f"{wall:.2f}"}
    bars = [
        Bar("seconds that a trial costs besides its work", wall - work, COST, at_most=True),
        Bar("wall time, of the loop's", middle[NORIA] / middle[LOOP], SHARE, at_most=True),
        Bar("wall time, of the basic launcher's", middle[NORIA] / middle[BASIC], 1.0, at_most=True),
        Bar("wall time, of joblib's", middle[NORIA] / middle[JOBLIB], 1.0, at_most=True),
    ]
    return {**facts, "seconds": seconds, "own": own, "walls": walls}, rows, bars


def own_work(words: list[str], folder: str, times: int) -> list[float]:
    """Seconds from the start to the end of the stage, without loggers, in one warm process."""
    from noria.cli.main import main as noria

    seconds = []
    for seed in range(times + 1):
        run = Path(folder) / str(seed)
        status = noria([*words, "logger=none", f"seed={seed}", f"paths.run_dir={run}", f"paths.runs={folder}/all"])
        assert status == 0, f"it ended with {status}"
        record: dict[str, Any] = json.loads((run / "record.json").read_text())
        seconds.append(float(record["timings"]["total_seconds"]))
    return seconds[1:]  # the first one imports what is imported late


def sweep(folder: Path, words: list[str], trials: int, launcher: str, *more: str) -> float:
    """Seconds of a multirun, from the command to its end."""
    shutil.rmtree(folder, ignore_errors=True)
    command = [sys.executable, ROOT / "scripts/run.py", "-m", *words, f"seed=range(0,{trials})", *more]
    return _bench.run_command([*command, f"hydra/launcher={launcher}", f"paths.runs={folder}"]).seconds


def loop(folder: Path, words: list[str], trials: int) -> float:
    """Seconds of one command after the other."""
    shutil.rmtree(folder, ignore_errors=True)
    command = [sys.executable, ROOT / "scripts/run.py", *words]
    each = ([*command, f"seed={seed}", f"paths.runs={folder}"] for seed in range(trials))
    return sum(_bench.run_command(words).seconds for words in each)


if __name__ == "__main__":
    sys.exit(main())
