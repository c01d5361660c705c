"""Proof: a search with pruning finds, in the training steps of a grid, a config at least as good as the grid's.

MiniLM on Rotten Tomatoes. The grid tries learning rates and warm-ups; the search has their ranges, gives bad trials up
and stops when the grid's steps are spent. What each thinks best is then measured on rows that neither has seen: the
search is no worse where the 95 % interval of the difference, over these rows, ends above -2 points. Its first command
is killed half-way: the same command goes on with the study, and no trial is lost or made twice.

    python scripts/prove/search.py                                     # about fifteen minutes on 2 cores
    python scripts/prove/search.py --model <folder> --rows 96 --held-out 64 --lrs 1e-4 1e-3    # a look
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import optuna

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts" / "bench"))

import _bench  # noqa: E402

from noria.statistics.bootstrap import bootstrap  # noqa: E402

MARGIN = 0.02
BATCH = 16
ENDED = (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED)
Trial = dict[str, Any]


def main() -> int:
    parser = _bench.parser(__doc__ or "")
    parser.add_argument("--rows", type=int, default=1200, help="to train on")
    parser.add_argument("--val", type=int, default=600, help="rows that a trial is judged by")
    parser.add_argument("--held-out", type=int, default=3000, help="rows for the two winners")
    parser.add_argument(
        "--lrs", nargs="+", default=["1e-5", "3e-5", "1e-4", "3e-4", "1e-3"], help="of the grid, rising"
    )
    asked = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = _bench.rotten_tomatoes(asked.rows + asked.val + asked.held_out)
        held_out, rest = rows[: asked.held_out], rows[asked.held_out :]
        train, val = rest[asked.val :], rest[: asked.val]
        words = [
            *("model=hub", f"model.name={asked.model.resolve()}", "data=table", "data.max_length=64"),
            *(f"data.path={_bench.write_rows(folder / 'train.csv', train)}", "data.label_names=[negative,positive]"),
            *(f"data.val_path={_bench.write_rows(folder / 'val.csv', val)}", "data.val_fraction=0"),
            *(
                "data.test_fraction=0",
                f"data.batch_size={BATCH}",
                "trainer.max_epochs=1",
                "logger=csv",
                "metric=[accuracy]",
            ),
            *("trainer.val_check_interval=0.25", f"paths.runs={folder}/runs"),
        ]
        grid_words = [*words, "sweep=grid", f"optimizer.lr={','.join(asked.lrs)}", "scheduler.warmup_steps=0.0,0.2"]
        run(grid_words)
        grid = records(folder, "grid")
        budget = sum(steps(trial) for trial in grid)
        search, said = searched(folder, words, asked.lrs, budget)
        differ = measured(best(grid), best(search), held_out)
    print(f"grid:   {len(grid)} trials, {budget} steps; best {told(best(grid))}")
    print(f"search: {len(search)} trials, {sum(map(steps, search))} steps; best {told(best(search))}; {said}")
    holds = differ["low"] > -MARGIN
    print(
        f"on {asked.held_out} other rows: grid {differ['grid']:.4f}, search {differ['search']:.4f}, difference "
        f"{differ['value']:+.4f} [{differ['low']:+.4f}, {differ['high']:+.4f}], "
        f"{'no worse' if holds else 'NOT PROVEN no worse'} within {MARGIN}"
    )
    return int(not holds)


def searched(folder: Path, words: list[str], lrs: list[str], budget: int) -> tuple[list[Trial], str]:
    """The trials of the search, in their order, that fit into so many steps; and how its kill went."""
    space = [f"optimizer.lr=tag(log,interval({lrs[0]},{lrs[-1]}))", "scheduler.warmup_steps=interval(0.0,0.2)"]
    search = [*words, "sweep=search", *space, "hydra/sweeper=optuna", "hydra.sweeper.sampler=tpe"]
    search += ["hydra.sweeper.pruner=median", "hydra.sweeper.pruner_options={n_startup_trials:4}"]
    count = 2 * len(lrs)
    process = subprocess.Popen(command([*search, f"hydra.sweeper.n_trials={count}"]), stdout=subprocess.DEVNULL)
    until = time.monotonic() + 1800
    while len(ended(folder)) < count // 2 and process.poll() is None and time.monotonic() < until:
        time.sleep(0.2)
    expect(process.poll() is None, "the search ended before it could be killed")
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    before = {trial.number: trial.values for trial in ended(folder)}
    while True:
        run([*search, f"hydra.sweeper.n_trials={count}"])
        study = ended(folder)
        expect(len(study) == count, f"{len(study)} trials have ended, and {count} were asked for")
        expect(before.items() <= {trial.number: trial.values for trial in study}.items(), "a trial was lost or changed")
        made = {trial.user_attrs["noria_key"]: trial.number for trial in study}
        expect(len(made) == count, "a trial was made twice")
        found = sorted(records(folder, "search"), key=lambda trial: made[Path(trial["folder"]).name[:12]])
        spent = np.cumsum([steps(trial) for trial in found])
        if spent[-1] >= budget:
            kept = found[: int((spent <= budget).sum())]
            pruned = sum(trial["status"] == "pruned" for trial in kept)
            return kept, f"{pruned} given up early; killed after {len(before)} trials, none lost, none made twice"
        count += 2


def command(words: list[str]) -> list[str]:
    return [sys.executable, str(ROOT / "scripts/run.py"), "-m", *words]


def run(words: list[str]) -> None:
    done = subprocess.run(command(words), capture_output=True, text=True, timeout=3600)
    expect(
        done.returncode == 0, f"{' '.join(words)}\nended with {done.returncode}: {(done.stdout + done.stderr)[-3000:]}"
    )


def records(folder: Path, sweep: str) -> list[Trial]:
    """Those of all trials that have come to an end."""
    paths = folder.glob(f"runs/default/{sweep}/*/record.json")
    found = [json.loads(path.read_text()) | {"folder": str(path.parent)} for path in paths]
    return [record for record in found if record["status"] in ("done", "pruned")]


def ended(folder: Path) -> list[optuna.trial.FrozenTrial]:
    """The trials of the study that have a result."""
    if not list(folder.glob("runs/default/search/*/record.json")):  # opening a study that is being made spoils it
        return []
    path = folder / "runs/default/search/study.db"
    return optuna.load_study(study_name=None, storage=f"sqlite:///{path}").get_trials(states=ENDED)


def steps(trial: Trial) -> int:
    return round(trial["throughput"]["examples"] / BATCH)


def best(trials: list[Trial]) -> Trial:
    done = [trial for trial in trials if trial["status"] == "done"]
    return max(done, key=lambda trial: trial["metrics"]["val/accuracy"]["value"])


def told(trial: Trial) -> str:
    config, found = trial["config"], trial["metrics"]["val/accuracy"]
    return (
        f"lr {config['optimizer']['lr']:.2g}, warm-up {config['scheduler']['warmup_steps']:.2g}: val/accuracy "
        f"{found['value']:.4f} [{found['low']:.4f}, {found['high']:.4f}]"
    )


def measured(grid: Trial, search: Trial, rows: list[dict[str, str]]) -> dict[str, float]:
    """The accuracies of two runs' artifacts on the same rows, and their difference with its interval."""
    truth = np.array([int(row["label"]) for row in rows])
    right = {}
    for name, trial in (("grid", grid), ("search", search)):
        asked = ["stage=predict", f"artifact={trial['folder']}/artifact", "input=-"]
        done = subprocess.run(
            [sys.executable, str(ROOT / "scripts/run.py"), *asked],
            input="".join(json.dumps({"text": row["text"]}) + "\n" for row in rows),
            capture_output=True,
            text=True,
        )
        expect(done.returncode == 0, done.stderr[-2000:])
        labels = [json.loads(line)["prediction"] for line in done.stdout.strip().split("\n")]
        right[name] = np.array([label == "positive" for label in labels]) == truth.astype(bool)
    both = right["search"].astype(float) - right["grid"]
    found = bootstrap(lambda drawn: float(both[drawn].mean()), len(both), resamples=10_000)
    return {name: float(values.mean()) for name, values in right.items()} | {
        "value": found.value,
        "low": found.low,
        "high": found.high,
    }


def expect(holds: bool, story: str) -> None:
    if not holds:
        sys.exit(f"NOT PROVEN: {story}")


if __name__ == "__main__":
    sys.exit(main())
