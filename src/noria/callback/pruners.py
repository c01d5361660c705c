"""Optuna's pruners by the names that a search gives them. Imports no torch, for the search's own process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from optuna import pruners

PRUNERS: dict[str, Callable[..., pruners.BasePruner]] = {
    "median": pruners.MedianPruner,
    "percentile": pruners.PercentilePruner,
    "asha": pruners.SuccessiveHalvingPruner,
    "hyperband": pruners.HyperbandPruner,
}


def make_pruner(name: str | None, options: Mapping[str, Any] | None) -> pruners.BasePruner:
    """The pruner, or one that prunes nothing; raises what Optuna raises for options that it does not have."""
    return PRUNERS[name](**(options or {})) if name else pruners.NopPruner()
