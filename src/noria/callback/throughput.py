"""Counts examples, tokens, operations, seconds and memory of training. Changes nothing."""

from __future__ import annotations

import resource
import sys
import time
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.profilers import Profiler

from noria.callback.checkpoint import LastCheckpoint
from noria.callback.peak import peak_flops
from noria.model.counts import Counts
from noria.model.flops import TrainingFlops, training_flops

COUNTED = ("examples", "sequences", "computed", "seconds", "data_wait")
FETCH = "[_TrainingEpochLoop].train_dataloader_next"  # what Lightning calls it when it profiles


class Throughput(Callback):
    """Examples/s and useful tokens/s of training, from its first step to its last, waiting for data included;
    validation, Noria's checkpoints and the ends of epochs are left out.

    What counts in a batch says the module (`counts`): padding is not useful. Waste is the computed tokens over the
    useful ones. Share of peak is the operations of the useful tokens (`training_flops`) over the seconds and what this
    device does at most (`peak_flops`). On several ranks the counts are those of one rank times the ranks; seconds,
    memory and share are of one rank and its device.
    """

    def __init__(self) -> None:
        self.examples = 0
        self.sequences = 0
        self.computed = 0
        self.seconds = 0.0
        self.data_wait = 0.0
        self._lengths = torch.zeros(2, dtype=torch.int64)  # their sum, and the sum of their squares
        self._ranks = 1
        self._flops: TrainingFlops | None = None
        self._peak: tuple[float, str] | None = None
        self._device = torch.device("cpu")
        self._clock: _FetchClock | None = None
        self._mark: float | None = None  # since when time is counted; None in a pause
        self._saving = 0.0
        self._fetched = 0.0
        self._begun = False  # in this process: a resumed run has stepped before
        self._stepped = 0

    @property
    def examples_per_second(self) -> float:
        return self._ranks * self.examples / self.seconds if self.seconds else 0.0

    @property
    def tokens_per_second(self) -> float:
        return self._ranks * self._tokens / self.seconds if self.seconds else 0.0

    @property
    def waste(self) -> float:
        """Computed tokens divided by useful ones; 1 means no padding."""
        return self.computed / self._tokens if self._tokens else 1.0

    @property
    def flops(self) -> int | None:
        """Floating-point operations of this rank; None where the layout of the network is not known."""
        return self._flops.of(self.sequences, *self._lengths.tolist()) if self._flops else None

    @property
    def share_of_peak(self) -> float | None:
        """None where the operations or the peak are not known, or not yet."""
        if not self._peak or not self.seconds or self.flops is None:
            return None
        return self.flops / self.seconds / self._peak[0]

    @property
    def data_wait_share(self) -> float:
        return self.data_wait / self.seconds if self.seconds else 0.0

    @property
    def peak_memory_mib(self) -> float:
        """The most that was held at once, in MiB: allocated on a GPU; elsewhere in memory by this process, so far."""
        if self._device.type == "cuda":
            return torch.cuda.max_memory_allocated(self._device) / 2**20
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most / (2**20 if sys.platform == "darwin" else 2**10)

    @property
    def _tokens(self) -> int:
        return int(self._lengths[0])

    def summary(self) -> dict[str, Any]:
        """For the record: rates and shares, what they are made of, and where the peak is from."""
        peak, source = self._peak or (None, None)
        return {
            "examples_per_second": self.examples_per_second,
            "tokens_per_second": self.tokens_per_second,
            "padding_waste": self.waste,
            "share_of_peak": self.share_of_peak,
            "flops": None if self.flops is None else self._ranks * self.flops,
            "peak_flops": peak,
            "peak_source": source,
            "data_wait_seconds": self.data_wait,
            "data_wait_share": self.data_wait_share,
            "peak_memory_mib": self.peak_memory_mib,
            "examples": self._ranks * self.examples,
            "seconds": self.seconds,
        }

    def state_dict(self) -> dict[str, Any]:
        return {**{name: getattr(self, name) for name in COUNTED}, "lengths": self._lengths.tolist()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        for name in COUNTED:  # older checkpoints count no sequences: each example was one
            setattr(self, name, state_dict.get(name, state_dict["examples"]))
        self._lengths = torch.tensor(state_dict["lengths"])

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._ranks = trainer.world_size
        self._device = trainer.strategy.root_device
        self._flops = training_flops(getattr(pl_module, "network", pl_module))
        self._clock = _FetchClock(trainer.profiler)  # type: ignore[attr-defined]
        self._mark, self._fetched, self._begun, self._stepped = None, 0.0, False, trainer.global_step

    def on_train_epoch_start(self, *_: Any) -> None:
        self._mark = None

    def on_train_epoch_end(self, *_: Any) -> None:
        self._finish_queued()

    def on_validation_start(self, *_: Any) -> None:
        self._finish_queued()

    def on_validation_end(self, *_: Any) -> None:
        self._mark = None

    def on_train_batch_start(self, trainer: pl.Trainer, *_: Any) -> None:
        assert self._clock is not None
        waited, self._fetched = self._clock.seconds - self._fetched, self._clock.seconds
        if self._mark is None:
            self._mark, self._saving = time.perf_counter(), _saving(trainer)
            self._mark -= waited if self._begun else 0
        if self._begun:  # what the first step waits for belongs to the start
            self.data_wait += waited
        self._begun = True

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        counts: Counts = pl_module.counts(batch)  # type: ignore[operator]
        lengths = counts.lengths
        self.examples += counts.examples
        self.sequences += len(lengths)
        self.computed += counts.computed
        # stays on its device: nothing waits
        self._lengths = self._lengths.to(lengths.device) + torch.stack([lengths.sum(), lengths.square().sum()])
        every = trainer.log_every_n_steps  # type: ignore[attr-defined]
        due = trainer.global_step != self._stepped and trainer.global_step % every == 0
        self._stepped = trainer.global_step
        if due:
            self._lengths = self._lengths.cpu()  # waits for what a GPU has queued: the seconds are then those of all
        self._count_seconds(trainer)
        if due:
            self._find_peak(trainer)
            if trainer.loggers:
                pl_module.log_dict(self._figures())

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._finish_queued()
        self._find_peak(trainer)

    def _count_seconds(self, trainer: pl.Trainer) -> None:
        assert self._mark is not None
        now, saving = time.perf_counter(), _saving(trainer)
        self.seconds += now - self._mark - (saving - self._saving)
        self._mark, self._saving = now, saving

    def _finish_queued(self) -> None:
        """The steps that a GPU has still to make are training too."""
        if self._device.type == "cuda" and self._mark is not None:
            started = time.perf_counter()
            torch.cuda.synchronize(self._device)
            self.seconds += time.perf_counter() - started

    def _find_peak(self, trainer: pl.Trainer) -> None:
        """Once there is something to compare with it: it may have to be measured, and a start is not to wait for it."""
        if self._flops is not None and self._peak is None:
            started = time.perf_counter()
            self._peak = peak_flops(self._device, str(trainer.precision))
            if self._mark is not None:
                self._mark += time.perf_counter() - started

    def _figures(self) -> dict[str, float]:
        names = ("examples_per_second", "tokens_per_second", "share_of_peak", "data_wait_share", "peak_memory_mib")
        found = {name: getattr(self, name) for name in names} | {"padding_waste": self.waste}
        return {f"throughput/{name}": value for name, value in found.items() if value is not None}


class _FetchClock:
    """Adds up the seconds that the training loop waits for its next batch.

    Between two steps lie callbacks, checkpoints, logging and validation too; Lightning tells its profiler alone, of
    whatever kind it is, when it asks the loader and when it is answered.
    """

    def __init__(self, profiler: Profiler) -> None:
        self.seconds = 0.0
        self._asked = 0.0
        self._start, self._stop = profiler.start, profiler.stop
        profiler.start, profiler.stop = self.start, self.stop  # type: ignore[method-assign]

    def start(self, action_name: str) -> None:
        self._start(action_name)
        if action_name == FETCH:
            self._asked = time.perf_counter()

    def stop(self, action_name: str) -> None:
        if action_name == FETCH:
            self.seconds += time.perf_counter() - self._asked
        self._stop(action_name)


def _saving(trainer: pl.Trainer) -> float:
    """Seconds that training has waited for the last checkpoint to be written, so far."""
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
    return sum(callback.seconds for callback in callbacks if isinstance(callback, LastCheckpoint))
