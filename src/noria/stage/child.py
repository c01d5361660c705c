"""A run inside another stage's run, such as the fit of a turn of the cycle: a folder and a config of its own.

It runs in this process. The other ranks of a fit on several devices find the child's config in its folder, so they
run the child, and know nothing of the stage around it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from noria.artifact import bundle
from noria.config import signature
from noria.config.check import check
from noria.stage.fit import fit
from noria.stage.run import plain

PRETRAINED = "noria.model.pretrained.Pretrained"
FIT = {"_target_": "noria.stage.fit.fit", "test": False, "before": False}
"""It leaves the test set alone, also where it is resumed."""


def inside(cfg: DictConfig, folder: Path) -> DictConfig:
    """The config of a run in a folder inside this run's: all that it writes goes there, checkpoints and logs too."""
    before = str(cfg.paths.run_dir)

    def moved(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: moved(item) for name, item in value.items()}
        if isinstance(value, list):
            return [moved(item) for item in value]
        if isinstance(value, str) and (value == before or value.startswith(f"{before}/")):
            return f"{folder}{value.removeprefix(before)}"
        return value

    return OmegaConf.create(moved(plain(cfg)))


def trained_on(folder: Path, model: dict[str, Any]) -> dict[str, Any]:
    """The config of a model that is trained on from an artifact: a folder of transformers, whatever it was made from.

    Args:
        model: the config with which the artifact was trained.
    """
    kept = {name: value for name, value in model.items() if name not in ("revision", "new_head")}
    if str(model["_target_"]).startswith("noria."):
        known = signature.read(PRETRAINED).keys
        kept = {"_target_": PRETRAINED, **{name: value for name, value in kept.items() if name in known}}
    return {**kept, "name": str(bundle.trainable(folder))}


def child_fit(cfg: DictConfig, choices: dict[str, Any], folder: Path, **parts: Any) -> Path:
    """Fits in a folder inside this run's, and gives the artifact.

    Args:
        cfg, choices: those of the stage around it.
        parts: groups of the config, such as `data`, that the child has instead.

    Raises:
        UserError: the config is none for a fit.
    """
    made = inside(cfg, folder)
    for name, part in {"stage": FIT, "artifact": None, "input": None, **parts}.items():
        made[name] = part
    fit(OmegaConf.create(check(made, choices)), choices, True, test=False)
    return folder / "artifact"
