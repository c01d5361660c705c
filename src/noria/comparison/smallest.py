"""The smallest of the systems that are no worse than the baseline. Measures nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from noria.common.errors import UserError
from noria.comparison.result import BETTER, NO_WORSE, Comparison, System


def smallest(comparison: Comparison, sizes: Mapping[str, Sequence[float]]) -> System:
    """Of the baseline and of what is shown to be no worse than it within `comparison.margin`, the one with the fewest
    bytes; of two with as many the better one.

    Args:
        sizes: bytes on disk of each run, by system.

    Raises:
        UserError: of some system nobody knows how large it is.
    """
    if unknown := [system.name for system in comparison.systems if not sizes.get(system.name)]:
        raise UserError(
            f"stage.within: how large {unknown[0]} is was not measured. It is by stage=compress and stage=export: "
            "compare their runs."
        )
    fit = [one for one in comparison.systems if one.difference is None or one.difference.verdict in (BETTER, NO_WORSE)]
    return min(fit, key=lambda one: (sum(sizes[one.name]) / len(sizes[one.name]), one.rank))
