"""A run ends where its monitored number is no number, and is not done where its weights are none."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch

from noria.callback.monitored import Monitored
from noria.common.errors import RunError

ONE_CLASS = "all {} rows have the same label, and the area compares rows with a label and without"


def write(path: Path, rows: list[tuple[str, object]]) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *rows])
    return path


@pytest.fixture
def one_class(tmp_path: Path) -> Path:
    """A validation file of one class: an AUROC has no value on it."""
    return write(tmp_path / "one.csv", [(f"film {n}: great fun", "good") for n in range(12)])


def record() -> dict[str, Any]:
    return json.loads(Path("runs/latest/record.json").read_text())


def refused(said: str, name: str, why: str, others: str) -> None:
    assert f"{name} has no value on the validation set: {why}" in said and "Traceback" not in said
    assert f"(monitor.metric={others}, with its monitor.mode)" in said
    assert record()["status"] == "failed" and "history" not in record(), "it was to end before the first step"
    assert not Path("runs/latest/artifact").exists() and not Path("runs/latest/checkpoints").exists()


def test_what_no_model_could_give_a_value_is_refused_before_the_first_step(
    noria: Callable[..., int], tiny: list[str], one_class: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*tiny, f"data.val_path={one_class}", "metric=[auroc,accuracy]", "monitor.metric=val/auroc"]
    assert noria(*words) == 2
    refused(capsys.readouterr().err, "val/auroc", ONE_CLASS.format(12), "val/accuracy or val/loss")


def test_what_a_callback_goes_by_is_known_before_the_first_step_too(
    noria: Callable[..., int], tiny: list[str], one_class: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*tiny, f"data.val_path={one_class}", "metric=[auroc,accuracy]", "callback.checkpoint.monitor=val/auroc"]
    assert noria(*words) == 2
    refused(capsys.readouterr().err, "val/auroc", ONE_CLASS.format(12), "val/accuracy or val/loss")


def test_constant_labels_have_no_correlation(
    noria: Callable[..., int], tiny: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train = write(tmp_path / "train.csv", [(f"film {n}: great fun", n / 10) for n in range(40)])
    val = write(tmp_path / "val.csv", [(f"film {n}: no fun", 1.0) for n in range(8)])
    paths = [f"data.path={train}", f"data.val_path={val}"]
    assert noria(*tiny, *paths, "task=text_regression") == 2
    refused(capsys.readouterr().err, "val/pearson", "the labels of all 8 rows are the same (1)", "val/loss or val/mse")


def test_weights_that_leave_no_validation_loss(
    noria: Callable[..., int], tiny: list[str], one_class: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*tiny, f"data.val_path={one_class}", "metric=[accuracy]", "task.class_weights=[1,0]"]
    assert noria(*words, "monitor.metric=val/loss", "monitor.mode=min") == 2
    refused(capsys.readouterr().err, "val/loss", "all rows of the validation set have weight 0", "val/accuracy")


def test_what_is_not_monitored_is_left_out_and_said(
    noria: Callable[..., int], tiny: list[str], one_class: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*tiny, f"data.val_path={one_class}", "metric=[auroc,accuracy]", "stage.test=false"]
    assert noria(*words) == 0
    assert "val/auroc has no value on these rows" in " ".join(capsys.readouterr().out.split())
    (row,) = record()["history"]
    assert "val/auroc" not in row and "val/accuracy" in row
    assert "NaN" not in Path("runs/latest/record.json").read_text()
    assert "nan" not in Path("runs/latest/metrics.csv").read_text()


def test_it_ends_at_the_first_validation_that_has_no_value_in_the_rows_it_looks_at(
    noria: Callable[..., int], tiny: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """All validation rows hold both classes; the first batch, which is all that is looked at, holds one."""
    long = [(f"film {n}: great fun, and so on and on and on", "good") for n in range(10)]
    val = write(tmp_path / "val.csv", [*long, *[(f"film {n}: no fun", "bad") for n in range(10)]])
    some = ["+data.eval_batch_size=8", "trainer.limit_val_batches=1", "metric=[auroc,accuracy]"]
    words = [*tiny, f"data.val_path={val}", *some, "monitor.metric=val/auroc", "trainer.max_epochs=3"]
    assert noria(*words, "callback=[checkpoint,early_stopping]") == 1
    said = capsys.readouterr().err
    assert f"val/auroc has no value on the validation set after step 4: {ONE_CLASS.format(8)}" in said
    assert record()["status"] == "failed" and [row["step"] for row in record()["history"]] == [4]
    assert not Path("runs/latest/artifact").exists() and "Traceback" not in said


DIVERGES = ["optimizer=sgd", "optimizer.lr=1e30", "scheduler=constant", "trainer.gradient_clip_val=null"]


@pytest.mark.parametrize("validates", [True, False])
def test_without_stop_on_nan_a_run_that_diverges_is_not_done(
    noria: Callable[..., int], tiny: list[str], validates: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*tiny, *DIVERGES, "metric=[accuracy]", "callback=checkpoint", "trainer.max_epochs=2"]
    assert noria(*words, *([] if validates else ["data.val_fraction=0"])) == 1
    said = capsys.readouterr().err
    ended = "The validation loss became nan" if validates else "The training ended with a loss that is no number"
    assert ended in said and "Lower optimizer.lr" in said and "Traceback" not in said
    assert record()["status"] == "failed" and not Path("runs/latest/artifact").exists()


class Shown(pl.Callback):
    """Puts a number in the place of what was measured."""

    def __init__(self, monitor: str, value: float) -> None:
        self.monitor, self.value = monitor, value

    def on_validation_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        module.log(self.monitor, self.value)
        module.log("val/loss", 0.5)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_any_callback_monitors_has_to_be_a_number(train: Callable, value: float) -> None:
    with pytest.raises(RunError, match=rf"val/own has no value .* after step 3: it is {value}, while the loss is"):
        train(Monitored("val/score"), Shown("val/own", value))
    train(Monitored("val/score"), Shown("val/own", 0.0))


def test_the_last_weights_have_to_be_numbers(train: Callable) -> None:
    class Break(pl.Callback):
        def on_train_batch_end(self, trainer: pl.Trainer, module: pl.LightningModule, *_: Any) -> None:
            with torch.no_grad():
                module.offset.fill_(float("inf"))

    with pytest.raises(RunError, match=r"ended with weights that are no numbers.*first: offset"):
        train(Break(), Monitored("val/score"), limit_train_batches=1, limit_val_batches=0)
