"""Two processes train one model (`strategy=ddp`, on the CPU): one run folder, one record, no row lost or doubled."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch.distributed as dist

from noria.stage.exits import own_group

RUN = Path(__file__).resolve().parents[1] / "scripts/run.py"


def test_a_fit_of_two_processes(tiny: list[str], tmp_path: Path) -> None:
    # Neither training (91 rows) nor validation (17 rows, batches of 8) comes out even for two.
    words = ["strategy=ddp", "trainer.accelerator=cpu", "trainer.devices=2", "data.batch_size=8", "metric=[accuracy]"]
    more = ["+data.eval_batch_size=8", "trainer.max_epochs=2", "trainer.log_every_n_steps=1", "optimizer.lr=5e-3"]
    environment = {name: value for name, value in os.environ.items() if name not in ("LOCAL_RANK", "WORLD_SIZE")}
    done = subprocess.run(
        [sys.executable, str(RUN), *tiny, *words, *more],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=240, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("rows: train") == 1, "both ranks speak"
    assert "sync_dist" not in done.stderr, "every rank has measured all rows: there is nothing to synchronise"

    (run,) = (tmp_path / "runs/default").iterdir()
    record = json.loads((run / "record.json").read_text())
    assert record["status"] == "done" and record["devices"] == 2 and record["test_looks"] == 1
    assert list(tmp_path.rglob("record.json")) == [run / "record.json"]
    rows = record["data"]["rows"]
    assert rows["train"] == 91

    # 91 rows in batches of 2 x 8: six steps an epoch, the last of 11 rows, 6 of which go to the first rank
    assert [row["step"] for row in record["history"]] == [6, 12]
    assert record["throughput"]["examples"] == 2 * (2 * 46)  # those of the first rank, twice
    losses = [row["train/loss"] for row in record["history"]]
    assert losses[1] < losses[0]
    with (run / "metrics.csv").open(newline="") as file:
        steps = [row["step"] for row in csv.DictReader(file) if row["train/loss"]]
    assert len(steps) == len(set(steps)) == 12

    predictions = pq.read_table(run / "predictions.parquet")
    assert predictions.num_rows == rows["val"] + rows["test"] == len(set(predictions["id"].to_pylist()))
    # What both ranks together measured after the last epoch is what one process measures on the artifact.
    best = max(row["val/accuracy"] for row in record["history"])
    assert record["metrics"]["val/accuracy"]["value"] == pytest.approx(best)
    assert record["metrics"]["val/accuracy"]["n"] == rows["val"]
    chosen = next(row for row in record["history"] if row["val/accuracy"] == best)
    assert record["metrics"]["val/loss"]["value"] == pytest.approx(chosen["val/loss"], rel=1e-5)


def test_the_next_trial_of_a_sweep_can_make_a_group_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Lightning leaves its group and these variables; with them a second fit takes itself for a child."""
    names = ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK", "LOCAL_RANK", "WORLD_SIZE")
    for name in names:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NODE_RANK", "3")  # given from outside: a cluster's
    with pytest.raises(ZeroDivisionError), own_group():
        for name in names:
            monkeypatch.setenv(name, "1")
        dist.init_process_group("gloo", init_method=f"file://{tmp_path / 'store'}", rank=0, world_size=1)
        raise ZeroDivisionError
    assert not dist.is_initialized()
    assert [name for name in names if name in os.environ] == ["NODE_RANK"]
