"""A student of half its teacher's layers, with the teacher and without it, side by side over seeds: the metric on the
validation rows with a paired test, time and memory of training.

Both begin with the same layers of the teacher. The answers of the teacher are made once, before the first student is
trained; `trained` is the training alone. Each run is a process of its own, the two ways in turn.

    python scripts/bench/distil.py
    python scripts/bench/distil.py --data rows.csv --words data.text=review trainer.max_epochs=2
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

import _bench
from _bench import ROOT

RUN = (sys.executable, ROOT / "scripts/run.py")
WITH, WITHOUT = "with the teacher", "without"
MOST = 1.15  # times as long as without
ALPHA = 0.05


def main() -> int:
    parser = _bench.parser(__doc__ or "")
    parser.add_argument("--data", type=Path, help="a table with columns text and label; None: Rotten Tomatoes")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=3000, help="of train")
    parser.add_argument("--metric", default="accuracy")
    parser.add_argument("--words", nargs="*", default=[], help="keys of the config, for all fits")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        data = [] if asked.data is None else ["data=table", f"data.path={asked.data.resolve()}"]
        shared = ["experiment=quickstart", f"data.limit={asked.rows}", "logger=csv", "stage.test=false"]
        shared += ["~callback.checkpoint", f"paths.runs={folder}/all", *data, *asked.words]
        fit(shared, folder / "teacher")
        teacher = ["task/wrapper=distillation", f"task.wrapper.teacher={folder}/teacher/artifact"]
        begin = ["task.wrapper.every=2", "trainer.max_steps=1", "optimizer.lr=1e-12", "data.limit=64"]
        fit([*shared, *teacher, *begin], folder / "student")
        begun = ["model=hub", f"model.name={folder}/student/artifact"]
        ways = {WITH: [*shared, *begun, *teacher], WITHOUT: [*shared, *begun]}
        runs: dict[str, list[Path]] = {name: [] for name in ways}
        peaks: dict[str, list[int]] = {name: [] for name in ways}
        for seed in range(asked.seeds):
            for name in sorted(ways, reverse=bool(seed % 2)):
                runs[name].append(folder / f"{name.split()[0]}{seed}")
                peaks[name].append(fit([*ways[name], f"seed={seed}"], runs[name][-1]))
                print(f"{name}, seed {seed}", file=sys.stderr, flush=True)
        found = compared(folder, runs, asked.metric)
        records = {name: [read(run) for run in each] for name, each in runs.items()}
        own = read(folder / "teacher")["metrics"][f"val/{asked.metric}"]["value"]
    seconds = {name: [one["timings"]["fit_seconds"] for one in each] for name, each in records.items()}
    rows = []
    for name, system in found.items():
        row = {"student": name, "seeds": len(runs[name]), asked.metric: told(system["estimate"])}
        gap = system["difference"]
        row["difference"] = "" if gap is None else f"{told(gap['estimate'], '+')}, p {gap['p']:.2g}"
        row["trained, s"] = f"{median(seconds[name]):.1f}"
        row["peak, MiB"] = f"{median(peaks[name][1:] or peaks[name]) / 2**20:.0f}"
        rows.append(row)
    gap = found[WITH]["difference"]
    p = gap["p"] if gap["estimate"]["value"] > 0 else 1.0
    ratio = median(a / b for a, b in zip(seconds[WITH], seconds[WITHOUT], strict=True))
    asking = records[WITH][0]["teacher"]["seconds"]
    facts = {"seeds": asked.seeds, "rows": asked.rows, f"the teacher's {asked.metric}": f"{own:.4f}"}
    facts |= {"asking and measuring the teacher, once, s": f"{asking:.1f}"}
    bars = [
        _bench.Bar("the student is better with its teacher: p of the paired test", p, ALPHA, at_most=True),
        _bench.Bar("time of training, with / without", ratio, MOST, at_most=True),
    ]
    return _bench.report(facts, rows, bars, asked.json)


def fit(words: list[str], run: Path) -> int:
    """Runs a fit; the most memory it held, in bytes."""
    return _bench.run_command([*RUN, *words, f"paths.run_dir={run}"]).peak_rss


def read(run: Path) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((run / "record.json").read_text())
    return record


def compared(folder: Path, runs: dict[str, list[Path]], metric: str) -> dict[str, dict[str, Any]]:
    """Of each way the metric with its interval, and its difference from the students without a teacher."""
    goal = folder / "compared"
    _bench.run_command(
        [
            *(*RUN, "stage=compare", f"stage.runs=[{','.join(str(one) for each in runs.values() for one in each)}]"),
            *(f"stage.metric={metric}", "stage.split=val", f"stage.baseline={runs[WITHOUT][0]}", "logger=csv"),
            *(f"paths.run_dir={goal}", f"paths.runs={folder}/all"),
        ]
    )
    names = {str(run): name for name, each in runs.items() for run in each}
    systems = json.loads((goal / "comparison.json").read_text())["systems"]
    return {names[system["runs"][0]]: system for system in systems}


def told(estimate: dict[str, Any], sign: str = "") -> str:
    return f"{estimate['value']:{sign}.4f} [{estimate['low']:{sign}.4f}, {estimate['high']:{sign}.4f}]"


if __name__ == "__main__":
    sys.exit(main())
