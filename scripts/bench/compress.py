"""Smaller artifacts side by side with the one they are made of: time of an example alone, examples a second, size, and
whether they answer as well.

A MiniLM classifier learns from SST-2's train part less 8,000 held-out sentences, once (`--artifact` names where it is
kept), and what is made of it is judged on those. All are timed in turn in one process, `--rounds` times over; medians.
OpenVINO's int8 is timed beside it where openvino and nncf are installed. Ten minutes on 2 cores, and one epoch.

    python scripts/bench/compress.py --data SST-2 --artifact sst2
"""

from __future__ import annotations

import csv
import json
import random
import sys
import tempfile
from pathlib import Path
from typing import Any

import _bench
import _openvino
import _work
from _bench import NEEDS_BF16, ROOT, Bar

RUN = (sys.executable, ROOT / "scripts/run.py")
HELD, MANY, CALIBRATED = 8000, 1024, 300
FP32, BF16, INT8, PEER = "fp32", "bf16, as stage=predict", "onnx_int8", "OpenVINO int8"
NEURONS, PRUNED, PRUNED_MARGIN = 0.5, 5.0, 0.02
ALONE, TIMES_FP32, TIMES_BF16, SIZE, MARGIN, TIMES_PEER = 5.0, 2.3, 1.25, 0.30, 0.01, 0.8
Table = tuple[dict[str, Any], list[dict[str, Any]], list[Bar]]


def main() -> int:
    parser = _bench.parser(__doc__ or "")
    parser.add_argument("--data", type=Path, help="folder with GLUE's train.tsv of SST-2")
    parser.add_argument("--artifact", type=Path, help="folder of the artifact; it is trained where there is none")
    parser.add_argument("--only", choices=list(PARTS), help="one part")
    asked = parser.parse_args()
    if asked.data is None:
        print("Nothing is measured: name a folder with SST-2 by --data.")
        return 0
    missed = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = write_rows(folder, asked.data / "train.tsv")
        artifact = (asked.artifact or folder / "artifact").resolve()
        if not artifact.exists():
            train(folder, artifact, rows, str(asked.model.resolve()))
        for part, measure in PARTS.items():
            if asked.only in (None, part):
                place = folder / part
                place.mkdir()
                facts, table, bars = measure(place, artifact, rows, asked.rounds)
                path = asked.json and asked.json.with_name(f"{asked.json.stem}_{part}.json")
                missed |= _bench.report({"part": part, **facts, "rounds": asked.rounds}, table, bars, path)
    return missed


def write_rows(folder: Path, source: Path) -> list[str]:
    """The words of a command that name the rows: 8,000 different sentences are held out, the same ones every time."""
    with source.open(newline="", encoding="utf-8") as file:
        read = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        found: dict[str, str] = {}
        for row in read:
            found.setdefault(row["sentence"].strip(), ("negative", "positive")[int(row["label"])])
    held = {*random.Random(0).sample(range(len(found)), HELD)}
    parts: dict[str, list[dict[str, str]]] = {"train": [], "held": []}
    for number, (text, label) in enumerate(found.items()):
        parts["held" if number in held else "train"].append({"text": text, "label": label})
    train, val = (_bench.write_rows(folder / f"{name}.csv", rows) for name, rows in parts.items())
    return ["data=table", f"data.path={train}", f"data.val_path={val}", "data.test_fraction=0", "logger=csv"]


def train(folder: Path, artifact: Path, rows: list[str], model: str) -> None:
    """One epoch, as `experiment=quickstart` learns."""
    words = ["model=hub", f"model.name={model}", "optimizer.lr=1e-4", "trainer.max_epochs=1", "stage.test=false"]
    _bench.run_command([*RUN, *rows, *words, f"paths.run_dir={folder}/fit", f"paths.runs={folder}/all"])
    artifact.parent.mkdir(parents=True, exist_ok=True)
    (folder / "fit/artifact").rename(artifact)


def int8(folder: Path, artifact: Path, rows: list[str], rounds: int) -> Table:
    """`stage=export stage.format=onnx_int8`."""
    gate = export(folder / INT8, artifact, rows, "onnx_int8", "val")
    whole = export(folder / "onnx", artifact, rows, "onnx", None)
    shared = {"artifact": str(artifact), "small": str(folder / INT8), "whole": str(folder / "onnx"), "rows": rows}
    runs = [_bench.run_function(__file__, "timed", **shared).result for _ in range(rounds)]
    sizes = {name: (artifact / "model.safetensors").stat().st_size for name in (FP32, BF16)}
    sizes |= {INT8: (folder / INT8 / "model.onnx").stat().st_size, **runs[0]["sizes"]}
    keys = ("p50_ms", "p99_ms", "examples_per_second", "batch_size")
    paces = {name: {key: _bench.middle(run["pace"][name][key] for run in runs) for key in keys}
             for name in runs[0]["pace"]}  # fmt: skip
    table = [
        {
            "artifact": name,
            "one example, p50, ms": one["p50_ms"],
            "p99, ms": one["p99_ms"],
            "examples/s": one["examples_per_second"],
            "batch": int(one["batch_size"]),
            "MB": sizes[name] / 1e6,
            f"answers as {FP32}": runs[0]["same"][name],
        }
        for name, one in paces.items()
    ]
    accuracy = gate["metrics"]["accuracy"]
    facts = {**gate["machine"], "flags": " ".join(gate["machine"]["flags"]), "precision": runs[0]["precision"]}
    facts |= {f"accuracy {name}": f"{accuracy[name]['value']:.4f}" for name in ("before", "after", "difference")}
    facts |= {f"peak memory {name}, MB": round(one["peak_memory"] / 1e6) for name, one in gate["pace"].items()}
    facts |= {"fp32 graph": f"differs by {whole['largest_difference']:.1g}", "runs": runs}
    return facts, table, int8_bars(runs, sizes, accuracy)


def int8_bars(runs: list[dict[str, Any]], sizes: dict[str, int], accuracy: dict[str, Any]) -> list[Bar]:
    def times(key: str, name: str, other: str, up: bool) -> float:
        ratios = [run["pace"][name][key] / run["pace"][other][key] for run in runs if other in run["pace"]]
        return _bench.middle(one if up else 1 / one for one in ratios) if ratios else 0.0

    no_bf16 = None if runs[0]["precision"] == "bf16" else NEEDS_BF16
    no_peer = None if PEER in runs[0]["pace"] else _openvino.LACKING
    p, rate = "p50_ms", "examples_per_second"
    return [
        Bar("an example alone, times as fast as fp32", times(p, INT8, FP32, up=False), ALONE),
        Bar("examples/s, times bf16 of stage=predict", times(rate, INT8, BF16, up=True), TIMES_BF16, lacking=no_bf16),
        Bar("examples/s, times fp32", times(rate, INT8, FP32, up=True), TIMES_FP32),
        Bar("size, times fp32", sizes[INT8] / sizes[FP32], SIZE, at_most=True),
        Bar(f"accuracy worse by {MARGIN}, p", accuracy["no_worse"], 0.05, at_most=True),
        Bar(f"an example alone, times {PEER}", times(p, INT8, PEER, up=False), TIMES_PEER, lacking=no_peer),
        Bar(f"examples/s, times {PEER}", times(rate, INT8, PEER, up=True), TIMES_PEER, lacking=no_peer),
    ]


def export(goal: Path, artifact: Path, rows: list[str], form: str, split: str | None) -> dict[str, Any]:
    """What the record says of the new artifact: the gate, if the rows of a split are answered by both."""
    words = ["stage=export", f"artifact={artifact}", f"stage.output={goal}", f"stage.format={form}", "precision=fp32"]
    words += [f"stage.split={split or 'null'}", f"stage.margin={MARGIN}", "metric=[accuracy]"]
    _bench.run_command([*RUN, *rows, *words, f"paths.run_dir={goal}_run", f"paths.runs={goal}_all"])
    record: dict[str, Any] = json.loads((Path(f"{goal}_run") / "record.json").read_text())
    return record["gate"] if split else record["export"]


def timed(artifact: str, small: str, whole: str, rows: list[str]) -> dict[str, Any]:
    """For a child: all artifacts in turn on held-out rows of every length."""
    import numpy as np
    import torch

    from noria.artifact.bundle import Artifact, open_artifact
    from noria.compression.pace import paces, some
    from noria.inference.runner import Runner

    cpu, precision = torch.device("cpu"), _work.precision()
    runners = {FP32: Runner(open_artifact(Path(artifact)), "32-true", cpu)}
    if precision == "bf16":
        runners[BF16] = Runner(open_artifact(Path(artifact)), "bf16-mixed", cpu)
    runners[INT8] = Runner(open_artifact(Path(small)), "32-true", cpu)
    names = dict(word.split("=", 1) for word in rows)
    texts, learnt = ([row["text"] for row in _bench.read_rows(names[key])] for key in ("data.val_path", "data.path"))
    encoded, sizes = runners[FP32].encoded([{"text": text} for text in texts]), {}
    if _openvino.installed():
        opened = open_artifact(Path(artifact))
        known = runners[FP32].encoded([{"text": text} for text in random.Random(0).sample(learnt, CALIBRATED)])
        taken = opened.tokenizer.model_input_names
        batches = [{key: x for key, x in known.batch([number]).items() if key in taken} for number in range(CALIBRATED)]
        goal = Path(small).with_name("openvino.xml")
        _openvino.quantize(Path(whole) / "model.onnx", goal, batches)
        network = _openvino.OpenVinoNetwork(goal, opened.network.config)
        peer = Artifact(opened.folder, opened.facts, network, opened.tokenizer, opened.kind)
        runners[PEER], sizes[PEER] = Runner(peer, "32-true", cpu), goal.with_suffix(".bin").stat().st_size
    many = some(encoded, MANY)
    said = {name: runner.outputs(encoded, 64, index=many)["scores"].argmax(1) for name, runner in runners.items()}
    return {
        "pace": {name: pace.as_dict() for name, pace in paces(runners, encoded, many=MANY).items()},
        "same": {name: float(np.mean(answers == said[FP32])) for name, answers in said.items()},
        "sizes": sizes,
        "precision": precision,
    }


def pruned(folder: Path, artifact: Path, rows: list[str], rounds: int) -> Table:
    """Half of the feed-forward neurons go, what is left learns from the labels and from the artifact, and 8 bits."""
    cut = f"{{prune_structured:{{neurons:{NEURONS},recover_epochs:1}}}}"
    words = ["stage=compress", f"artifact={artifact}", f"stage.steps=[{cut},quantize_int8]", "stage.teacher=true"]
    words += [f"stage.margin={PRUNED_MARGIN}", "metric=[accuracy]", "precision=auto", "optimizer.lr=1e-4"]
    goal = folder / "small"
    _bench.run_command([*RUN, *rows, *words, f"paths.run_dir={goal}", f"paths.runs={folder}/all"])
    gate = json.loads((goal / "record.json").read_text())["gate"]
    shared = {"before": str(artifact), "after": str(goal / "artifact"), "rows": rows}
    runs = [_bench.run_function(__file__, "beside_fp32", **shared).result for _ in range(rounds)]
    times = [one["after"]["examples_per_second"] / one["before"]["examples_per_second"] for one in runs]
    accuracy = gate["metrics"]["accuracy"]
    table = [
        {"artifact": name, "one example, p50, ms": _bench.middle(one[key]["p50_ms"] for one in runs),
         "examples/s": _bench.middle(one[key]["examples_per_second"] for one in runs), "MB": size / 1e6,
         "accuracy": accuracy[key]["value"]}
        for name, key, size in (
            (FP32, "before", (artifact / "model.safetensors").stat().st_size),
            (f"{NEURONS:.0%} neurons less, taught, {INT8}", "after", (goal / "artifact/model.onnx").stat().st_size),
        )
    ]  # fmt: skip
    facts = {"difference in accuracy": accuracy["difference"], "runs": runs}
    return facts, table, [
        Bar("examples/s, times fp32", _bench.middle(times), PRUNED),
        Bar(f"accuracy worse by {PRUNED_MARGIN}, p", accuracy["no_worse"], 0.05, at_most=True),
    ]  # fmt: skip


def beside_fp32(before: str, after: str, rows: list[str]) -> dict[str, Any]:
    """For a child: two artifacts in turn on held-out rows of every length."""
    import torch

    from noria.artifact.bundle import open_artifact
    from noria.compression.pace import paces
    from noria.inference.runner import Runner

    named = {"before": before, "after": after}
    runners = {name: Runner(open_artifact(Path(one)), "32-true", torch.device("cpu")) for name, one in named.items()}
    path = dict(word.split("=", 1) for word in rows)["data.val_path"]
    encoded = runners["before"].encoded([{"text": row["text"]} for row in _bench.read_rows(path)])
    return {name: pace.as_dict() for name, pace in paces(runners, encoded, many=MANY).items()}


PARTS = {"int8": int8, "pruned": pruned}


if __name__ == "__main__":
    sys.exit(main())
