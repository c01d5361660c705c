"""Start-up: from the command to its first training step, against importing torch and lightning and loading the model.

Noria trains on all of Rotten Tomatoes; the first run finds no tokens in the cache, the others do. Says also what is
imported beyond the bare imports, and which packages cost most there; and the most memory held before the step. About
three minutes on 2 cores.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import _bench
from _bench import ROOT, Bar

BAR = 2.5  # seconds above the bare imports and the model
BARE = """
import os, sys, time
import torch, lightning
from transformers import AutoModelForSequenceClassification
AutoModelForSequenceClassification.from_pretrained(sys.argv[1], num_labels=2)
with open(sys.argv[2], "w") as file:
    file.write(str(time.time()))
os._exit(0)
"""
FIRST, NORIA, BASE = "Noria, first run", "Noria", "import torch, lightning; load the model"
PACKAGES = 8  # named in the table of imports
CALLBACK = "first_step:\n  _target_: _first_step.FirstStep\n  path: ???\n"


class Start(NamedTuple):
    """One start: its seconds, the most memory it held (bytes), and what it said."""

    seconds: float
    peak_rss: int
    said: str


def main() -> int:
    asked = _bench.parser(__doc__ or "").parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "conf/callback").mkdir(parents=True)
        (folder / "conf/callback/first_step.yaml").write_text(CALLBACK)
        bare(folder, asked.model)  # the first one reads from the disk
        taken = {FIRST: [noria(folder, asked.model)]}
        taken |= _bench.rounds(
            {BASE: lambda: bare(folder, asked.model), NORIA: lambda: noria(folder, asked.model)}, asked.rounds
        )
        base = {module for module, _ in imported(bare(folder, asked.model, "-X", "importtime"))}
        imports = costs(noria(folder, asked.model, "-X", "importtime"), base)
    seconds = {name: [start.seconds for start in found] for name, found in taken.items()}
    above = _bench.middle(seconds[NORIA]) - _bench.middle(seconds[BASE])
    rows = [
        {
            "from the command to": name,
            "s": _bench.middle(seconds[name]),
            "lowest": min(seconds[name]),
            "highest": max(seconds[name]),
            "peak RSS, MiB": _bench.middle(start.peak_rss for start in found) / 2**20,
        }
        for name, found in taken.items()
    ]
    facts = {"rounds": asked.rounds, "model": str(asked.model), "imports beyond those, s": imports, "seconds": seconds}
    print(f"imports beyond {BASE}, s: " + ", ".join(f"{name} {seconds:.2f}" for name, seconds in imports.items()))
    return _bench.report(facts, rows, [Bar("seconds above that", above, BAR, at_most=True)], asked.json)


def noria(folder: Path, model: Path, *python: str) -> Start:
    """From the command to the start of its first training step."""
    mark, run_dir = folder / "mark", folder / "run"
    shutil.rmtree(run_dir, ignore_errors=True)
    mark.unlink(missing_ok=True)
    started = time.time()  # the clock of the processes is the same
    run = _bench.run_command(
        [
            *(sys.executable, *python, ROOT / "scripts/run.py", "--config-dir", folder / "conf"),
            *("experiment=quickstart", "model=hub", f"model.name={model.resolve()}", "logger=csv"),
            "callback=[checkpoint,learning_rate,gradient_norm,stop_on_nan,progress,first_step]",
            *(f"callback.first_step.path={mark}", f"paths.run_dir={run_dir}", f"paths.runs={folder}"),
        ],
        NORIA_CACHE=str(folder / "cache"),
        PYTHONPATH=os.pathsep.join([str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]),
    )
    return Start(float(mark.read_text()) - started, run.peak_rss, run.result)


def bare(folder: Path, model: Path, *python: str) -> Start:
    """From the command to a loaded model, without Noria."""
    mark, started = folder / "mark", time.time()
    run = _bench.run_command([sys.executable, *python, "-c", BARE, model.resolve(), mark])
    return Start(float(mark.read_text()) - started, run.peak_rss, run.result)


def imported(start: Start) -> list[tuple[str, int]]:
    """Each module with its own microseconds, without what it imports of others, from `python -X importtime`."""
    found = re.findall(r"^import time:\s+(\d+) \|\s+\d+ \|\s+(\S+)", start.said, re.MULTILINE)
    return [(module, int(own)) for own, module in found]


def costs(start: Start, base: set[str]) -> dict[str, float]:
    """Seconds of the costliest packages, of their modules that are not in `base`."""
    spent: Counter[str] = Counter()
    for module, own in imported(start):
        if module not in base:
            spent[module.partition(".")[0]] += own
    return {name: micro / 1e6 for name, micro in spent.most_common(PACKAGES)}


if __name__ == "__main__":
    sys.exit(main())
