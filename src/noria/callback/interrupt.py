"""Ends a fit at a signal: Ctrl-C at once, SIGTERM, SIGHUP and SIGUSR1 after the optimiser step.

Knows nothing of what is trained.
"""

from __future__ import annotations

import signal
import threading
from typing import Any

import lightning.pytorch as pl
import torch
import torch.distributed as dist
from lightning.pytorch.callbacks import Callback

from noria.callback.moment import validation_follows
from noria.common.end_signals import Handlers, handle_end_signals, is_first, restore_signals
from noria.common.errors import Terminated

WARNING = signal.SIGUSR1  # where SLURM is asked for one (--signal=USR1@60)


class Interrupt(Callback):
    """Raises Terminated once the optimiser step is done, and KeyboardInterrupt even where it was lost.

    At the other signals `leaving` is set at the end of the step, on all ranks after the same one, so that the
    checkpoint can be written before the next batch raises. A validation that is due, or under way, is finished
    first, and in the middle of an epoch one more step made. (Lightning's own handler broadcasts from inside the
    signal, between whatever the ranks are exchanging, and stops in the middle of an accumulation.)

    A Ctrl-C that comes while Python destroys an object (a file that a checkpoint has just been written to) is
    printed and forgotten by Python, and training would go on.
    """

    def __init__(self) -> None:
        self.leaving = False
        self._interrupted = False
        self._signal: int | None = None  # the signal
        self._stepped = 0
        self._asked: tuple[dist.Work, torch.Tensor] | None = None
        self._before: Handlers = {}

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # Not where somebody else listens, or where the signal is to be ignored (nohup).
        if _may_listen() and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, self._interrupt)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._stepped = trainer.global_step  # a resumed run has made some
        if _may_listen():
            self._before = handle_end_signals(self._tell) | {WARNING: signal.signal(WARNING, self._tell)}

    def on_train_batch_start(self, *_: Any) -> None:
        self._heed()
        if self.leaving:
            raise self._end()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if trainer.global_step == self._stepped:  # in the middle of an accumulation
            return
        self._stepped = trainer.global_step
        signalled = self._any_rank_signalled(trainer)
        if trainer.is_last_batch or not validation_follows(trainer, batch_idx):
            self.leaving = signalled

    def on_validation_batch_start(self, *_: Any) -> None:
        self._heed()

    def on_train_end(self, *_: Any) -> None:
        if self._signal is not None or self.leaving:
            raise self._end()

    def on_exception(self, *_: Any) -> None:  # after which Lightning calls no teardown
        self._hang_up()

    def teardown(self, *_: Any, **__: Any) -> None:  # Lightning names the stage
        self._hang_up()

    def _hang_up(self) -> None:
        if signal.getsignal(signal.SIGINT) == self._interrupt:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        restore_signals(self._before)
        self._before = {}

    def _interrupt(self, *_: Any) -> None:
        self._interrupted = True
        raise KeyboardInterrupt

    def _tell(self, number: int, *_: Any) -> None:
        is_first(number)
        self._signal = self._signal or number

    def _end(self) -> Terminated:
        return Terminated(signal.SIGHUP) if self._signal == signal.SIGHUP else Terminated()

    def _heed(self) -> None:
        if self._interrupted:
            raise KeyboardInterrupt

    def _any_rank_signalled(self, trainer: pl.Trainer) -> bool:
        """Whether a signal had come to any rank by the step before: asked one step late, so that no rank waits."""
        if trainer.world_size == 1:
            return self._signal is not None
        before = self._asked
        flag = torch.tensor([float(self._signal is not None)], device=trainer.strategy.root_device)
        self._asked = dist.all_reduce(flag, dist.ReduceOp.MAX, async_op=True), flag
        if before is None:
            return False
        before[0].wait()
        return bool(before[1].item())


def _may_listen() -> bool:
    return threading.current_thread() is threading.main_thread()  # Python allows it nowhere else
