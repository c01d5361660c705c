"""SST-2 (Socher et al. 2013) as GLUE gives it: movie review phrases with their sentiment.

Knows the official train and dev splits; the official test split has no labels and is not read.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from annotated_types import Interval

from noria.data.rows.rows import Rows, from_table
from noria.data.source import hub
from noria.data.source.files import read_table
from noria.data.text import TextData

LABELS = ("negative", "positive")
HUB = "stanfordnlp/sst2"


class Sst2(TextData):
    """Official train and dev ("val"); no test split unless `test_fraction` cuts one from train.

    Args:
        path: a folder with GLUE's train.tsv and dev.tsv; None: from the hub.
        revision: the hub's branch, tag or commit.
    """

    def __init__(
        self,
        *,
        path: str | None = None,
        revision: str | None = None,
        # train holds phrases of its sentences: a test split cut from it would be full of near duplicates
        test_fraction: Annotated[float, Interval(ge=0, lt=1)] = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(test_fraction=test_fraction, **kwargs)
        self.path = path
        self.revision = revision

    def read(self) -> dict[str, Rows]:
        if self.path is None:
            names = {"train": "train", "val": "validation"}
            rows, self.report["revision"] = hub.labelled(HUB, None, self.revision, names, ["sentence"], "label")
            return rows
        return {
            split: from_table(
                # GLUE's files hold bare quotes
                read_table(Path(self.path) / name, ["sentence", "label"], quoted=False),
                source=name,
                where=str(Path(self.path) / name),
                text=["sentence"],
                label="label",
                label_names=LABELS,
            )
            for split, name in (("train", "train.tsv"), ("val", "dev.tsv"))
        }
