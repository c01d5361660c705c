"""Combinations that cannot work: each rule is one small function.

They know the config, never an object made from it.
"""

from noria.config.rules import (  # noqa: F401 - they register
    compression,
    data,
    files,
    hardware,
    model,
    stages,
    task,
    teacher,
    training,
    wandb,
)
from noria.config.rules.registry import RULES, broken, rule, table

__all__ = ["RULES", "broken", "rule", "table"]
