"""`record.json` as a file: its statuses, reading and writing it. Imports no torch, for those who only look on."""

from __future__ import annotations

import json
import math
import os
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from noria.common.errors import UserError

FILE = "record.json"
PREDICTIONS = "predictions.parquet"  # beside it, of the stages that measure
TRAIN_KEYS = "train_keys.npy"  # and, of a fit, the hashes of its training texts
RUNNING, DONE, FAILED, INTERRUPTED, TERMINATED = "running", "done", "failed", "interrupted", "terminated"
PRUNED = "pruned"  # a search gave the run up, because others were better at that point
KILLED, TIMED_OUT = "killed", "timed out"  # of a trial of a sweep, written by who saw it


def write_json(path: Path, data: Any) -> None:
    """Writes a JSON file in one move."""
    new = path.with_suffix(f".{os.getpid()}.tmp")
    new.write_text(json.dumps(data, indent=2, ensure_ascii=False, default=str) + "\n", encoding="utf-8")
    os.replace(new, path)


def jsonable(value: Any) -> Any:
    """Dataclasses as dicts, tuples as lists; NaN and infinity as None, because JSON cannot write them."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: jsonable(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, dict):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [jsonable(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def read_record(folder: Path) -> dict[str, Any]:
    """The record of a run folder.

    Raises:
        UserError: there is none, or it is not JSON.
    """
    path = folder / FILE
    try:
        record: Any = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{folder} is not a run folder: it holds no {FILE}.") from None
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path} cannot be read: {error}") from error
    if not isinstance(record, dict):
        raise UserError(f"{path} is not a record: it holds no mapping.")
    return record
