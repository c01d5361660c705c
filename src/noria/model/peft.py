"""Adapters: a few weights trained beside a frozen network, through the library `peft`.
Knows neither how the network was opened nor what it is trained on. The library is imported where it is used: a run
without an adapter does not wait for it."""

from __future__ import annotations

import sys
import warnings
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Annotated, Any, Literal

from annotated_types import Gt, Interval

from noria.common.errors import UserError

if TYPE_CHECKING:
    from peft import PeftConfig
    from transformers import PreTrainedModel


class Adapter(ABC):
    """One way of adapting a network."""

    @abstractmethod
    def config(self, **common: Any) -> PeftConfig:
        """What peft is to make; `common` goes into every such config."""

    def apply(self, network: PreTrainedModel, task: str, name: str, whole: list[str]) -> Any:
        """The network with the adapter in it. What was there is frozen, but for the modules named in `whole`.

        Args:
            name: the model's, for whoever opens the adapter alone.
            whole: modules that are trained and saved whole, such as a new head.

        Raises:
            UserError: the adapter's modules are not in this network, or cannot be adapted.
        """
        from peft import TaskType, get_peft_model

        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "fan_in_fan_out")  # it sets that itself, for GPT-2
                warnings.filterwarnings("ignore", ".*tie_word_embeddings")  # refused below, in plain words
                warnings.filterwarnings("ignore", ".*is_gradient_checkpointing")  # between the two libraries
                config = self.config(task_type=TaskType(task), modules_to_save=whole or None)
                tied = _tied(network)
                adapted: Any = get_peft_model(network, config)
        except (ValueError, TypeError) as error:
            raise UserError(f"model.peft does not fit model.name={name}: {_said(error)}") from error
        if both := sorted(tied & set(adapted.base_model.targeted_module_names)):
            raise UserError(
                f"model.peft.target_modules takes in {both[0]}, which shares its weights with "
                f"{', '.join(sorted(tied - {both[0]}))}: merged into one, it would change the other. Leave it out."
            )
        config.base_model_name_or_path = name
        return adapted


class Lora(Adapter):
    """LoRA (Hu et al. 2021), and DoRA (Liu et al. 2024), which learns lengths and directions apart.

    W x becomes W x + alpha / r * B A x, with A (r, in) random and B (out, r) zero at the start.

    Args:
        r: the rank.
        alpha: the weight of the adapter is alpha / r (alpha / sqrt(r) with `use_rslora`).
        dropout: on what goes into A.
        target_modules: ends of module names, or `all-linear`: all but the head and the output embedding.
        use_rslora: rank-stabilised scaling (Kalajdzievski 2023), for high ranks.
        use_dora: DoRA.
    """

    def __init__(
        self,
        *,
        r: Annotated[int, Gt(0)] = 16,
        alpha: Annotated[float, Gt(0)] = 32,
        dropout: Annotated[float, Interval(ge=0, lt=1)] = 0.05,
        target_modules: list[str] | Literal["all-linear"] = "all-linear",
        use_rslora: bool = False,
        use_dora: bool = False,
    ) -> None:
        self._options: dict[str, Any] = {
            "r": r,
            "lora_alpha": alpha,
            "lora_dropout": dropout,
            "target_modules": target_modules if isinstance(target_modules, str) else list(target_modules),
            "use_rslora": use_rslora,
            "use_dora": use_dora,
        }

    def config(self, **common: Any) -> PeftConfig:
        from peft import LoraConfig

        return LoraConfig(**self._options, **common)


class IA3(Adapter):
    """(IA)^3 (Liu et al. 2022): a learnt factor for each key, value and inner feed-forward activation.

    Args:
        target_modules: ends of module names; null: what peft knows for this architecture.
        feedforward_modules: those among them whose input is scaled, not their output; null: as above, or none
            where `target_modules` are given.
    """

    def __init__(
        self, *, target_modules: list[str] | None = None, feedforward_modules: list[str] | None = None
    ) -> None:
        if feedforward_modules and not set(feedforward_modules) <= set(target_modules or ()):
            raise UserError(
                f"model.peft.feedforward_modules={feedforward_modules} must be among model.peft.target_modules="
                f"{target_modules}."
            )
        self._options: dict[str, Any] = {}
        if target_modules is not None:
            self._options = {"target_modules": list(target_modules)}
            self._options["feedforward_modules"] = list(feedforward_modules or ())

    def config(self, **common: Any) -> PeftConfig:
        from peft import IA3Config

        return IA3Config(**self._options, **common)


def is_adapted(network: object) -> bool:
    """Whether a network has an adapter in it."""
    peft = sys.modules.get("peft")  # not imported: nothing can have been adapted
    return peft is not None and isinstance(network, peft.PeftModel)


def _tied(network: PreTrainedModel) -> set[str]:
    """The names of the input and the output embedding where they share their weights."""
    ends = [network.get_input_embeddings(), network.get_output_embeddings()]
    if None in ends or ends[0].weight is not ends[1].weight:
        return set()
    return {name for name, module in network.named_modules() if any(module is end for end in ends)}


def _said(error: Exception) -> str:
    text = " ".join(str(error).split())
    if "Please specify `target_modules`" in text:
        return "peft knows no modules for this architecture. Name them in model.peft.target_modules."
    return f"{text.partition('. ')[0].rstrip('.')}. Mend model.peft.target_modules."
