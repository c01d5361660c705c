"""A DataLoader that can say which batch of which epoch comes next, and go on from there.

Knows nothing of what a batch holds. Lightning saves and loads its state with every checkpoint.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader

from noria.common.errors import UserError
from noria.common.process import die_with_parent
from noria.data.batch.batches import LengthGroupedBatches
from noria.data.batch.encoded import Encoded


def _begin_worker(number: int) -> None:
    """Takes a data worker out of the group that a signal goes to; it ends with the process that started it.

    Whoever ends a job signals all its processes at once: a worker that died of it would fail the run, which still
    has its step to end and its checkpoint to write.
    """
    os.setpgid(0, 0)
    die_with_parent()


class ResumableLoader(DataLoader[dict[str, Any]]):
    """Loads the batches of a `LengthGroupedBatches`.

    Args:
        weights: (rows,), what each row counts with in the loss. With them every batch has "step_weight", what its
            whole optimiser step, over all its batches and ranks, is to be divided by: a float, for it stays on the
            host and in full precision.
        batches_used: how many batches of an epoch the trainer takes; asked when a pass begins.

    The state is {"epoch": e, "position": n, "asked": a}: n batches of epoch e were handed out (not merely
    prefetched) while the sampler's epoch was set to a. The pass after `load_state_dict` starts at batch n of
    epoch e if the sampler still stands at a, else at the start of epoch e + 1; later passes start at 0.
    The trainer must not put in a sampler of its own (`use_distributed_sampler=False`).
    """

    sampler: LengthGroupedBatches

    def __init__(
        self,
        dataset: Encoded,
        batches: LengthGroupedBatches,
        num_workers: int = 0,
        weights: np.ndarray | None = None,
        batches_used: Callable[[], int] | None = None,
    ) -> None:
        super().__init__(
            dataset,  # type: ignore[arg-type]  # it has what a map-style data set needs, and no torch in it
            batch_size=None,
            sampler=batches,
            num_workers=num_workers,
            worker_init_fn=_begin_worker,
            # by name: inside joblib's workers the default cannot start a process
            multiprocessing_context="fork" if num_workers and sys.platform == "linux" else None,
            # its own generator: making an iterator must not draw from the global one
            generator=torch.Generator(),
            persistent_workers=num_workers > 0,
        )
        self._weights = weights
        self._batches_used = batches_used or (lambda: len(batches))
        self._state: dict[str, int] | None = None
        self._resume: dict[str, int] | None = None
        # Lightning (2.6), resumed from the end of an epoch under max_steps, ends that epoch a second time and
        # from then on sets epochs that are one too high
        self._shift = 0

    def __iter__(self) -> Iterator[dict[str, Any]]:  # type: ignore[override]
        """A pass over the sampler's epoch.

        A generator on purpose: Lightning makes the first iterator before it calls `set_epoch`, and with
        workers an eager one would already be fetching the wrong epoch.
        """
        resume, self._resume = self._resume, None
        asked, position = self.sampler.epoch, 0
        if resume and resume["asked"] == asked:
            self._shift, position = resume["epoch"] - asked, resume["position"]
        elif resume:
            self._shift = resume["epoch"] + 1 - asked
        state = self._state = {"epoch": asked + self._shift, "position": position, "asked": asked}
        self.sampler.set_epoch(state["epoch"])
        self.sampler.skip = position
        batches = super().__iter__()
        step_weights = self._step_weights()
        self.sampler.set_epoch(asked)
        self.sampler.skip = 0
        for batch in batches:
            if step_weights is not None:
                batch["step_weight"] = step_weights[state["position"]]
            state["position"] += 1
            yield batch

    def _step_weights(self) -> list[float] | None:
        if self._weights is None:
            return None
        return [float(w) for w in self.sampler.step_weights(self._weights, self._batches_used()).astype(np.float32)]

    def state_dict(self) -> dict[str, int]:
        epoch = self.sampler.epoch
        return dict(self._resume or self._state or {"epoch": epoch, "position": 0, "asked": epoch})

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Raises a UserError where the saved position does not fit these batches."""
        if state_dict["position"] > len(self.sampler):
            raise UserError(
                f"The checkpoint stands at batch {state_dict['position']}, but an epoch has "
                f"{len(self.sampler)} batches here. Resume with that run's data, batch size and devices."
            )
        self._resume = {name: int(state_dict[name]) for name in ("epoch", "position", "asked")}
        self.sampler.set_epoch(self._resume["asked"])
