"""A loss over all examples of an optimiser step at once, however the step is cut into micro-batches and ranks.

What a network makes of each example is computed first, micro-batch by micro-batch and without a graph; the loss of them
all gives its gradient for each; then each micro-batch is computed once more, with its graph, and takes its part of the
gradient (Gao et al. 2021, Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup, section 3). Memory
holds the graph of one micro-batch, and the gradients are those of the whole. Knows no particular loss.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import ClassVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from noria.task.kind import Batch, Kind


class WholeStepKind(Kind):
    """A kind of work in which the loss of an example depends on the others of its optimiser step.

    `losses` is given all examples of the step: `made` (examples, …), and of the batch what `compared` names.

    Attributes:
        compared: what of a batch the loss reads, each with a value for each example.
    """

    whole_step: ClassVar[bool] = True
    compared: ClassVar[tuple[str, ...]] = ("index",)

    @abstractmethod
    def part(self, batch: Batch, rows: slice) -> Batch:
        """The batch of some of its examples."""


def step_gradient(
    kind: WholeStepKind,
    network: nn.Module,
    batch: Batch,
    size: int,
    factor: float,
    backward: Callable[[Tensor], None],
) -> tuple[Tensor, Tensor]:
    """The loss of this rank's examples of a step, and a tensor whose backward gives what is left of the gradient.

    Args:
        batch: all of this rank's examples.
        size: of a micro-batch, in examples.
        factor: what the sum of losses over all ranks is multiplied by.
        backward: takes the gradient of a micro-batch that is not the last.

    Returns:
        The sums (2,) of losses and of weights of this rank's examples; and a scalar with the value of the loss for the
        trainer's own backward.
    """
    count, device = len(batch["index"]), batch["index"].device
    starts = range(0, count, size)
    parts = [batch] if len(starts) == 1 else [kind.part(batch, slice(start, start + size)) for start in starts]
    states, pieces = [], []
    for part in parts:
        states.append(_random_state(device))
        with torch.set_grad_enabled(len(parts) == 1):
            pieces.append(kind.forward(network, part))
    made = torch.cat(pieces)
    everyone, start = _everyone({"made": made.detach()} | {x: batch[x] for x in kind.compared if x in batch})
    leaf, own = everyone.pop("made").requires_grad_(), slice(start, start + count)
    losses, weights = kind.losses(leaf, everyone)
    weights = weights * (everyone["index"] >= 0)  # a filler counts nowhere
    total = (losses * weights).sum() * factor
    gradients = torch.autograd.grad(total, leaf)[0][own].split(size)
    sums = torch.stack([(losses[own] * weights[own]).sum(), weights[own].sum()]).detach()
    if len(parts) == 1:
        return sums, _with_gradient(total, made, gradients[0])
    after = _random_state(device)
    for place, part in enumerate(parts):
        _set_random_state(states[place], device)  # the same elements are dropped
        made = kind.forward(network, part)
        if place < len(parts) - 1:
            backward(_with_gradient(total, made, gradients[place]))
    _set_random_state(after, device)
    return sums, _with_gradient(total, made, gradients[-1])


def _with_gradient(total: Tensor, made: Tensor, gradient: Tensor) -> Tensor:
    """The value of the loss, with this gradient for what a network made."""
    carrier = (made * gradient.to(made.dtype)).sum()
    return total.detach() + (carrier - carrier.detach())


def _everyone(own: Batch) -> tuple[Batch, int]:
    """The examples of all ranks, which may have different numbers of them, and where this rank's begin."""
    if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
        return own, 0
    count = torch.tensor([len(own["index"])], device=own["index"].device)
    counts = [torch.zeros_like(count) for _ in range(dist.get_world_size())]
    dist.all_gather(counts, count)
    sizes = [int(one) for one in counts]
    return {name: torch.cat(list(_gathered(x, sizes))) for name, x in own.items()}, sum(sizes[: dist.get_rank()])


def _gathered(own: Tensor, sizes: list[int]) -> Iterator[Tensor]:
    longest = max(sizes)
    padded = own.new_zeros(longest, *own.shape[1:])
    padded[: len(own)] = own
    found = [torch.empty_like(padded) for _ in sizes]
    dist.all_gather(found, padded.contiguous())
    return (one[:size] for one, size in zip(found, sizes, strict=True))


def _random_state(device: torch.device) -> tuple[Tensor, Tensor | None]:
    return torch.get_rng_state(), torch.cuda.get_rng_state(device) if device.type == "cuda" else None


def _set_random_state(state: tuple[Tensor, Tensor | None], device: torch.device) -> None:
    torch.set_rng_state(state[0])
    if state[1] is not None:
        torch.cuda.set_rng_state(state[1], device)
