"""The benchmarks: tables and bars on small numbers, the count of FLOPs, and one of them in its shortest form."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

BENCH = Path(__file__).resolve().parents[2] / "scripts/bench"


def opened(script: str, patch: pytest.MonkeyPatch) -> ModuleType:
    patch.syspath_prepend(BENCH)
    spec = importlib.util.spec_from_file_location(script, BENCH / f"{script}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    patch.setitem(sys.modules, script, module)  # dataclasses look there
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return opened("_bench", monkeypatch)


def test_a_table_is_markdown(bench: ModuleType) -> None:
    rows = [
        {"loop": "a", "examples/s": 1234.5, "waste": 1.0312},
        {"loop": "long name", "examples/s": 7.0, "waste": None},
    ]
    assert bench.table(rows).splitlines() == [
        "| loop      | examples/s | waste |",
        "| :-------- | ---------: | ----: |",
        "| a         |      1,234 |  1.03 |",
        "| long name |          7 |     - |",
    ]


@pytest.mark.parametrize(
    ("value", "at_most", "lacking", "holds"),
    [
        (2.0, False, None, True),
        (1.9, False, None, False),
        (2.0, True, None, True),
        (2.1, True, None, False),
        (1.9, False, "no bf16", None),
    ],
)
def test_a_bar_holds_or_not_or_cannot_be_measured(
    bench: ModuleType, value: float, at_most: bool, lacking: str | None, holds: bool | None, tmp_path: Path
) -> None:
    file = tmp_path / "bars.json"
    bars = [bench.Bar("ratio", value, 2.0, at_most, lacking), bench.Bar("other", 1, 1)]
    assert bench.report({"threads": 2}, [{"loop": "a"}], bars, file) == (1 if holds is False else 0)
    said = json.loads(file.read_text())
    assert said["threads"] == 2 and said["table"] == [{"loop": "a"}]
    assert {"name": "ratio", "value": value, "bar": 2.0, "holds": holds}.items() <= said["bars"][0].items()
    assert said["bars"][1]["holds"] is True


def test_rounds_take_turns(bench: ModuleType) -> None:
    order: list[str] = []
    found = bench.rounds({name: lambda name=name: order.append(name) or len(order) for name in "ab"}, 3)
    assert "".join(order) == "abbaab"
    assert found == {"a": [1, 4, 5], "b": [2, 3, 6]}


PEAKS = """
import sys
from _bench import run_command
words = "import time; x = bytearray(200 << 20); time.sleep(0.2)", "print('hello')"
large, small = (run_command([sys.executable, "-c", word]) for word in words)
assert large.peak_rss > small.peak_rss + (150 << 20), (large, small)
assert large.seconds > 0.2 and small.result == "hello\\n", (large, small)
"""


def test_a_process_is_measured_alone() -> None:
    subprocess.run([sys.executable, "-c", PEAKS], cwd=BENCH, check=True, timeout=60)


def test_a_process_that_fails_ends_the_benchmark(bench: ModuleType) -> None:
    with pytest.raises(SystemExit, match=r"ended with 3:\nno such thing"):
        bench.run_command([sys.executable, "-c", "import sys; print('no such thing'); sys.exit(3)"])


def test_the_useful_work_leaves_padding_out(
    bench: ModuleType, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = opened("_work", monkeypatch)
    short, long = {"text": "good", "label": "1"}, {"text": "good " * 40, "label": "0"}  # 3 and 18 tokens of at most 18
    found = [work.useful_work(str(tiny_model), str(bench.write_rows(tmp_path / "rows.csv", rows)), 18)
             for rows in ([short], [long], [short, long])]  # fmt: skip
    assert [one["tokens"] for one in found] == [3, 18, 21] and found[2]["examples"] == 2
    assert found[0]["flops"] + found[1]["flops"] == found[2]["flops"] > 7 * found[0]["flops"] / 2


def test_the_peak_is_the_best_of_the_sizes(bench: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    work = opened("_work", monkeypatch)
    monkeypatch.setattr(work, "SECONDS", 0.01)
    found = work.machine(sizes=[64, 128])
    assert found["peak"]["fp32"] > 1e6 and found["threads"] >= 1


def test_without_bf16_only_memory_counts(bench: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    train = opened("train", monkeypatch)
    names = (train.GLUE, train.DYNAMIC, train.BEST, train.NORIA)
    rates = zip(names, (8.0, 25.0, 60.0, 90.0), strict=True)
    rows = {name: {"examples/s": rate, "share of peak": 0.6, "peak RSS, MiB": 1000.0} for name, rate in rates}
    assert [bar.holds for bar in train.bars(rows, has_bf16=True)] == [True, True, False, True, True]
    assert [bar.holds for bar in train.bars(rows, has_bf16=False)] == [None, None, None, None, True]
    rows[train.NORIA]["peak RSS, MiB"] = 1001.0
    assert train.bars(rows, has_bf16=False)[-1].holds is False


@pytest.mark.skipif("NORIA_SLOW" not in os.environ, reason="forty seconds; set NORIA_SLOW, or run make bench")
def test_training_side_by_side(tiny_model: Path, tmp_path: Path) -> None:
    words = ["--rows", "64", "--rounds", "1", "--peers", "grouped", "--peak-sizes", "128", "--model", str(tiny_model)]
    command = [sys.executable, BENCH / "train.py", *words, "--json", tmp_path / "train.json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode in (0, 1), done.stderr[-3000:]
    said = json.loads((tmp_path / "train.json").read_text())
    assert done.returncode == any(bar["holds"] is False for bar in said["bars"]), done.stderr[-3000:]
    assert [row["training loop"] for row in said["table"]] == ["Trainer at its best", "Noria"]
    assert said["work"]["examples"] == 64 and said["updates"] == 2
    for row in said["table"]:
        assert row["examples/s"] > 0 and 0 < row["share of peak"] < 1 <= row["waste"] < 4
        assert f"| {row['training loop']} " in done.stdout


@pytest.mark.parametrize(
    ("seconds", "memory", "cache", "held"),
    [
        (160.0, 65.0, 100.0, [True, True, True, True]),
        (201.0, 65.0, 100.0, [False, True, True, True]),
        (160.0, 80.0, 100.0, [True, False, True, True]),
        (160.0, 65.0, 301.0, [True, True, False, True]),
        (160.0, 65.0, 401.0, [True, True, False, False]),
    ],
)
def test_growth_is_held_against_the_rows(
    bench: ModuleType, seconds: float, memory: float, cache: float, held: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    growth = opened("growth", monkeypatch)
    first = {"rows": 10_000, "all, s": 10.0, "memory, MiB": 60.0, "cache, ms": 80.0, "again, ms": 8.0}
    last = {"rows": 160_000, "all, s": seconds, "memory, MiB": memory, "cache, ms": cache, "again, ms": cache / 4}
    assert [bar.holds for bar in growth.growth_bars([first, last], None)] == held
    assert growth.growth_bars([first, last], "no Linux")[1].holds is None


def test_rows_that_grow_all_differ(bench: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    growth = opened("growth", monkeypatch)
    found = bench.read_rows(growth.write(tmp_path / "a.csv", 9000))
    assert len({row["text"] for row in found}) == 9000 and {row["label"] for row in found} == {"0", "1"}


@pytest.mark.skipif("NORIA_SLOW" not in os.environ, reason="a minute; set NORIA_SLOW, or run make bench")
def test_growth_in_its_shortest_form(tmp_path: Path) -> None:
    words = ["--rows", "500", "--rounds", "1", "--memory", "0", "--json", tmp_path / "growth.json"]
    done = subprocess.run([sys.executable, BENCH / "growth.py", *words], capture_output=True, text=True, timeout=600)
    assert done.returncode in (0, 1), done.stderr[-3000:]
    said = json.loads((tmp_path / "growth.json").read_text())
    assert [row["rows"] for row in said["table"]] == [500, 2000, 8000]
    assert all(row["all, s"] > 0 and row["memory, MiB"] > 0 for row in said["table"])


def test_smaller_artifacts_are_held_against_their_bars(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shared = opened("_bench", monkeypatch)
    compress = opened("compress", monkeypatch)

    def pace(p50: float, rate: float) -> dict[str, float]:
        return {"p50_ms": p50, "examples_per_second": rate}

    paces = {compress.FP32: pace(30, 100), compress.BF16: pace(20, 250), compress.INT8: pace(5, 300)}
    runs = [{"pace": paces, "precision": "bf16"}]
    sizes = {compress.FP32: 1000, compress.INT8: 260}
    bars = compress.int8_bars(runs, sizes, {"no_worse": 0.01})
    assert [bar.holds for bar in bars] == [True, False, True, True, True, None, None]
    assert [round(bar.value, 2) for bar in bars] == [6, 1.2, 3, 0.26, 0.01, 0, 0]
    assert bars[-1].lacking == "openvino and nncf are not installed"
    paces[compress.PEER] = pace(5, 400)
    assert [bar.holds for bar in compress.int8_bars(runs, sizes, {"no_worse": 0.2})][-3:] == [False, True, False]
    source = tmp_path / "train.tsv"
    source.write_text("sentence\tlabel\n" + "".join(f'a " film {number} \t{number % 2}\n' for number in range(9000)))
    words = compress.write_rows(tmp_path, source)
    assert f"data.val_path={tmp_path / 'held.csv'}" in words
    held, learnt = ({row["text"] for row in shared.read_rows(tmp_path / f"{n}.csv")} for n in ("held", "train"))
    assert len(held) == 8000 and len(learnt) == 1000 and not held & learnt
