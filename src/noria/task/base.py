"""The shared step of every task: forward, loss, what the loss is divided by. Knows no particular loss."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from noria.data.encoded import Encoded
from noria.metric.base import Metric
from noria.model.shard import shard


class Task(pl.LightningModule, ABC):
    """A network, its loss, and how it is optimised.

    The loss of an optimiser step is the sum over its examples divided by what counts in them (examples, or the
    tokens to be predicted), over all its micro-batches and ranks. The loss of an epoch is the same quotient over
    the whole epoch. Neither is ever a mean of means, so that neither depends on how a run is executed.

    Args:
        network: takes the tensors of a batch, gives logits.
        make_optimizer: network -> optimizer.
        make_scheduler: (optimizer, total optimiser steps) -> schedule, stepped once an optimiser step.
        metrics: by name; measured over all validation examples at once.
        total_steps: optimiser steps of the whole run. Counted by the stage: asking Lightning for
            `estimated_stepping_batches` drops the data loader's state on resume.
    """

    def __init__(
        self,
        network: nn.Module,
        make_optimizer: Callable[[nn.Module], Optimizer],
        make_scheduler: Callable[[Optimizer, int], LRScheduler],
        metrics: Mapping[str, Metric],
        total_steps: int,
    ) -> None:
        super().__init__()
        self.network = network
        self._make_optimizer = make_optimizer
        self._make_scheduler = make_scheduler
        self._metrics = dict(metrics)
        self._total_steps = total_steps
        # (loss, weight), summed over the running epoch and over the running optimiser step. The first is in the
        # checkpoint, for Lightning does not restore the averages of an interrupted epoch.
        self._train_sums = torch.zeros(2, dtype=torch.float64)
        self._step_sums = torch.zeros(2, dtype=torch.float64)
        self._seen: list[tuple[Tensor, ...]] = []
        self.execution: dict[str, Any] = {}  # how the network is executed; a resumed run goes on with it

    @abstractmethod
    def step(self, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Of one batch: scores (batch, …) and labels (batch, …) for the metrics, losses and weights (batch,)."""

    @abstractmethod
    def row_weights(self, rows: Encoded) -> np.ndarray:
        """What each row counts with (rows,): the weights that `step` gives, known without a forward."""

    def configure_model(self) -> None:
        if self.device_mesh is not None:  # strategy=fsdp
            shard(self.network, self.device_mesh["data_parallel"])

    def configure_optimizers(self) -> Any:
        optimizer = self._make_optimizer(self.network)
        scheduler = self._make_scheduler(optimizer, self._total_steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def training_step(self, batch: dict[str, Tensor], batch_index: int) -> Tensor:
        _, _, losses, weights = self.step(batch)
        weights = weights * (batch["index"] >= 0)  # a filler counts nowhere
        total = (losses * weights).sum()
        sums = torch.stack([total.detach(), weights.sum()]).to(self._train_sums)
        self._train_sums += sums
        self._step_sums += sums
        # Lightning divides by the micro-batches, DDP and FSDP by the ranks; the step's own weight takes their place.
        return total * (self.trainer.accumulate_grad_batches * self.trainer.world_size / batch["step_weight"])

    def optimizer_step(self, epoch: int, batch_idx: int, optimizer: Any, optimizer_closure: Any = None) -> None:
        super().optimizer_step(epoch, batch_idx, optimizer, optimizer_closure)
        optimizer.zero_grad()  # Lightning keeps the gradients until the next backward: memory beside its forward

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        loss = _over_ranks(self._step_sums)
        self.log("train/loss", loss[0] / loss[1], prog_bar=True)
        self._step_sums.zero_()

    def on_train_start(self) -> None:
        # On the device, so that adding to it never waits; Apple's GPUs have no fp64.
        dtype = torch.float32 if self.device.type == "mps" else torch.float64
        self._train_sums = self._train_sums.to(self.device, dtype)
        self._step_sums = self._step_sums.to(self.device, dtype)

    def on_train_epoch_start(self) -> None:  # not called when an epoch is taken up in its middle
        self._train_sums.zero_()

    def train_loss(self) -> float:
        """The loss of the training epoch so far, over all ranks."""
        sums = _over_ranks(self._train_sums)
        return float(sums[0] / sums[1])

    def on_validation_epoch_start(self) -> None:
        self._seen.clear()

    def validation_step(self, batch: dict[str, Tensor], batch_index: int) -> None:
        self._seen.append(tuple(t.cpu() for t in (batch["index"], *self.step(batch))))

    def on_validation_epoch_end(self) -> None:
        scores, labels, losses, weights = self._gather_seen()
        # Every rank has measured the same examples, so there is nothing to synchronise.
        self.log("val/loss", (losses * weights).sum() / weights.sum(), prog_bar=True)
        for name, metric in self._metrics.items():
            self.log(f"val/{name}", metric(scores, labels), prog_bar=True)
        self._seen.clear()

    def _gather_seen(self) -> list[Tensor]:
        parts = [self._seen]
        if dist.is_available() and dist.is_initialized():
            parts = [[] for _ in range(dist.get_world_size())]
            dist.all_gather_object(parts, self._seen)  # parts may be uneven
        index, *columns = (torch.cat(column) for column in zip(*(row for part in parts for row in part), strict=True))
        rows = index.argsort()[int((index < 0).sum()) :]  # in their own order, less the fillers
        return [column[rows] for column in columns]

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        ranks = [self._train_sums.tolist()]
        if dist.is_available() and dist.is_initialized():
            ranks *= dist.get_world_size()
            dist.all_gather_object(ranks, ranks[0])  # each rank goes on with its own: added up, they would round apart
        checkpoint["train_sums"] = ranks
        checkpoint["execution"] = self.execution

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        ranks = checkpoint["train_sums"]
        self._train_sums = torch.tensor(ranks[self.global_rank % len(ranks)], dtype=torch.float64)


def _over_ranks(sums: Tensor) -> Tensor:
    """The sums over all ranks, on every rank."""
    sums = sums.clone()
    if dist.is_available() and dist.is_initialized():
        dist.all_reduce(sums)
    return sums
