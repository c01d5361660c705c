"""A loss that is no number ends the run, with advice and status 1."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from noria.callback.stop_on_nan import StopOnNan
from noria.common.errors import RunError


def test_it_stops_within_a_step_of_it(train: Callable) -> None:
    with pytest.raises(RunError, match=r"training loss became (inf|nan) near step \d+ .*Lower optimizer\.lr") as error:
        train(StopOnNan(), lr=1e20, max_epochs=5)
    assert int(str(error.value).split("near step ")[1].split()[0]) <= 5


def test_it_names_the_weights_that_broke(train: Callable) -> None:
    with pytest.raises(RunError, match=r"weight tensors hold NaN \(first: weight\)"):
        train(StopOnNan(), lr=float("inf"), max_epochs=5)


def test_a_sound_run_goes_on(train: Callable) -> None:
    trainer, _ = train(StopOnNan(), max_epochs=2)
    assert trainer.global_step == 6


def test_a_fit_that_diverges(noria: Callable, tiny: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    words = ["optimizer.lr=1e10", "trainer.max_epochs=30", "scheduler=constant", "trainer.gradient_clip_val=null"]
    assert noria(*tiny, *words, "optimizer=sgd", "optimizer.lr=1e10", "metric=[accuracy]") == 1
    said = capsys.readouterr().err
    assert "loss became" in said and "Lower optimizer.lr" in said and "Traceback" not in said
    record = json.loads(Path("runs/latest/record.json").read_text())
    assert record["status"] == "failed" and record["error"].startswith("RunError: The ")
    assert not Path("runs/latest/artifact").exists()
