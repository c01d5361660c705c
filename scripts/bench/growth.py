"""Growth: time and memory of data on its way from a file to batches, at 1, 4 and 16 times the rows.

Time is to grow with the rows and no faster, memory with next to nothing; what is tokenised once is found again in
milliseconds; and a file larger than the memory that a process may have is read, tokenised and batched all the same.
About eight minutes on 2 cores.
"""

from __future__ import annotations

import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import _bench
from _bench import Bar

FACTORS = (1, 4, 16)
LINEAR = 1.25  # seconds a row of the largest file over the fewest of a smaller one
BYTES_PER_ROW = 64  # of memory, for each further row: lengths, labels, keys and batch numbers, but no text and no token
ANSWER = 300.0  # ms until a process has its tokens of 16 times the rows out of the cache
AGAIN = 100.0  # ms for the same, once it knows its tokenizer
ANSWERS = 5
SAMPLE = 10_000  # rows
MiB = 1 << 20


def main() -> int:
    made = _bench.parser(__doc__ or "")
    made.add_argument("--rows", type=int, default=10_000, help="of the smallest file")
    made.add_argument("--memory", type=int, default=192, help="MiB that the process with a limit may have; 0: none")
    asked = made.parse_args()
    lacking = None if sys.platform == "linux" else "only Linux tells a process's own memory from mapped files"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = {factor: write(folder / f"{factor}.csv", factor * asked.rows) for factor in FACTORS}
        run = {factor: (lambda factor=factor: both(folder, files[factor], asked.model)) for factor in FACTORS}
        found = _bench.rounds({f"{factor}x": run[factor] for factor in FACTORS}, asked.rounds)
        rows = [table_row(factor * asked.rows, files[factor], found[f"{factor}x"]) for factor in FACTORS]
        bars = growth_bars(rows, lacking)
        facts: dict[str, Any] = {"rounds": asked.rounds, "tokenizer": str(asked.model), "measured": found}
        if asked.memory:
            facts |= limited(folder, asked.memory, asked.model)
            bars.append(
                Bar("a file's size over the memory that may be had", facts["file over limit"], 1, False, lacking)
            )
    return _bench.report(facts, rows, bars, asked.json)


def growth_bars(rows: list[dict[str, Any]], lacking: str | None) -> list[Bar]:
    first, last = rows[0], rows[-1]
    each = [row["all, s"] / row["rows"] for row in rows]
    memory = (last["memory, MiB"] - first["memory, MiB"]) * MiB / (last["rows"] - first["rows"])
    return [
        Bar("seconds a row at 16x over the fewest of the others", each[-1] / min(each[:-1]), LINEAR, at_most=True),
        Bar("memory, bytes for each further row", memory, BYTES_PER_ROW, True, lacking),
        Bar("tokens of 16x out of the cache, ms", last["cache, ms"], ANSWER, at_most=True),
        Bar("the same again, ms", last["again, ms"], AGAIN, at_most=True),
    ]


def table_row(rows: int, file: Path, found: list[tuple[dict[str, float], dict[str, float]]]) -> dict[str, Any]:
    def middle(name: str, place: int = 0) -> float:
        return _bench.middle(each[place][name] for each in found)

    return {
        "rows": rows,
        "file, MiB": file.stat().st_size / MiB,
        "read and split, s": middle("read"),
        "tokenise, s": middle("encode"),
        "an epoch of batches, s": middle("batches"),
        "all, s": _bench.middle(sum(cold[part] for part in ("read", "encode", "batches")) for cold, _ in found),
        "cache, ms": 1e3 * middle("encode", 1),
        "again, ms": 1e3 * middle("again", 1),
        "memory, MiB": middle("memory") / MiB,
    }


def write(path: Path, count: int) -> Path:
    """So many different rows: those of Rotten Tomatoes again and again, each time with another number as last word."""
    texts = _bench.rotten_tomatoes(4000)
    rows = (
        {**texts[i % len(texts)], "text": f"{texts[i % len(texts)]['text']} {i // len(texts)}"} for i in range(count)
    )
    return _bench.write_rows(path, rows)


def both(folder: Path, file: Path, model: Path) -> tuple[dict[str, float], dict[str, float]]:
    """A process that finds no tokens in the cache, and one that finds them."""
    with tempfile.TemporaryDirectory(dir=folder) as cache:
        cold, warm = (_pass(cache, path=str(file), model=str(model.resolve())) for _ in range(2))
    return cold, warm


def limited(folder: Path, memory: int, model: Path) -> dict[str, Any]:
    """A process that may have so many MiB besides what it starts with, and a file that is larger than that."""
    size = write(folder / "sample.csv", SAMPLE).stat().st_size / SAMPLE
    file = write(folder / "large.csv", int(1.1 * memory * MiB / size))
    with tempfile.TemporaryDirectory(dir=folder) as cache:
        found = _pass(cache, path=str(file), model=str(model.resolve()), limit=memory * MiB)
    of_file = file.stat().st_size / MiB
    return {"limit, MiB": memory, "file, MiB": of_file, "file over limit": of_file / memory, "limited": found}


def _pass(cache: str, **arguments: Any) -> dict[str, float]:
    return _bench.run_function(__file__, "measure", cache=cache, **arguments).result


# in a process of its own


def measure(cache: str, path: str, model: str, limit: int | None = None) -> dict[str, float]:
    """Seconds from the file to split rows, to tokens, and through all training batches, and bytes of peak memory."""
    import os
    import resource

    os.environ["NORIA_CACHE"] = cache
    if limit:  # Arrow's own allocator asks for a gigabyte of addresses, which counts here although no memory is behind
        os.environ["ARROW_DEFAULT_MEMORY_POOL"] = "system"
    from transformers import AutoTokenizer

    from noria.data.batch import tokens
    from noria.data.source.table import TableData
    from noria.task.text_classification.form import TextClassificationForm

    tokenizer = AutoTokenizer.from_pretrained(model)
    with tempfile.TemporaryDirectory() as folder:  # what is made once: threads, tables of characters
        walk(TableData(path=str(write(Path(folder) / "some.csv", 1000))).bind(TextClassificationForm(), tokenizer))
    tokens._state.cache_clear()
    data = TableData(path=path).bind(TextClassificationForm(), tokenizer)
    before = status("RssAnon")
    if limit:
        may = status("VmData") + limit
        resource.setrlimit(resource.RLIMIT_DATA, (may, may))
    with peak() as seen:
        taken = walk(data)
    again = min(encode(data) for _ in range(ANSWERS))
    return {**taken, "again": again, "memory": max(seen) - before}


def walk(data: Any) -> dict[str, float]:
    """Seconds of each part of the way."""
    started = time.perf_counter()
    data.setup()
    read = time.perf_counter() - started
    encoded = encode(data)
    started = time.perf_counter()
    rows = sum(len(batch["index"]) for batch in data.loader("train", shuffle=True))
    assert rows == len(data.splits["train"])
    return {"read": read, "encode": encoded, "batches": time.perf_counter() - started}


def encode(data: Any) -> float:
    """Seconds until there are tokens of every split: made where the cache has none."""
    data._encoded.clear()
    started = time.perf_counter()
    for split in data.splits:
        data.encoded(split)
    return time.perf_counter() - started


@contextmanager
def peak() -> Iterator[list[int]]:
    """Bytes of memory that is the process's own, every five milliseconds."""
    seen, done = [status("RssAnon")], threading.Event()

    def watch() -> None:
        while not done.wait(0.005):
            seen.append(status("RssAnon"))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        done.set()
        thread.join()


def status(name: str) -> int:
    """A line of /proc/self/status, in bytes; 0 where there is no such file."""
    try:
        with open("/proc/self/status") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith(f"{name}:"))
    except OSError:
        return 0


if __name__ == "__main__":
    sys.exit(main())
