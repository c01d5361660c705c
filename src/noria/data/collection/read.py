"""Collections out of folders, whatever their format."""

from __future__ import annotations

from pathlib import Path

from noria.common.errors import UserError
from noria.data.collection.beir import CORPUS, is_beir, read_beir
from noria.data.collection.collection import Collection
from noria.data.collection.smart import is_smart, read_smart


def read_collection(folder: str | Path, split: str = "test") -> Collection:
    """The collection of a folder: in BEIR's format, of which a split is taken, or in SMART's.

    Raises:
        UserError: there is no such folder, it is in neither format, or breaks it.
    """
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        raise UserError(f"There is no folder '{folder}'.")
    if is_beir(folder):
        return read_beir(folder, split)
    if is_smart(folder):
        return read_smart(folder)
    raise UserError(
        f"'{folder}' holds no collection: neither {CORPUS}, queries.jsonl and qrels/ (BEIR), nor files *.all*, *.qry "
        "and *qrel* (SMART)."
    )
