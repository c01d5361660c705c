"""Reads back what W&B has written offline."""

from __future__ import annotations

import json
import struct
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

BLOCK = 32768  # the file is cut into blocks as LevelDB's log is; a record may go over several
FULL, LAST = 1, 4


@dataclass
class Written:
    """A W&B run as it stands in its file."""

    run: Any = None
    config: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    artifacts: list[Any] = field(default_factory=list)
    exit_code: int | None = None


@pytest.fixture
def read_wandb() -> Callable[[Path], Written]:
    """read_wandb(run folder): its only W&B run, once it is written to its end.

    W&B's service is a process of its own and closes the file after the run has been told that it is finished.
    """

    def read(folder: Path) -> Written:
        (path,) = folder.glob("wandb/offline-run-*/*.wandb")
        end = time.monotonic() + 60
        while (found := parse(path)).exit_code is None and time.monotonic() < end:
            time.sleep(0.05)
        return found

    def parse(path: Path) -> Written:
        found = Written()
        for record in records(path.read_bytes()):
            kind = record.WhichOneof("record_type")
            if kind == "run":
                found.run = record.run
                found.config |= values(record.run.config.update)
            elif kind == "config":
                found.config |= values(record.config.update)
            elif kind == "history":
                found.history.append(values(record.history.item))
            elif kind == "summary":
                found.summary |= values(record.summary.update)
            elif kind == "request" and record.request.WhichOneof("request_type") == "log_artifact":
                found.artifacts.append(record.request.log_artifact.artifact)
            elif kind == "artifact":
                found.artifacts.append(record.artifact)
            elif kind == "exit":
                found.exit_code = record.exit.exit_code
        return found

    return read


def values(items: Any) -> dict[str, Any]:
    """Keys and values; a nested key makes dicts in dicts."""
    found: dict[str, Any] = {}
    for item in items:
        *outer, name = item.nested_key or [item.key]
        place = found
        for key in outer:
            place = place.setdefault(key, {})
        place[name] = json.loads(item.value_json)
    return found


def records(content: bytes) -> Iterator[Any]:
    """The records of a `.wandb` file: 7 bytes of head, then frames of checksum, length and kind."""
    from wandb.proto.wandb_internal_pb2 import Record

    assert content[:4] == b":W&B"
    place, whole = 7, b""
    while place + 7 <= len(content):
        left = BLOCK - place % BLOCK
        if left < 7:  # too little for a frame: filled up
            place += left
            continue
        _, length, kind = struct.unpack_from("<IHB", content, place)
        whole += content[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (FULL, LAST):
            record = Record()
            record.ParseFromString(whole)
            yield record
            whole = b""
