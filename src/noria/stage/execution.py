"""Settles how the network of a fit is executed, and says so. Knows the parts of a run, not what it learns."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from copy import deepcopy
from itertools import islice
from typing import Any

import lightning.pytorch as pl
import torch
from omegaconf import DictConfig
from torch import Tensor, nn

from noria.common.heap import keep_freed_memory
from noria.common.paths import cache_dir
from noria.data.module import DataModule
from noria.model.execution import attention_of, choose_execution
from noria.model.pretrained import Pretrained
from noria.task.learner import Learner
from noria.trainer.compiling import compile_network, compiling_pays, remembered

log = logging.getLogger(__name__)

BATCHES = 4  # of the first epoch, to measure on


def settle_execution(
    cfg: DictConfig,
    pretrained: Pretrained,
    learner: Learner,
    trainer: pl.Trainer,
    data: DataModule,
    earlier: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Makes the learner's network run as suits its device, compiled where that was asked for and pays.

    Args:
        earlier: what was settled in the part of the run before a resume: it stays so.

    Returns:
        For the record and the checkpoint: `attn_implementation`, `compiled`, and why.
    """
    device = trainer.strategy.root_device
    if device.type == "cpu":
        keep_freed_memory()
    compiled = deepcopy(learner.network) if cfg.trainer.get("compile") else None  # of steady shapes
    # of whole rows, where the states of all tokens are read: packed, a classifier computes only the first one's
    wanted = attention_of(learner.network) if learner.kind.reads_states else pretrained.attn_implementation
    found: dict[str, Any] = {"attn_implementation": choose_execution(learner.network, device.type, wanted)}
    found["compiled"] = False
    if compiled is not None:
        compile_network(compiled)
        chosen = earlier if earlier and "why" in earlier else _measured(cfg, learner, compiled, trainer, data)
        found |= {name: value for name, value in chosen.items() if name != "attn_implementation"}
        log.info("trainer.compile: %s (%s)", "compiled" if found["compiled"] else "not compiled", found["why"])
        if found["compiled"]:
            learner.network = compiled
            found["attn_implementation"] = attention_of(compiled)
    learner.execution = found
    return found


def _measured(
    cfg: DictConfig, learner: Learner, compiled: nn.Module, trainer: pl.Trainer, data: DataModule
) -> dict[str, Any]:
    if trainer.world_size > 1:
        return {"compiled": True, "why": "as asked for; on several devices nothing is measured"}
    device, rows = trainer.strategy.root_device, data.encoded("train")
    chosen = islice(data.loader("train", shuffle=True).sampler, BATCHES)
    batches = [{name: values.to(device) for name, values in rows[batch].items()} for batch in chosen]

    def step(network: nn.Module, batch: dict[str, Tensor]) -> Tensor:
        losses, _ = learner.kind.losses(learner.kind.forward(network, batch), batch)
        return losses.sum()

    def choose() -> dict[str, Any]:
        log.info("trainer.compile: compiles, and measures %d steps with and without. This takes minutes.", len(batches))
        learner.to(device)
        compiled.to(device)
        return compiling_pays(learner.network, compiled, batches, step, trainer.precision_plugin.forward_context)

    key = {
        "torch": torch.__version__,
        "device": torch.cuda.get_device_name() if device.type == "cuda" else f"cpu, {torch.get_num_threads()} threads",
        "model": str(compiled.config),
        "batches": [list(batch["input_ids"].shape) for batch in batches],
        "precision": trainer.precision,
    }
    name = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:32]
    return remembered(cache_dir() / "compile" / f"{name}.json", choose)
