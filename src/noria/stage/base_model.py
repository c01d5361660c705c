"""A pretrained model as an artifact, without any training, for work in which it means something as it comes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hydra.utils import instantiate
from omegaconf import DictConfig

from noria.artifact import bundle
from noria.data.module import DataModule
from noria.model.limits import limit_length
from noria.model.pretrained import Pretrained
from noria.stage.parts import precision_of
from noria.stage.run import shareable
from noria.task.kind import Kind
from noria.tracking.environment import versions


def save_base(cfg: DictConfig, choices: dict[str, Any], folder: Path) -> None:
    """Writes the artifact of the model of a config as it is now.

    Args:
        cfg: of a task whose kind is `untrained`. Where it has data that the task learns from, what its training rows
            say of answers, such as the scale of numbers, is settled by them.
    """
    pretrained: Pretrained = instantiate(cfg.model)
    kind: Kind = instantiate(cfg.task)
    tokenizer = pretrained.tokenizer()
    data: DataModule = instantiate(cfg.data).bind(kind.form, tokenizer, cfg.seed)
    data.setup()
    network = kind.network(pretrained, tokenizer)
    limit_length(network, tokenizer, data.max_length)
    facts = {
        "max_length": data.max_length,
        "precision": precision_of(cfg),
        "dtype": "float32",
        "config": shareable(cfg),
        "choices": choices,
        "data": {"fingerprint": data.fingerprint, "fingerprints": data.fingerprints},
        "model": {"name": pretrained.name, "revision": pretrained.revision},
        "versions": versions(),
    }
    bundle.save(folder, network, tokenizer, kind, facts)
