"""Texts that should become other texts. Knows neither where the rows come from nor what makes them so."""

from __future__ import annotations

from typing import Annotated, Any

from annotated_types import Gt

from noria.data.module import DataModule
from noria.data.rows.pairs import LEAD


class PairData(DataModule):
    """Rows with a source text and one target or several.

    Args:
        max_target_length: tokens of a target at most; None: `max_length`, which is that of a source.
        baselines: columns whose texts would be trivial answers, such as the title of a paper to be summarised: they
            are measured beside the model's, and so are the source itself and its first sentence.
    """

    gives = ("text", "targets")

    def __init__(
        self,
        *,
        max_target_length: Annotated[int, Gt(1)] | None = None,
        baselines: list[str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.max_target_length = max_target_length
        self.baselines = list(baselines or ())

    @property
    def written(self) -> dict[str, Any]:
        return {"max_target_length": self.max_target_length, "trivial": [LEAD, *self.baselines]}
