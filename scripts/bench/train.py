"""Training side by side: Noria and three settings of the transformers Trainer, in examples a second.

Same model, rows, batch in examples, updates and threads; every run is a process of its own. Timed are the training
steps alone, from the start of the first to the end of the last: no start-up, no evaluation, no saving. Less than
fifteen minutes on 2 cores.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import _bench
import _peer
import _work
from _bench import NEEDS_BF16, ROOT, Bar, Run

GLUE, DYNAMIC, BEST, NORIA = "Trainer as run_glue", "Trainer, dynamic padding", "Trainer at its best", "Noria"
PEERS = {"pad": GLUE, "dynamic": DYNAMIC, "grouped": BEST}
PROMISED = {GLUE: 10.0, DYNAMIC: 3.3, BEST: 1.6}  # times their examples/s
HELD_OUT = 32  # rows that every contestant evaluates after training
LR = 5e-5


def main() -> int:
    parser = _bench.parser(__doc__ or "")
    parser.add_argument("--rows", type=int, default=768, help="examples of the one epoch")
    parser.add_argument("--batch-size", type=int, default=32, help="examples")
    parser.add_argument("--max-length", type=int, default=128, help="tokens")
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS), help="settings of the Trainer")
    parser.add_argument("--peak-sizes", type=int, nargs="+", help="of the matrices that measure the peak")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = _bench.rotten_tomatoes(asked.rows + HELD_OUT)
        shared = {
            "model": str(asked.model.resolve()),
            "train": str(_bench.write_rows(folder / "train.csv", rows[HELD_OUT:])),
            "val": str(_bench.write_rows(folder / "val.csv", rows[:HELD_OUT])),
            "batch_size": asked.batch_size,
            "max_length": asked.max_length,
        }
        work = _bench.run_function(
            _work.__file__, "useful_work", model=shared["model"], table=shared["train"], max_length=asked.max_length
        ).result
        precision = work.pop("precision")
        found = compare(shared, folder, precision, asked)
    machine = _work.measured_machine(found.pop("matmul peak"))
    updates = math.ceil(asked.rows / asked.batch_size)
    for name, runs in found.items():
        _check_same_work(name, runs, {**work, "updates": updates})
    return report(machine, work, {"updates": updates, **vars(asked)}, found)


def compare(shared: dict[str, Any], folder: Path, precision: str, asked: argparse.Namespace) -> dict[str, list[Run]]:
    """The runs of every contestant, and those that measure the peak."""

    def peer(setting: str) -> Any:
        words = {"setting": setting, "precision": precision if setting == "grouped" else "fp32", **shared}
        return lambda: _bench.run_function(_peer.__file__, "train", folder=str(folder / "trainer"), lr=LR, **words)

    return _bench.rounds(
        {
            "matmul peak": lambda: _bench.run_function(_work.__file__, "machine", sizes=asked.peak_sizes),
            **{PEERS[setting]: peer(setting) for setting in asked.peers},
            NORIA: lambda: noria(folder, **shared),
        },
        asked.rounds,
    )


def noria(folder: Path, model: str, train: str, val: str, batch_size: int, max_length: int) -> Run:
    """Trains by Noria's own command line; the seconds and tokens are those of the run's record."""
    run_dir = folder / "noria"
    shutil.rmtree(run_dir, ignore_errors=True)  # of the round before
    run = _bench.run_command(
        [
            *(sys.executable, ROOT / "scripts/run.py", "experiment=quickstart", "precision=auto"),
            *("model=hub", f"model.name={model}", f"optimizer.lr={LR}", "trainer.max_epochs=1"),
            *("data=table", f"data.path={train}", f"data.val_path={val}", "data.label_names=[negative,positive]"),
            *("data.val_fraction=0", "data.test_fraction=0", "stage.test=false", "logger=csv"),
            *(f"data.batch_size={batch_size}", f"data.max_length={max_length}"),
            *(f"paths.run_dir={run_dir}", f"paths.runs={folder}"),
        ],
        NORIA_CACHE=str(folder / "cache"),
    )
    record = json.loads((run_dir / "record.json").read_text())
    counted = record["throughput"]
    tokens = round(counted["tokens_per_second"] * counted["seconds"])
    last = max(row["step"] for row in record["history"])
    result = {
        **{"seconds": counted["seconds"], "examples": counted["examples"], "tokens": tokens, "updates": last},
        **{"computed": round(counted["padding_waste"] * tokens), "precision": record["precision"].partition("-")[0]},
    }
    return Run(run.seconds, run.peak_rss, result)


def _check_same_work(name: str, runs: list[Run], work: dict[str, Any]) -> None:
    for run in runs:
        for fact in ("examples", "tokens", "updates"):
            if run.result[fact] != work[fact]:
                sys.exit(f"{name}: {run.result[fact]} {fact}, and {work[fact]} were asked for: no comparison.")


def report(machine: dict[str, Any], work: dict[str, Any], asked: dict[str, Any], found: dict[str, list[Run]]) -> int:
    peak, rows = machine["peak"], {}
    for name, runs in found.items():
        seconds, precision = sorted(run.result["seconds"] for run in runs), runs[0].result["precision"]
        precision = "fp32" if precision == "32" else precision
        taken = _bench.middle(seconds)
        rows[name] = {
            "training loop": name,
            "precision": precision,
            "examples/s": work["examples"] / taken,
            "lowest": work["examples"] / seconds[-1],
            "highest": work["examples"] / seconds[0],
            "useful tokens/s": work["tokens"] / taken,
            "share of peak": work["flops"] / taken / peak[precision],
            "waste": _bench.middle(run.result["computed"] / work["tokens"] for run in runs),
            "peak RSS, MiB": _bench.middle(run.peak_rss for run in runs) / 2**20,
        }
    facts = {
        **machine,
        "matmul peak, GFLOP/s": ", ".join(f"{name} {rate / 1e9:,.0f}" for name, rate in peak.items()),
        **{name: str(value) if isinstance(value, Path) else value for name, value in asked.items()},
        "of these operations Noria executes": f"{work['executed']:.1%}",
        "work": work,
        "seconds": {name: [run.result["seconds"] for run in runs] for name, runs in found.items()},
    }
    return _bench.report(facts, list(rows.values()), bars(rows, "bf16" in peak), asked["json"])


def bars(rows: dict[str, dict[str, Any]], has_bf16: bool) -> list[Bar]:
    """What is promised of the rows, by contestant."""
    lacking = None if has_bf16 else NEEDS_BF16
    ours = rows[NORIA]
    found = [
        Bar(f"times {name}", ours["examples/s"] / rows[name]["examples/s"], bar, lacking=lacking)
        for name, bar in PROMISED.items()
        if name in rows
    ]
    found.append(Bar("share of the matmul peak", ours["share of peak"], 0.5, lacking=lacking))
    if BEST in rows:
        memory = ours["peak RSS, MiB"] / rows[BEST]["peak RSS, MiB"]
        found.append(Bar(f"peak RSS over {BEST}", memory, 1.0, at_most=True))
    return found


if __name__ == "__main__":
    sys.exit(main())
