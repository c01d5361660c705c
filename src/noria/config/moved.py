"""Where components of Noria have moved to: configs that were saved, or written by users, before that go on working."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from omegaconf import DictConfig, OmegaConf

MOVED = {
    "noria.data.feedback": "noria.data.source.feedback",
    "noria.data.hub": "noria.data.source.hub",
    "noria.data.instructions": "noria.data.source.instructions",
    "noria.data.movie_reviews": "noria.data.source.movie_reviews",
    "noria.data.plain_text": "noria.data.source.plain_text",
    "noria.data.sst2": "noria.data.source.sst2",
    "noria.data.table": "noria.data.source.table",
    "noria.inference.sampling": "noria.task.generation.sampling",
    "noria.task.causal_lm.CausalLM": "noria.task.causal_lm.kind.CausalLM",
    "noria.task.text_classification.TextClassification": "noria.task.text_classification.kind.TextClassification",
}
"""Dotted paths of modules and classes as they were, and as they are."""


def path_now(path: str) -> str:
    """A dotted path as it is now; one that has not moved stays."""
    for old, new in MOVED.items():
        if path == old or path.startswith(f"{old}."):
            return new + path.removeprefix(old)
    return path


def moved(config: Any) -> Any:
    """A copy of a plain config in which every `_target_` is where the component is now."""
    if isinstance(config, dict):
        return {key: _now(value) if key == "_target_" else moved(value) for key, value in config.items()}
    return [moved(item) for item in config] if isinstance(config, list) else config


def move_targets(cfg: DictConfig) -> None:
    """The same in a composed config, in place: what refers to other keys goes on doing so."""
    for key, value in _targets(OmegaConf.to_container(cfg, resolve=False), ""):
        if value != _now(value):
            OmegaConf.update(cfg, key, _now(value))


def _targets(value: Any, key: str) -> Iterator[tuple[str, Any]]:
    """Every `_target_` with its dotted key."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, item in items:
        within = f"{key}.{name}" if key else str(name)
        yield from [(within, item)] if name == "_target_" else _targets(item, within)


def _now(target: Any) -> Any:
    return path_now(target) if isinstance(target, str) else target
