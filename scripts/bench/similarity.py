"""How alike two sentences are, three ways side by side on STS-B: MiniLM's cosine as it comes, fine-tuned as vectors,
and fine-tuned as a regression of pairs. Pearson and Spearman on the dev part, with intervals and paired tests.

The last weights count, so that nothing is chosen on the dev part. Pairs of the dev part that stand in the train part
are left out and counted: what was learnt by heart says nothing. Each run is a process of its own. One seed of one epoch
took six minutes on 2 cores.

    python scripts/bench/similarity.py --data folder-with-sts-train.csv-and-sts-dev.csv
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import _bench
from _bench import ROOT

RUN = (sys.executable, ROOT / "scripts/run.py")
FILES = {"train": "sts-train.csv", "val": "sts-dev.csv"}
LEARNT = {
    "vectors": ("task=similarity", "optimizer.lr=5e-5"),
    "regression of pairs": ("task=text_regression", "optimizer.lr=5e-5"),
}
AS_IT_COMES = "cosine as it comes"
METRICS = ("pearson", "spearman")


def main() -> int:
    parser = _bench.parser(__doc__ or "")
    parser.add_argument("--data", type=Path, help="folder with sts-train.csv and sts-dev.csv")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=4)
    asked = parser.parse_args()
    if asked.data is None:
        print("Nothing is measured: name the folder of STS-B with --data.")
        return 0
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        parts = {split: pairs(asked.data / name) for split, name in FILES.items()}
        seen = {frozenset((one["a"], one["b"])) for one in parts["train"]}
        unseen = [one for one in parts["val"] if frozenset((one["a"], one["b"])) not in seen]
        left_out = len(parts["val"]) - len(unseen)
        paths = {split: folder / f"{split}.jsonl" for split in parts}
        for split, some in (("train", parts["train"]), ("val", unseen)):
            paths[split].write_text("".join(f"{json.dumps(one)}\n" for one in some))
        shared = (
            *("model=hub", f"model.name={asked.model.resolve()}", "data=table", f"data.path={paths['train']}"),
            *(f"data.val_path={paths['val']}", "data.test_fraction=0", "data.text=[a,b]", "data.label=score"),
            *("data.batch_size=32", "logger=csv", f"paths.runs={folder}/all"),
        )
        runs = {AS_IT_COMES: [folder / "base"]}
        at_once = ("stage=evaluate", "task=similarity", "stage.split=val", f"paths.run_dir={folder}/base")
        _bench.run_command([*RUN, *shared, *at_once])
        for name, words in LEARNT.items():
            runs[name] = [folder / f"{name.split()[0]}{seed}" for seed in range(asked.seeds)]
            for seed, run in enumerate(runs[name]):
                epochs = f"trainer.max_epochs={asked.epochs}"
                more = (f"seed={seed}", f"paths.run_dir={run}", epochs, "~callback.checkpoint", "stage.test=false")
                _bench.run_command([*RUN, *shared, *words, *more])
                print(f"{name}, seed {seed}", file=sys.stderr, flush=True)
        rows = [row for metric in METRICS for row in compared(folder, runs, metric)]
    facts = {"seeds": asked.seeds, "epochs": asked.epochs, "pairs": max(row.pop("pairs") for row in rows)}
    facts["left out, for they stand in the train part"] = left_out
    return _bench.report(facts, rows, [], asked.json)


def pairs(path: Path) -> list[dict[str, Any]]:
    """The pairs of a file as the SemEval task has them, with tabs and without a header."""
    with path.open(encoding="utf-8") as file:
        parts = [line.rstrip("\n").split("\t") for line in file]
    return [{"a": one[5], "b": one[6], "score": float(one[4])} for one in parts if len(one) > 6]


def compared(folder: Path, runs: dict[str, list[Path]], metric: str) -> list[dict[str, Any]]:
    """A line for each way: the metric with its interval, and its difference from the cosine as it comes."""
    goal = folder / f"compared_{metric}"
    _bench.run_command(
        [
            *(*RUN, "stage=compare", f"stage.runs=[{','.join(str(one) for each in runs.values() for one in each)}]"),
            *(f"stage.metric={metric}", "stage.split=val", f"stage.baseline={folder}/base", "logger=csv"),
            *(f"paths.run_dir={goal}", f"paths.runs={folder}/all"),
        ]
    )
    found = json.loads((goal / "comparison.json").read_text())
    names = {str(run): name for name, each in runs.items() for run in each}
    rows = []
    for system in sorted(found["systems"], key=lambda one: list(runs).index(names[one["runs"][0]])):
        gap, value = system["difference"], system["estimate"]
        row = {"metric": metric, "by": names[system["runs"][0]], "seeds": len(system["runs"]), "value": told(value)}
        row["difference"] = "" if gap is None else f"{told(gap['estimate'], '+')}, p {gap['p']:.2g}"
        rows.append(row | {"pairs": value["n"]})
    return rows


def told(estimate: dict[str, Any], sign: str = "") -> str:
    return f"{estimate['value']:{sign}.4f} [{estimate['low']:{sign}.4f}, {estimate['high']:{sign}.4f}]"


if __name__ == "__main__":
    sys.exit(main())
