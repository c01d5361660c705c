"""Pairs of texts through the `datasets` library: a data set of the hub, or a local folder of files."""

from __future__ import annotations

from typing import Any

from noria.data.pairs import PairData
from noria.data.rows.mapped import CHUNK
from noria.data.rows.pairs import from_pairs, pair_of
from noria.data.rows.rows import Rows
from noria.data.source.hub import load


class HubParallelData(PairData):
    """Splits of a data set, under their names there; a split named null is cut from train.

    Args:
        path: the data set's name on the hub, or a local folder.
        name: its configuration.
        revision: a branch, tag or commit; pin a commit to get the same rows for ever.
        source: the column of what is read, or its language in a column `translation`.
        target: that of what it should become; it may hold a list of texts, all of which are references.
    """

    def __init__(
        self,
        *,
        path: str,
        name: str | None = None,
        revision: str | None = None,
        train_split: str = "train",
        val_split: str | None = "validation",
        test_split: str | None = "test",
        source: str = "source",
        target: str = "target",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.path, self.name_, self.revision = path, name, revision
        self.split_names = {"train": train_split, "val": val_split, "test": test_split}
        self.source, self.target = source, target

    def read(self) -> dict[str, Rows]:
        names = {split: name for split, name in self.split_names.items() if name is not None}
        tables, self.report["revision"] = load(self.path, self.name_, self.revision, names)
        found = {}
        for split, table in tables.items():
            where = f"{self.path}, split {names[split]}"
            rows = (row for batch in table.to_batches(max_chunksize=CHUNK) for row in batch.to_pylist())
            pairs = (
                (number, *pair_of(row, self.source, self.target, self.baselines, f"{where}, row {number}"))
                for number, row in enumerate(rows, 1)
            )
            found[split] = from_pairs(pairs, names[split], where)
        return found
