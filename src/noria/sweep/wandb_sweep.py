"""`sweep.yaml` for a W&B agent, from the same search that Noria would run itself."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import yaml
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from noria.common.console import get_console
from noria.common.errors import UserError
from noria.config.masking import masked_words
from noria.sweep.space import Space

FILE = "sweep.yaml"


def write_wandb_sweep(
    config: DictConfig,
    overrides: Sequence[Override],
    monitor: Mapping[str, Any],
    method: Literal["grid", "random", "bayes"],
    count: int | None,
) -> Path:
    """Writes the file into the sweep's folder and says how an agent is started.

    The agent's command is `<python> <this script> <fixed overrides> key=value …`: W&B's `${args_no_hyphens}`.

    Args:
        monitor: the metric and its mode.
        count: how many runs the agents make together; None for no limit.

    Raises:
        UserError: there is nothing to search over.
    """
    swept = [override for override in overrides if override.is_sweep_override()]
    if not swept:
        raise UserError("stage=wandb_sweep has nothing to search over: add hparams_search=… or ranges of keys.")
    fixed = [
        str(override.input_line)
        for override in overrides
        if not override.is_sweep_override() and override.key_or_group != "stage"
    ]
    space = Space(swept)
    goal = "maximize" if monitor["mode"] == "max" else "minimize"
    facts: dict[str, Any] = {
        "program": str(Path(sys.argv[0]).resolve()),
        "method": method,
        "metric": {"name": str(monitor["metric"]), "goal": goal},
        "parameters": {key: _parameter(space, key) for key in space.distributions},
        "command": ["${env}", sys.executable, "${program}", *masked_words(fixed), "${args_no_hyphens}"],
    }
    wandb = (config.get("logger") or {}).get("wandb") or {}
    facts |= {name: str(wandb[name]) for name in ("project", "entity") if wandb.get(name)}
    if count is not None and method != "grid":
        facts["run_cap"] = count
    folder = Path(config.hydra.sweep.dir)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / FILE
    path.write_text(yaml.safe_dump(facts, sort_keys=False, allow_unicode=True), encoding="utf-8")
    get_console().print(
        f"written:  {path}\nnext:     wandb sweep {shlex.quote(str(path))}, and wandb agent with the id that it prints",
        highlight=False,
        soft_wrap=True,
    )
    return path


def _parameter(space: Space, key: str) -> dict[str, Any]:
    """As W&B names it (https://docs.wandb.ai/guides/sweeps/sweep-config-keys)."""
    distribution = space.distributions[key]
    match distribution:
        case CategoricalDistribution(choices=choices):
            # An agent types a value as Python's `str` has it: what is no number goes as the text that Hydra reads.
            return {"values": [c if isinstance(c, bool | int | float) else space.text(key, c) for c in choices]}
        case IntDistribution(log=True) | FloatDistribution(log=True):
            kind = "q_log_uniform_values" if isinstance(distribution, IntDistribution) else "log_uniform_values"
            return {"distribution": kind, "min": distribution.low, "max": distribution.high}
        case IntDistribution(step=1):
            return {"distribution": "int_uniform", "min": distribution.low, "max": distribution.high}
        case IntDistribution():
            return {"values": list(range(distribution.low, distribution.high + 1, distribution.step))}
        case FloatDistribution(step=float(step)):
            count = round((distribution.high - distribution.low) / step) + 1
            return {"values": [distribution.low + step * index for index in range(count)]}
        case FloatDistribution():
            return {"distribution": "uniform", "min": distribution.low, "max": distribution.high}
    raise TypeError(f"{distribution}")
