"""Makes the parts that come in lists: metrics, callbacks, loggers. Holds what the stages would write twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from hydra.utils import instantiate
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import Logger
from omegaconf import DictConfig
from torch import nn

from noria.artifact import bundle
from noria.metric.base import Metric
from noria.stage.run import shareable
from noria.task.form import Form
from noria.tracking.record import Record
from noria.tracking.run_info import RunInfo
from noria.trainer.device import pick_device
from noria.trainer.precision import settled


def own_kinds(cfg: DictConfig) -> list[str]:
    """The kind of work that the config names: it has been checked, so an artifact may be of that kind too."""
    target = (cfg.get("task") or {}).get("_target_")
    return [str(target)] if target else []


def open_form(folder: Path, cfg: DictConfig | None = None) -> Form:
    """What the model of an artifact needs of a row, without its weights."""
    return bundle.open_kind(folder, bundle.read_facts(folder), own_kinds(cfg) if cfg else ()).form


def precision_of(cfg: DictConfig) -> str:
    """The precision in which a stage opens models: `trainer.precision`, `auto` being the best of this hardware."""
    return settled(str(cfg.trainer.get("precision", "auto")), cfg.trainer.get("accelerator", "auto"))[0]


def device_of(cfg: DictConfig) -> torch.device:
    """The device on which a stage opens models."""
    return pick_device(cfg.trainer.get("accelerator", "auto"))


def make_metrics(nodes: DictConfig) -> dict[str, Metric]:
    """The metrics by name."""
    return {str(name): instantiate(node) for name, node in nodes.items()}


def summary_modes(metrics: Mapping[str, Metric]) -> dict[str, str]:
    """Which way each logged number is better."""
    return {"train/loss": "min", "val/loss": "min", **{f"val/{name}": m.mode for name, m in metrics.items()}}


def run_info(cfg: DictConfig, record: Record, job: str, modes: dict[str, str] | None = None) -> RunInfo:
    """What loggers are told of a run.

    Args:
        job: what the run does, such as fit.
        modes: which way each logged number is better.
    """
    return RunInfo(
        record.folder, record.data["experiment"], job, record.data["wandb"]["id"], shareable(cfg), modes or {}
    )


def make_callbacks(nodes: DictConfig | None) -> list[Callback]:
    """The callbacks of the config; one entry may make several, one that is null makes none."""
    made: list[Callback] = []
    for node in filter(None, (nodes or {}).values()):
        parts = instantiate(node)
        made += parts if isinstance(parts, list) else [parts]
    return made


def make_loggers(nodes: DictConfig | None, info: RunInfo) -> list[Logger]:
    """The loggers of the config that are not null. One marked `_partial_` is called with the facts of the run."""
    made: list[Any] = [instantiate(node) for node in filter(None, (nodes or {}).values())]
    return [logger(info) if isinstance(logger, partial) else logger for logger in made]


def load_weights(network: nn.Module, checkpoint: str) -> int:
    """Loads a task checkpoint's network weights, running nothing that the file may hold; the step that they are of."""
    state, step = _weights(checkpoint)
    network.load_state_dict(state)
    return step


def load_mean(network: nn.Module, checkpoints: Sequence[str]) -> int:
    """Loads the mean of the network weights of several checkpoints, one after the other; the step of the last."""
    mean, step = _weights(checkpoints[0])
    numbers = {name: weight.double() for name, weight in mean.items() if weight.is_floating_point()}
    for checkpoint in checkpoints[1:]:
        mean, step = _weights(checkpoint)
        for name, weight in numbers.items():
            weight += mean[name]
    state = {name: numbers[name].div(len(checkpoints)).to(x) if name in numbers else x for name, x in mean.items()}
    network.load_state_dict(state)
    return step


def _weights(checkpoint: str) -> tuple[dict[str, torch.Tensor], int]:
    held = torch.load(checkpoint, map_location="cpu", weights_only=True)
    state = held["state_dict"]
    named = {k.removeprefix("network."): v for k, v in state.items() if k.startswith("network.")}
    return named, int(held["global_step"])
