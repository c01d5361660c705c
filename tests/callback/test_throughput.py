"""The counts on batches of known lengths are exact, and go through a checkpoint; so is what is waited for."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.profilers import SimpleProfiler
from torch.utils.data import DataLoader, Dataset

from noria.callback.checkpoint import LastCheckpoint
from noria.callback.throughput import Throughput
from noria.common.names import LAST
from noria.model.counts import Counts
from noria.model.flops import TrainingFlops
from noria.tracking.csv_logger import CsvLogger


class Clock:
    """A clock that stands still but while somebody sleeps: what is counted as time is then exact."""

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    for name in ("throughput", "checkpoint"):
        monkeypatch.setattr(f"noria.callback.{name}.time", made)
    return made


def test_examples_tokens_and_waste(train: Callable) -> None:
    throughput = Throughput()
    train(throughput, max_epochs=2)
    # lengths [3, 1, 4], [2, 2, 2], [5, 1], twice; computed: 3 x 4 + 3 x 2 + 2 x 5
    summary = throughput.summary()
    assert summary["examples"] == 2 * 8
    assert summary["padding_waste"] == pytest.approx(28 / 20)
    assert summary["examples_per_second"] == pytest.approx(16 / summary["seconds"])
    assert summary["tokens_per_second"] == pytest.approx(40 / summary["seconds"])


def test_validation_is_not_training_time(train: Callable, clock: Clock) -> None:
    class Slow(Callback):
        def on_validation_start(self, *_: object) -> None:
            clock.sleep(300)

        def on_train_batch_end(self, *_: object) -> None:
            clock.sleep(20)

    throughput = Throughput()
    train(throughput, Slow(), max_epochs=2)
    # two pauses an epoch: this callback comes after the other, so the third one falls to the validation
    assert throughput.seconds == 4 * 20, "the pause of a step counts, that of a validation does not"


class SlowRows(Dataset[dict[str, torch.Tensor]]):
    """Four batches, each of which takes 100 s to come."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def __len__(self) -> int:
        return 4

    def __getitem__(self, number: int) -> dict[str, torch.Tensor]:
        self.clock.sleep(100)
        return {"attention_mask": torch.ones(1, 2, dtype=torch.int64), "labels": torch.ones(1)}


@pytest.mark.parametrize("profiler", [None, "simple"])
def test_waiting_for_data(line: Callable, profiler: str | None, clock: Clock) -> None:
    class Slow(Callback):
        def on_train_batch_end(self, *_: object) -> None:
            clock.sleep(50)

        def on_validation_start(self, *_: object) -> None:
            clock.sleep(200)

    throughput = Throughput()
    trainer = pl.Trainer(
        max_epochs=2, accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False,
        enable_checkpointing=False, num_sanity_val_steps=0, profiler=profiler, callbacks=[throughput, Slow()],
    )  # fmt: skip
    loader = DataLoader(SlowRows(clock), batch_size=None)
    trainer.fit(line(), loader, DataLoader([next(iter(loader))], batch_size=None))
    # eight batches, but the first was waited for before training began; the pauses of callbacks are no data
    assert throughput.data_wait == 700
    assert throughput.seconds == 700 + 6 * 50, "those after the last step of an epoch fall to the validation"
    assert throughput.data_wait_share == throughput.data_wait / throughput.seconds
    if profiler:
        assert isinstance(trainer.profiler, SimpleProfiler)
        waited = trainer.profiler.recorded_durations["[_TrainingEpochLoop].train_dataloader_next"]
        assert len(waited) == 8, "what the profiler sees stays what it was"


def test_a_checkpoint_is_not_training_time(train: Callable, tmp_path: Path, clock: Clock) -> None:
    class Slow(Callback):
        def on_save_checkpoint(self, *_: object) -> None:
            clock.sleep(200)

    throughput = Throughput()
    last = LastCheckpoint(tmp_path / LAST, every_n_steps=1)
    train(throughput, last, Slow(), max_epochs=2)
    assert last.seconds == 200 * last.writes and last.writes >= 4
    assert throughput.seconds == throughput.data_wait == 0


def test_the_share_of_the_peak(train: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    throughput = Throughput()
    assert throughput.share_of_peak is None
    monkeypatch.setattr("noria.callback.throughput.training_flops", lambda _: TrainingFlops(10, 100, 1))
    monkeypatch.setattr("noria.callback.throughput.peak_flops", lambda *_: (1000.0, "a sheet"))
    monkeypatch.setattr(pl.Trainer, "world_size", 2)
    train(throughput)
    summary = throughput.summary()
    done = 8 * 100 + 20 * 10 + (9 + 1 + 16 + 3 * 4 + 25 + 1)
    assert throughput.flops == done, "of one rank, and the share of one device"
    assert summary["share_of_peak"] == pytest.approx(done / summary["seconds"] / 1000)
    assert summary["flops"] == 2 * done and summary["peak_source"] == "a sheet"
    assert summary["data_wait_share"] == summary["data_wait_seconds"] / summary["seconds"]


def test_a_pair_of_sequences_is_one_example(train: Callable, line: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    def pairs(_: object, batch: dict[str, torch.Tensor]) -> Counts:
        lengths = batch["attention_mask"].sum(1).repeat(2)
        return Counts(examples=len(lengths) // 2, lengths=lengths, computed=2 * batch["attention_mask"].numel())

    monkeypatch.setattr(type(line()), "counts", pairs)
    monkeypatch.setattr("noria.callback.throughput.training_flops", lambda _: TrainingFlops(10, 100, 1))
    throughput = Throughput()
    train(throughput)
    assert (throughput.examples, throughput.computed) == (8, 2 * 28) and throughput.waste == pytest.approx(1.4)
    assert throughput.flops == 2 * (8 * 100 + 20 * 10 + 64)


def test_nothing_yet_is_no_division_by_zero() -> None:
    summary = Throughput().summary()
    assert summary.pop("peak_memory_mib") > 50, "of a process that has imported torch"
    assert summary == {
        "examples_per_second": 0.0, "tokens_per_second": 0.0, "padding_waste": 1.0, "share_of_peak": None,
        "flops": None, "peak_flops": None, "peak_source": None, "data_wait_seconds": 0.0, "data_wait_share": 0.0,
        "examples": 0, "seconds": 0.0,
    }  # fmt: skip


def test_the_counts_go_on_after_a_checkpoint(train: Callable, tmp_path: Path) -> None:
    before = Throughput()
    train(before)
    torch.save(before.state_dict(), tmp_path / "counts.pt")
    after = Throughput()
    after.load_state_dict(torch.load(tmp_path / "counts.pt", weights_only=True))
    sums, found = before.summary(), after.summary()
    assert {**found, "peak_memory_mib": 0} == {**sums, "peak_memory_mib": 0}
    train(after)
    assert after.summary()["examples"] == 16 and after.summary()["padding_waste"] == pytest.approx(1.4)


def test_the_rates_are_logged_with_the_step_that_they_are_of(train: Callable, tmp_path: Path) -> None:
    logger = CsvLogger(path=str(tmp_path / "metrics.csv"))
    train(Throughput(), logger=logger, log_every_n_steps=3, max_epochs=2)
    logger.finalize("success")
    with (tmp_path / "metrics.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["throughput/padding_waste"]]
    assert [row["step"] for row in rows] == ["2", "5"]  # each after a whole epoch
    assert [float(row["throughput/padding_waste"]) for row in rows] == pytest.approx([1.4, 1.4])


def test_a_run_says_what_it_made_of_the_machine(noria: Callable[..., int], tiny: list[str]) -> None:
    assert noria(*tiny, "trainer.log_every_n_steps=2", "stage.test=false") == 0
    record = json.loads(Path("runs/latest/record.json").read_text())
    found = record["throughput"]
    assert found["peak_source"].startswith("measured: fp32") and found["flops"] > 1e6
    assert 0 < found["share_of_peak"] < 1
    assert found["share_of_peak"] == pytest.approx(found["flops"] / found["seconds"] / found["peak_flops"])
    assert 0 < found["data_wait_seconds"] < found["seconds"] and found["peak_memory_mib"] > 100
    assert found["data_wait_share"] == pytest.approx(found["data_wait_seconds"] / found["seconds"])
    with Path("runs/latest/metrics.csv").open(newline="") as file:
        row = next(row for row in csv.DictReader(file) if row["train/loss"])
    logged = {name.removeprefix("throughput/") for name in row if name.startswith("throughput/")}
    assert logged == {*found} - {"flops", "peak_flops", "peak_source", "data_wait_seconds", "examples", "seconds"}
    assert all(float(row[f"throughput/{name}"]) >= 0 for name in logged)
