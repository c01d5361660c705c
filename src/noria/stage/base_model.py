"""A pretrained model as an artifact, without any training, for work in which it means something as it comes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hydra.utils import instantiate
from omegaconf import DictConfig

from noria.artifact import bundle
from noria.common.errors import UserError
from noria.config.rules.facts import attributes
from noria.data.batch.tokens import length_limit
from noria.data.module import DataModule
from noria.model.limits import limit_length
from noria.model.pretrained import Pretrained
from noria.stage.parts import precision_of
from noria.stage.run import plain, shareable
from noria.task.kind import Kind
from noria.tracking.environment import versions

LONGEST = 512  # tokens of a text, where nothing says it


def save_base(cfg: DictConfig, choices: dict[str, Any], folder: Path, with_data: bool = True) -> None:
    """Writes the artifact of the model of a config as it is now.

    Args:
        cfg: of a task whose kind is `untrained`.
        with_data: what its training rows say of answers, such as the scale of numbers, is settled by them, and
            `data.max_length` is how long a text may be; False: as long as the model can read, up to `LONGEST` tokens.

    Raises:
        UserError: the answers of this task mean nothing without training.
    """
    if not attributes(plain(cfg.task)).get("untrained"):
        raise UserError(
            "This task needs a trained model: type artifact=<folder>, or task=embedding, which can do without."
        )
    pretrained: Pretrained = instantiate(cfg.model)
    kind: Kind = instantiate(cfg.task)
    tokenizer = pretrained.tokenizer()
    network = kind.network(pretrained, tokenizer)
    longest, prints = LONGEST, {}
    if with_data:
        data: DataModule = instantiate(cfg.data).bind(kind.form, tokenizer, cfg.seed)
        data.setup()
        longest = data.max_length
        prints = {"fingerprint": data.fingerprint, "fingerprints": data.fingerprints}
    limit_length(network, tokenizer, longest)
    facts = {
        "max_length": length_limit(tokenizer, longest) or longest,
        "precision": precision_of(cfg),
        "dtype": "float32",
        "config": shareable(cfg),
        "choices": choices,
        "data": prints,
        "model": {"name": pretrained.name, "revision": pretrained.revision},
        "versions": versions(),
    }
    bundle.save(folder, network, tokenizer, kind, facts)
