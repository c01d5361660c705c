"""Texts with labels. Knows neither where the rows come from (a leaf's `read` does) nor what the labels are for."""

from __future__ import annotations

from typing import Any, ClassVar

from noria.data.module import DataModule


class TextData(DataModule):
    """Texts or pairs of texts with labels.

    Args:
        label_names: the names of the labels 0, 1, 2, ... where the data holds numbers, or of the places of zeros and
            ones.
        label_separator: what stands between the labels of one cell, for several labels a row.
        multi_hot: several labels a row are zeros and ones, one for each label; False: they are names or numbers of
            labels; None: found out, or refused where both are possible.
    """

    gives: ClassVar[tuple[str, ...]] = ("text", "label")

    def __init__(
        self,
        *,
        label_names: list[str] | None = None,
        label_separator: str = "|",
        multi_hot: bool | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.label_names = label_names
        self.label_separator = label_separator
        self.multi_hot = multi_hot
        self.label: str | list[str] = "label"

    @property
    def written(self) -> dict[str, Any]:
        names = ("label", "label_names", "label_separator", "multi_hot")
        return {name: getattr(self, name) for name in names}
