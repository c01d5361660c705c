"""How a fit ends that is told to: Ctrl-C at once, SIGTERM and SIGUSR1 with a checkpoint of the step they came in."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.callbacks import Callback

from noria.callback.checkpoint import LastCheckpoint
from noria.callback.interrupt import Interrupt
from noria.common.errors import Terminated

NOBODY: Any = None
ONE: Any = SimpleNamespace(world_size=1)


@pytest.fixture
def listening() -> Any:
    """The callback in a fit that has begun, under Python's own handler of Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    callback = Interrupt()
    callback.on_fit_start(NOBODY, NOBODY)
    yield callback
    callback.teardown(NOBODY, NOBODY, "fit")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    signal.signal(signal.SIGINT, before)


def test_nothing_happens_without_a_signal(listening: Interrupt) -> None:
    listening.on_train_batch_start(NOBODY)
    listening.on_validation_batch_start(ONE)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interrupt_that_python_forgot_comes_again(listening: Interrupt) -> None:
    class Closing:
        def __del__(self) -> None:
            os.kill(os.getpid(), signal.SIGINT)
            for _ in range(1000):  # the handler runs in here, and what it raises is forgotten
                pass

    thing = Closing()
    del thing
    with pytest.raises(KeyboardInterrupt):
        listening.on_train_batch_start(NOBODY)


def test_an_ignored_signal_stays_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        callback = Interrupt()
        callback.on_fit_start(NOBODY, NOBODY)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


# A notice


class Notice(Callback):
    """Sends this process a signal in the backward pass of one batch of the fit; notes which batches began."""

    def __init__(self, notice: signal.Signals, batch: int) -> None:
        self.notice, self.batch = notice, batch
        self.begun: list[int] = []
        self.left: list[bool] = []  # after each batch, whether the fit is leaving

    def on_train_batch_start(self, trainer: pl.Trainer, *_: object) -> None:
        self.begun.append(len(self.begun))

    def on_before_backward(self, *_: object) -> None:
        if self.begun[-1] == self.batch:
            os.kill(os.getpid(), self.notice)

    def on_train_batch_end(self, trainer: pl.Trainer, *_: object) -> None:
        self.left.append(next(c for c in trainer.callbacks if isinstance(c, Interrupt)).leaving)


END_SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP)


def unheard(number: int, *_: object) -> None:
    raise AssertionError(f"signal {number} came when no fit listened")


@pytest.fixture(autouse=True)
def handlers() -> Any:
    """Whatever a fit sets, it takes back."""
    before = {notice: signal.signal(notice, unheard) for notice in END_SIGNALS}
    yield
    left = {notice: signal.getsignal(notice) for notice in END_SIGNALS}
    for notice, handler in before.items():
        signal.signal(notice, handler)
    assert left == dict.fromkeys(END_SIGNALS, unheard)


@pytest.mark.parametrize("notice", END_SIGNALS)
@pytest.mark.parametrize(
    ("accumulate", "batch", "last", "step"),
    [
        (1, 1, 1, 2),  # in the step: saved at its end
        (2, 0, 1, 1),  # in mid-accumulation of the very first step: not before it is whole
        (2, 3, 4, 3),  # and of a later one
        (2, 4, 4, 3),  # in its last batch
        (2, 2, 2, 2),  # in the shorter one that is left of an epoch: nothing is validated any more
    ],
)
def test_a_notice_ends_the_fit_at_the_end_of_the_optimiser_step(
    train: Callable, tmp_path: Path, notice: signal.Signals, accumulate: int, batch: int, last: int, step: int
) -> None:
    told, path = Notice(notice, batch), tmp_path / "last.ckpt"
    with pytest.raises(Terminated):
        train(Interrupt(), told, LastCheckpoint(path, None), max_epochs=9, accumulate_grad_batches=accumulate)
    assert told.begun == list(range(last + 1))
    assert told.left == [False] * last + [True]
    saved = torch.load(path, weights_only=True)
    assert saved["global_step"] == step
    progress = saved["loops"]["fit_loop"]["epoch_loop.batch_progress"]["total"]
    assert progress["ready"] == last + 1, "the checkpoint is that of the batch it came in"


@pytest.mark.parametrize(("notice", "status"), [(signal.SIGTERM, 143), (signal.SIGUSR1, 143), (signal.SIGHUP, 129)])
def test_the_exit_status_tells_the_notice(train: Callable, notice: signal.Signals, status: int) -> None:
    with pytest.raises(Terminated) as told:
        train(Interrupt(), Notice(notice, 0), max_epochs=2)
    assert told.value.status == status


def test_a_fit_under_nohup_does_not_hear_the_terminal_go(train: Callable) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    told = Notice(signal.SIGHUP, 0)
    train(Interrupt(), told, max_epochs=1)
    assert not any(told.left) and signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    for notice in END_SIGNALS:  # after a fit that ends well Lightning's own handler stays; `one_exit` takes it back
        signal.signal(notice, unheard)


def test_a_resumed_fit_does_not_leave_in_mid_accumulation(
    train: Callable, line: Callable, batches: Any, tmp_path: Path
) -> None:
    train(LastCheckpoint(tmp_path / "first.ckpt", None), max_epochs=1, accumulate_grad_batches=2)
    told = Notice(signal.SIGTERM, 0)
    quiet: dict[str, Any] = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=9,
        accumulate_grad_batches=2,
        callbacks=[Interrupt(), told, LastCheckpoint(tmp_path / "last.ckpt", None)],
        **quiet,
    )
    with pytest.raises(Terminated):
        trainer.fit(line(), batches, batches, ckpt_path=tmp_path / "first.ckpt", weights_only=True)
    assert told.begun == [0, 1] and told.left == [False, True]
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)["global_step"] == 3


def test_a_notice_during_validation_lets_it_end_and_makes_one_more_step(train: Callable, tmp_path: Path) -> None:
    class InValidation(Callback):
        begun = 0

        def on_validation_batch_start(self, *_: object) -> None:
            self.begun += 1
            os.kill(os.getpid(), signal.SIGTERM)

    told = InValidation()
    with pytest.raises(Terminated):
        train(told, Interrupt(), LastCheckpoint(tmp_path / "last.ckpt", None), max_epochs=9)
    assert told.begun == 3
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)["global_step"] == 4


def test_a_notice_in_the_very_last_step_is_not_lost(train: Callable, tmp_path: Path) -> None:
    told = Notice(signal.SIGTERM, 2)
    with pytest.raises(Terminated):
        train(Interrupt(), told, LastCheckpoint(tmp_path / "last.ckpt", None), max_epochs=1, limit_val_batches=0)
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)["global_step"] == 3
