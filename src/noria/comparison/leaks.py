"""Whether a run was trained on rows that it, or another, is measured on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from noria.common.errors import UserError
from noria.comparison.common_rows import CommonRows
from noria.comparison.runs import Run
from noria.tracking.record_file import TRAIN_KEYS

MOST = 0.01  # the share of rows that may stand among somebody's training rows: public data sets have some doublets


def refuse_leaks(runs: Sequence[Run], rows: CommonRows) -> list[str]:
    """A sentence for what is known of the rows that stand in training sets, where there are any.

    Raises:
        UserError: more than `MOST` of the rows are among what a run was trained on.
    """
    unknown, most, checked = 0, 0, {}
    for run in runs:
        told = ((run.record.get("data") or {}).get("fingerprints") or {}).get("train")
        path = run.training / TRAIN_KEYS
        if rows.keys is None or not path.is_file():
            unknown += 1
            continue
        where = str(told) if run.record["stage"] == "fit" and told else str(path)
        if where not in checked:
            checked[where] = int(np.isin(rows.keys, _load(path)).sum())
        seen = checked[where]
        if seen > MOST * len(rows):
            raise UserError(
                f"{run.folder} was trained on {seen:,} of the {len(rows):,} rows of {rows.split} that "
                f"{rows.first.folder} was measured on: what it says of them is memory. Compare on rows that none of "
                "the runs has seen."
            )
        most = max(most, seen)
    notes = []
    if most:
        notes.append(f"{most:,} of the {len(rows):,} rows stand among training rows as well.")
    if unknown:
        notes.append(f"Of {unknown:,} runs it cannot be told whether they were trained on these rows.")
    return notes


def _load(path: Path) -> np.ndarray:
    try:
        return np.asarray(np.load(path, allow_pickle=False))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read: {error}") from error
