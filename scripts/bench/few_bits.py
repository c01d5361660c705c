"""A decoder with weights of 8 and 4 bits beside the same one in bf16: tokens a second of one answer, and perplexity.

A SmolLM2 reads on in a text first (`--artifact` names where it is kept): the packaged file's own 4-bit grid would
flatter what is rounded again. Each pair is timed in turn in one process, as `stage=compress` does it. About ten minutes
on 2 cores.

    python scripts/bench/few_bits.py --data text.txt --artifact lm
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import _bench
from _bench import ROOT, Bar

RUN = (sys.executable, ROOT / "scripts/run.py")
WAYS = {"8 bits": {"bits": 8}, "4 bits, groups of 32": {"bits": 4, "group_size": 32}}
FASTER, WORSE = 1.5, 1.03  # of one of them: times as many tokens a second, times the perplexity
STEPS = 80


def main() -> int:
    parser = _bench.parser(__doc__ or "")
    parser.add_argument("--data", type=Path, help="a text file")
    parser.add_argument("--artifact", type=Path, help="folder of the artifact; it is trained where there is none")
    asked = parser.parse_args()
    if asked.data is None:
        print("Nothing is measured: name a text file by --data.")
        return 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shared = ["data=text", f"data.path={asked.data.resolve()}", "data.max_length=256", "logger=csv"]
        shared += [f"paths.runs={folder}/all"]
        artifact = (asked.artifact or folder / "artifact").resolve()
        if not artifact.exists():
            words = ["experiment=domain_lm", "optimizer.lr=2e-4", f"trainer.max_steps={STEPS}", "trainer.max_epochs=99"]
            words += ["data.batch_size=2", "stage.before=false", "stage.test=false", "~callback.checkpoint"]
            _bench.run_command([*RUN, *words, *shared, f"paths.run_dir={folder}/fit"])
            shutil.copytree(folder / "fit/artifact", artifact)
        found = {way: measured(folder, artifact, shared, settings) for way, settings in WAYS.items()}
    table = [row("bf16", next(iter(found.values())), "before"), *(row(way, one, "after") for way, one in found.items())]
    bars = []
    for way, one in found.items():
        perplexity = one["gate"]["metrics"]["perplexity"]
        bars.append(
            Bar(f"{way}: tokens/s of one answer, times bf16", 1 / one["gate"]["times"]["p50_ms"]["value"], FASTER)
        )
        times = perplexity["after"]["value"] / perplexity["before"]["value"]
        bars.append(Bar(f"{way}: times the perplexity", times, WORSE, at_most=True))
    machine = next(iter(found.values()))["gate"]["machine"]
    return _bench.report({**machine, "flags": " ".join(machine["flags"]), "records": found}, table, bars, asked.json)


def measured(folder: Path, artifact: Path, shared: list[str], settings: dict[str, int]) -> dict[str, Any]:
    """What the record of `stage=compress` says."""
    run = folder / "_".join(str(value) for value in settings.values())
    words = ["stage=compress", f"artifact={artifact}", "stage.steps=[quantize_weights]", "precision=bf16_true"]
    words += [f"compression.quantize_weights.{key}={value}" for key, value in settings.items()]
    _bench.run_command([*RUN, *words, *shared, "metric=[perplexity]", f"paths.run_dir={run}"])
    record = json.loads((run / "record.json").read_text())
    return {"gate": record["gate"], "costs": record["costs"]}


def row(name: str, found: dict[str, Any], which: str) -> dict[str, Any]:
    cost, perplexity = found["costs"][which], found["gate"]["metrics"]["perplexity"][which]
    return {
        "weights": name,
        "one token, p50, ms": cost["p50_ms"],
        "tokens/s, many answers": cost["examples_per_second"],
        "MB": cost["bytes"] / 1e6,
        "perplexity": f"{perplexity['value']:.3f} [{perplexity['low']:.3f}, {perplexity['high']:.3f}]",
    }


if __name__ == "__main__":
    sys.exit(main())
