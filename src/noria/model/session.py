"""A network that is opened to be used: on a device, in a precision. Knows nothing of what it computes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from noria.common.heap import keep_freed_memory
from noria.common.precision import is_mixed, number_type
from noria.model.execution import choose_execution

T = TypeVar("T")
R = TypeVar("R")


class Session:
    """A network on a device, in evaluation mode. It is moved there, not copied.

    Args:
        precision: a name of Lightning's: `32-true`, `bf16-mixed`, `bf16-true`, `16-mixed`.
        packed: the network reads whole texts, so that it may run on rows without their padding.
    """

    def __init__(self, network: nn.Module, precision: str, device: torch.device, packed: bool = False) -> None:
        is_short = number_type(precision) == "bf16" and not is_mixed(precision)
        self.network: Any = network.to(device, torch.bfloat16 if is_short else torch.float32).eval()
        self.device = device
        self.precision = precision
        weights = list(self.network.parameters())
        if packed and weights:  # a graph of ONNX, which has none, is as it is
            choose_execution(self.network, device.type)
        if precision == "bf16-mixed" and not any(weight.requires_grad for weight in weights):
            cast_once(self.network)
        if packed and weights and device.type == "cpu":
            keep_freed_memory()

    def context(self) -> AbstractContextManager[Any]:
        """In which the network is to be called."""
        if not is_mixed(self.precision):
            return nullcontext()
        dtype = torch.bfloat16 if number_type(self.precision) == "bf16" else torch.float16
        return torch.autocast(self.device.type, dtype=dtype)

    def at_once(self, longest: int) -> int | None:
        """How many rows of that many tokens a call had best have; None: the network says nothing of it."""
        tokens = getattr(self.network, "tokens_at_once", None)
        return tokens and max(tokens // longest, 1)

    def each(self, answer: Callable[[Any, T], R], asked: Sequence[T]) -> Iterator[R]:
        """`answer(network, one)` of all that is asked, in its order.

        A network that says that it can be narrow answers several at once, each with one thread, where there are as many
        as threads: nothing then waits for its neighbours after every product.
        """
        threads = torch.get_num_threads()
        if not 1 < threads <= len(asked) or not hasattr(self.network, "narrow"):
            yield from (answer(self.network, one) for one in asked)
            return
        narrow = self.network.narrow()
        with ThreadPoolExecutor(threads) as pool:
            yield from pool.map(partial(answer, narrow), asked)

    def moved(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """The batch on the device."""
        return {name: values.to(self.device) for name, values in batch.items()}


def cast_once(network: nn.Module) -> None:
    """Casts to bf16, in place, the weights that autocast would cast again for every batch, or for every token that a
    decoder writes. The results are the same: an embedding that an output layer shares stays as it is."""
    linears = [module for module in network.modules() if type(module) is nn.Linear]
    others = (module for module in network.modules() if type(module) is not nn.Linear)
    shared = {id(weight) for module in others for weight in module.parameters(recurse=False)}
    for module in linears:
        if id(module.weight) in shared:
            module.weight = nn.Parameter(module.weight.detach().to(torch.bfloat16), requires_grad=False)
        module.to(torch.bfloat16)
