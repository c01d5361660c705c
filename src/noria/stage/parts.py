"""Makes the parts that come in lists: metrics, callbacks, loggers. Holds what the stages would write twice."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from hydra.utils import get_class, instantiate
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import Logger
from omegaconf import DictConfig
from torch import nn

from noria.data.batch.encoded import padding_id
from noria.data.module import DataModule
from noria.metric.base import Metric
from noria.model.pretrained import Pretrained
from noria.task.causal_lm.form import CausalLMForm
from noria.task.form import Form
from noria.task.text_classification.form import TextClassificationForm
from noria.tracking.run_info import RunInfo
from noria.trainer.device import pick_device
from noria.trainer.precision import settled

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def task_kind(cfg: DictConfig) -> str:
    """What the task learns: the kind that its config names, or the only one that it has."""
    task: Any = get_class(cfg.task._target_)
    return str(cfg.task.get("kind") or task.kind)


def make_form(cfg: DictConfig) -> Form:
    """What the task needs of a row; it has learnt nothing of the data yet."""
    kind = task_kind(cfg)
    return CausalLMForm() if kind == "causal_lm" else TextClassificationForm(kind)  # type: ignore[arg-type]


def form_of(facts: Mapping[str, Any]) -> Form:
    """What an artifact's model needs of a row, by what `noria.yaml` says."""
    if facts["kind"] == "causal_lm":
        return CausalLMForm()
    return TextClassificationForm(facts["kind"], facts["labels"])


def make_network(pretrained: Pretrained, data: DataModule, tokenizer: PreTrainedTokenizerBase) -> nn.Module:
    """The network that the data's kind asks for. A component of a user's may take no more than what is given here.

    Args:
        tokenizer: the one that `pretrained` has made.
    """
    if isinstance(data.form, CausalLMForm):
        return pretrained.causal_lm()
    return pretrained.classifier(data.labels, data.form.settings()["kind"], padding_id(tokenizer))


def precision_of(cfg: DictConfig) -> str:
    """The precision in which a stage opens models: `trainer.precision`, `auto` being the best of this hardware."""
    return settled(str(cfg.trainer.get("precision", "auto")), cfg.trainer.get("accelerator", "auto"))[0]


def device_of(cfg: DictConfig) -> torch.device:
    """The device on which a stage opens models."""
    return pick_device(cfg.trainer.get("accelerator", "auto"))


def make_metrics(nodes: DictConfig, kind: str, num_labels: int) -> dict[str, Metric]:
    """The metrics by name."""
    return {str(name): instantiate(node, kind, num_labels) for name, node in nodes.items()}


def summary_modes(metrics: Mapping[str, Metric]) -> dict[str, str]:
    """Which way each logged number is better."""
    return {"train/loss": "min", "val/loss": "min", **{f"val/{name}": m.mode for name, m in metrics.items()}}


def make_callbacks(nodes: DictConfig | None) -> list[Callback]:
    """The callbacks of the config; one entry may make several, one that is null makes none."""
    made: list[Callback] = []
    for node in filter(None, (nodes or {}).values()):
        parts = instantiate(node)
        made += parts if isinstance(parts, list) else [parts]
    return made


def make_loggers(nodes: DictConfig | None, info: RunInfo) -> list[Logger]:
    """The loggers of the config that are not null; one marked `_partial_` is told which run it is."""
    made: list[Any] = [instantiate(node) for node in filter(None, (nodes or {}).values())]
    return [logger(info) if isinstance(logger, partial) else logger for logger in made]


def load_weights(network: nn.Module, checkpoint: str) -> int:
    """Loads a task checkpoint's network weights, running nothing that the file may hold; the step that they are of."""
    held = torch.load(checkpoint, map_location="cpu", weights_only=True)
    state = held["state_dict"]
    network.load_state_dict({k.removeprefix("network."): v for k, v in state.items() if k.startswith("network.")})
    return int(held["global_step"])
