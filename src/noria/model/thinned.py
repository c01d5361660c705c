"""A pretrained model with some of its layers left out, as a student begins. Knows no teacher and no loss."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

import torch

from noria.common.console import say_once
from noria.common.errors import UserError
from noria.model.layers import BLOCK
from noria.model.pretrained import Pretrained

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class Thinned(Pretrained):
    """Opens a pretrained model and keeps one of `every` so many of its layers.

    Args:
        every: at least 2.
        options: as `Pretrained` takes them.
    """

    def __init__(self, *, every: int, **options: Any) -> None:
        super().__init__(**options)
        self.every = every

    def _network(self, auto_class: Any, head: str) -> tuple[PreTrainedModel, dict[str, Any]]:
        network, loading = super()._network(auto_class, head)
        return self._thinned(network), loading

    def _thinned(self, network: Any) -> Any:
        """The network that transformers makes of the smaller config, with the weights of the layers that are kept.

        Raises:
            UserError: it has no layers of its own that could be left out, or keeps them all.
        """
        config = deepcopy(network.config)
        total = int(getattr(config, "num_hidden_layers", 0))
        state = network.state_dict()
        numbers = {int(found[1]) for name in state if (found := BLOCK.search(name))}
        if config.is_encoder_decoder or numbers != set(range(total)) or total < 2:
            raise UserError(
                f"model.name={self.name}: a '{config.model_type}' model has no row of layers of which some could be "
                "left out."
            )
        kept = spread(total, self.every)
        config.num_hidden_layers = len(kept)
        for name, value in vars(config).items():  # such as which attention each layer has
            if "layer" in name and isinstance(value, list | tuple) and len(value) == total:
                setattr(config, name, [value[number] for number in kept])
        with torch.random.fork_rng(devices=[]):  # what it draws is replaced
            made = type(network)(config)
        made.load_state_dict(dict(_renamed(name, x, kept) for name, x in state.items() if _stays(name, kept)))
        made.tie_weights()
        say_once(f"Of the {total} layers of {self.name} the student begins with {', '.join(map(str, kept))}.")
        return made


def spread(total: int, every: int) -> list[int]:
    """The numbers of total / every layers, rounded up, evenly spread from the first to the last: 0, 2, 4, 7, 9, 11 of
    12 (Sanh et al. 2019, DistilBERT, and the code beside it)."""
    count = -(-total // every)
    return [int(number * (total - 1) / max(count - 1, 1) + 0.5) for number in range(count)]


def _stays(name: str, kept: list[int]) -> bool:
    found = BLOCK.search(name)
    return found is None or int(found[1]) in kept


def _renamed(name: str, weight: torch.Tensor, kept: list[int]) -> tuple[str, torch.Tensor]:
    found = BLOCK.search(name)
    if found is None:
        return name, weight
    return f"{name[: found.start(1)]}{kept.index(int(found[1]))}{name[found.end(1) :]}", weight
