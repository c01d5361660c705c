"""The only LightningModule: exact sums of the losses of a kind of work, over batches, ranks and resumes.

Knows no particular loss.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from noria.data.batch.encoded import Encoded
from noria.metric.base import Metric
from noria.model.counts import Counts
from noria.model.shard import shard
from noria.task.kind import Batch, Kind
from noria.task.outputs import Outputs, Ragged, joined
from noria.task.whole_step import WholeStepKind, step_gradient

log = logging.getLogger(__name__)

NOTHING_COUNTS = "all rows of the validation set have weight 0"


class Learner(pl.LightningModule):
    """A network, its loss, and how it is optimised.

    The loss of an optimiser step is the sum over its examples divided by what counts in them (examples, or the
    tokens to be predicted), over all its micro-batches and ranks. The loss of an epoch is the same quotient over
    the whole epoch. Neither is ever a mean of means, so that neither depends on how a run is executed.

    A step in which nothing counts (the weights of all its examples, over all ranks, are 0) changes nothing: no
    weight moves, not by momentum or weight decay either, and no loss is logged. The schedule goes on, for the step
    is one of the run's.

    After each validation `no_value` says of every number that has none there (by its name, `val/…`) why that is.
    It is not logged then.

    Args:
        network: as the kind has made it.
        kind: what is learnt, and from what loss.
        make_optimizer: network -> optimizer.
        make_scheduler: (optimizer, total optimiser steps) -> schedule, stepped once an optimiser step.
        metrics: by name; measured over all validation examples at once.
        total_steps: optimiser steps of the whole run. Counted by the stage: asking Lightning for
            `estimated_stepping_batches` drops the data loader's state on resume.
        validated: the examples of the validation set, where metrics are measured on it.
        micro_batch: examples of which the graph is held at once, where the loss is one of the whole step.
    """

    def __init__(
        self,
        network: nn.Module,
        kind: Kind,
        make_optimizer: Callable[[nn.Module], Optimizer],
        make_scheduler: Callable[[Optimizer, int], LRScheduler],
        metrics: Mapping[str, Metric],
        total_steps: int,
        validated: Encoded | None = None,
        micro_batch: int = 1,
    ) -> None:
        super().__init__()
        self.network = network
        self.kind = kind
        self._validated = validated
        self._make_optimizer = make_optimizer
        self._make_scheduler = make_scheduler
        self._metrics = dict(metrics)
        self.total_steps = total_steps
        self._micro_batch = micro_batch
        # (loss, weight), summed over the running epoch and over the running optimiser step. The first is in the
        # checkpoint, for Lightning does not restore the averages of an interrupted epoch.
        self._train_sums = torch.zeros(2, dtype=torch.float64)
        self._step_sums = torch.zeros(2, dtype=torch.float64)
        self._counts = True  # whether anything counts in the running optimiser step
        self._told = False  # that there are steps in which nothing does
        self._seen: list[tuple[dict[str, np.ndarray], Mapping[str, np.ndarray | Ragged]]] = []
        self.no_value: dict[str, str] = {}
        self.execution: dict[str, Any] = {}  # how the network is executed; a resumed run goes on with it

    def counts(self, batch: Batch) -> Counts:
        """What of a batch counts as work done."""
        return self.kind.counts(batch)

    def configure_model(self) -> None:
        if self.device_mesh is not None:  # strategy=fsdp
            shard(self.network, self.device_mesh["data_parallel"])

    def configure_optimizers(self) -> Any:
        optimizer = self._make_optimizer(self.network)
        scheduler = self._make_scheduler(optimizer, self.total_steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def on_train_batch_start(self, batch: dict[str, Any], batch_index: int) -> None:
        # The same number on all ranks and for all batches of a step; it lies on the host, so no GPU is waited for.
        self._counts = float(batch["step_weight"]) > 0

    def training_step(self, batch: dict[str, Any], batch_index: int) -> Tensor:
        # Lightning divides by the micro-batches, DDP and FSDP by the ranks; the step's own weight takes their place.
        parts = self.trainer.accumulate_grad_batches * self.trainer.world_size
        factor = parts / float(batch["step_weight"]) if self._counts else 0.0
        if isinstance(self.kind, WholeStepKind):
            sums, total = step_gradient(self.kind, self.network, batch, self._micro_batch, factor, self._backward_part)
        else:
            losses, weights = self.kind.losses(self.kind.forward(self.network, batch), batch)
            weights = weights * (batch["index"] >= 0)  # a filler counts nowhere
            total = (losses * weights).sum()
            sums, total = torch.stack([total.detach(), weights.sum()]), total * factor
        sums = sums.to(self._train_sums)
        self._train_sums += sums
        self._step_sums += sums
        return total

    def _backward_part(self, part: Tensor) -> None:
        """The gradient of a part of a step, which the trainer's own backward ends."""
        plugin = self.trainer.strategy.precision_plugin
        plugin.pre_backward(part, self).backward()  # scaled, in fp16

    def optimizer_step(self, epoch: int, batch_idx: int, optimizer: Any, optimizer_closure: Any = None) -> None:
        if self._counts:
            super().optimizer_step(epoch, batch_idx, optimizer, optimizer_closure)
        else:
            optimizer_closure()  # all ranks do the step's forward and backward, and leave the weights as they are
            # Lightning would log the loss and the gradients' norm of the step before once more.
            self.trainer._results.reset(fx="on_before_optimizer_step")  # type: ignore[union-attr]
            if not self._told:
                log.warning("All rows of step %d have weight 0: such steps change nothing.", self.trainer.global_step)
            self._told = True
        optimizer.zero_grad()  # Lightning keeps the gradients until the next backward: memory beside its forward

    def optimizer_zero_grad(self, epoch: int, batch_idx: int, optimizer: Optimizer) -> None:
        """Lightning asks for it between a step and its backward, where gradients of the step's parts are there
        already; those of the step before are gone since its end (`optimizer_step`)."""
        if not self.kind.whole_step:
            super().optimizer_zero_grad(epoch, batch_idx, optimizer)

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

    def train_loss(self) -> float | None:
        """The loss of the training epoch so far, over all ranks; None where nothing has counted yet."""
        loss, weight = _over_ranks(self._train_sums).tolist()
        return loss / weight if weight else None

    def on_validation_epoch_start(self) -> None:
        self._seen.clear()
        shown = self.trainer.callback_metrics  # Lightning keeps what earlier validations have measured
        for name in [name for name in shown if name.startswith("val/")]:
            del shown[name]

    def validation_step(self, batch: dict[str, Tensor], batch_index: int) -> None:
        made = self.kind.forward(self.network, batch)
        sums = {"index": batch["index"]}
        if not self.kind.whole_step:
            losses, weights = self.kind.losses(made, batch)
            # in fp32: precision=bf16-true makes bf16 of them, which counts no further than 256
            sums |= {"losses": losses.detach().float(), "weights": weights.float()}
        wanted = self._metrics or self.kind.whole_step
        outputs = {**self.kind.outputs(made, batch), **self.kind.said(self.network, batch)} if wanted else {}
        self._seen.append(({name: values.cpu().numpy() for name, values in sums.items()}, outputs))

    def on_validation_epoch_end(self) -> None:
        sums, outputs = self._gather_seen()
        self._seen.clear()
        self.no_value = {}
        # Every rank has measured the same examples, so there is nothing to synchronise.
        if not self.kind.whole_step:
            losses, weights = (torch.from_numpy(sums[name]) for name in ("losses", "weights"))
            if (weight := weights.sum()) == 0:
                self.no_value["val/loss"] = NOTHING_COUNTS
            else:
                self.log("val/loss", (losses * weights).sum() / weight, prog_bar=True)
        if not outputs:
            return
        assert self._validated is not None, "metrics are measured on examples that the learner is told of"
        form = self.kind.form
        answers = form.read(form.decide(outputs, self._validated, sums["index"]))
        if self.kind.whole_step:  # of an example beside all others of the set, not beside those of its batch
            self.log("val/loss", float(np.mean(answers["loss"])), prog_bar=True)
        for name, metric in self._metrics.items():
            if not metric.fits(answers):  # it reads texts that this validation has not generated
                continue
            value = metric(answers)
            if math.isnan(value) and (why := metric.undefined(answers)):
                self.no_value[f"val/{name}"] = why
            else:
                self.log(f"val/{name}", value, prog_bar=True)

    def _gather_seen(self) -> tuple[dict[str, np.ndarray], Outputs]:
        """Index, losses and weights of all validation examples, over all ranks, and their outputs, in order."""
        parts = [self._seen]
        if dist.is_available() and dist.is_initialized():
            parts = [[] for _ in range(dist.get_world_size())]
            dist.all_gather_object(parts, self._seen)  # parts may be uneven
        seen = [batch for part in parts for batch in part]
        index = np.concatenate([sums["index"] for sums, _ in seen])
        order = index.argsort(kind="stable")[int((index < 0).sum()) :]  # less the fillers
        sums = joined([sums for sums, _ in seen], order)
        return {name: np.asarray(values) for name, values in sums.items()}, joined([o for _, o in seen], order)

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
