"""Which texts a model was trained on: kept beside the artifact, and looked for in what it is measured on."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from noria.data.module import DataModule
from noria.data.rows.rows import Rows
from noria.data.rows.split import KEY_BYTES, keys
from noria.tracking.record import Record, first_rank
from noria.tracking.record_file import TRAIN_KEYS

KEY = f"S{KEY_BYTES}"


def keep_train_keys(data: DataModule, record: Record) -> None:
    """Leaves the hashes of the training texts in the run folder, not in the artifact, which may be shared."""
    if first_rank():
        np.save(record.folder / TRAIN_KEYS, np.frombuffer(b"".join(keys(data.splits["train"])), dtype=KEY))


def trained_on(artifact: Path, rows: Rows) -> int | None:
    """How many of the rows the artifact was trained on; None where its run folder is not around it."""
    path = artifact.parent / TRAIN_KEYS
    if not path.is_file():
        return None
    seen = np.load(path, allow_pickle=False)
    return int(np.isin(np.frombuffer(b"".join(keys(rows)), dtype=KEY), seen).sum())
