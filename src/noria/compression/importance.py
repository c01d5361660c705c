"""What a loss would miss without a part of a network: the first-order Taylor term of taking it away.

A part whose contribution x is multiplied by a gate g has the importance |dL/dg| at g = 1, which is |sum of x * dL/dx|:
of a neuron or a head over all tokens of a row (Michel et al. 2019, Are Sixteen Heads Really Better than One, section
4.2; Molchanov et al. 2019, Importance Estimation for Neural Network Pruning, equation 8 without the square), of a layer
with what it adds to its input. It is summed over rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from noria.task.kind import Batch, Kind

if TYPE_CHECKING:
    from noria.compression.linears import Linear


class Importance:
    """Sums importances while a network runs forwards and backwards.

    Args:
        reads: linear maps, by whatever name, each with the number of units that its inputs are of.
        layers: those of the network, in their order.
    """

    def __init__(self, reads: dict[Any, tuple[Linear, int]], layers: Sequence[nn.Module] = ()) -> None:
        self.of_units: dict[Any, Tensor] = {name: torch.zeros(count) for name, (_, count) in reads.items()}
        self.of_layers = torch.zeros(len(layers))
        self._hooks = [one.register_forward_pre_hook(self._unit(name, count)) for name, (one, count) in reads.items()]
        self._hooks += [
            layer.register_forward_hook(self._layer(number), with_kwargs=True) for number, layer in enumerate(layers)
        ]

    def measure(
        self, network: Any, kind: Kind, batches: Iterable[Batch], advance: Callable[[int], Any] = lambda rows: None
    ) -> None:
        """Runs over the batches, with targets, once.

        Args:
            advance: told the number of examples after each batch, for a progress bar.
        """
        for module in network.modules():  # the weights are frozen: gradients begin where tokens become numbers
            if isinstance(module, nn.Embedding):
                self._hooks.append(module.register_forward_hook(lambda *given: given[-1].requires_grad_()))
        try:
            for batch in batches:
                losses, weights = kind.losses(kind.forward(network, batch), batch)
                (losses * weights).sum().backward()
                advance(len(batch["index"]))
        finally:
            for hook in self._hooks:
                hook.remove()

    def _unit(self, name: Any, count: int) -> Callable[..., None]:
        def forward(module: nn.Module, given: tuple[Tensor, ...]) -> None:
            made = given[0]

            def backward(gradient: Tensor) -> None:
                each = (made.detach() * gradient).flatten(1, -2).sum(1)  # (rows, inputs)
                self.of_units[name] += each.unflatten(-1, (count, -1)).sum(-1).abs().sum(0).cpu()

            made.register_hook(backward)

        return forward

    def _layer(self, number: int) -> Callable[..., None]:
        def forward(module: nn.Module, given: tuple[Any, ...], named: dict[str, Any], made: Any) -> None:
            before = given[0] if given else named["hidden_states"]
            after = made if isinstance(made, Tensor) else made[0]

            def backward(gradient: Tensor) -> None:
                each = ((after.detach() - before.detach()) * gradient).flatten(1).sum(1)  # (rows,)
                self.of_layers[number] += each.abs().sum().cpu()

            after.register_hook(backward)

        return forward
