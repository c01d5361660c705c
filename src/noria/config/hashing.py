"""The part of a config that decides the result of a run, and a short hash of it. Knows nothing of run folders."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from noria.config.masking import masked, without_passwords
from noria.config.moved import moved

DOES_NOT_MATTER = (
    # where things go and what they are called
    "paths",
    "logger",
    "sweep",
    "tags",
    "notes",
    # what is opened or read, not how it is learnt from
    "resume",
    "artifact",
    "input",
    # what a stage shows or leaves behind; its `_target_` stays
    "stage.test",
    "stage.before",
    "stage.batch_size",
    "stage.output",
    "stage.overwrite",
    "stage.split",
    # callbacks that only watch
    "callback.progress",
    "callback.learning_rate",
    "callback.gradient_norm",
    "callback.stop_on_nan",
    "callback.throughput",
    "callback.pruning",
    # where and how often checkpoints are written; which of them becomes the artifact does matter (monitor, mode)
    "callback.checkpoint.directory",
    "callback.checkpoint.keep",
    "callback.checkpoint.every_n_steps",
    # speed and logging
    "data.num_workers",
    "trainer.log_every_n_steps",
    "trainer.profiler",
    "trainer.detect_anomaly",
)
"""Dotted keys that are left out: a run may be resumed with another value of any of them."""

ADDED: dict[str, Any] = {"callback.checkpoint.average": None, "task.prefix": ""}
"""Keys that older configs lack, with the value that does what was done before there was the key."""

OF_THE_PLACE = ("paths", "resume", "sweep")
"""Of those, what says where a run lies and nothing of how it is made."""


class _Absent:
    def __repr__(self) -> str:
        return "(not set)"


ABSENT = _Absent()
"""Stands for the value of a key that one of two configs lacks."""


def what_matters(config: dict[str, Any]) -> dict[str, Any]:
    """The resolved config without `DOES_NOT_MATTER`, passwords, paths inside the run folder and empty groups."""
    paths = config.get("paths")
    run_dir = paths.get("run_dir") if isinstance(paths, dict) else None
    return _without(without_passwords(masked(moved(config))), "", str(run_dir or ""))


def config_hash(config: dict[str, Any]) -> str:
    """16 hexadecimal digits that two configs share if and only if they compute the same."""
    text = json.dumps(what_matters(config), sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def differences(old: dict[str, Any], new: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    """(dotted key, old value, new value) of what matters and differs; `ABSENT` where a key is not set."""
    before, after = flat(what_matters(old)), flat(what_matters(new))
    keys = sorted({*before, *after})
    pairs = ((key, before.get(key, ABSENT), after.get(key, ABSENT)) for key in keys)
    return [(key, was, now) for key, was, now in pairs if not _same(was, now)]


def left_out(config: dict[str, Any], key: str) -> dict[str, Any]:
    """(dotted key, value) of what `what_matters` leaves out at or below a dotted key, without names of places.

    Args:
        key: one that the config does not hold, such as a group that writes all over the config, stands for the whole.
    """
    every, kept = flat(config), flat(what_matters(config))
    run_dir = every.get("paths.run_dir")
    found = {
        name: value
        for name, value in every.items()
        if name not in kept
        and name.partition(".")[0] not in OF_THE_PLACE
        and not _lies_inside(value, str(run_dir or ""))
    }
    within = {name for name in every if name == key or name.startswith(f"{key}.")}
    return {name: value for name, value in found.items() if name in within or not within}


def _without(value: dict[str, Any], prefix: str, run_dir: str) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for name, item in value.items():
        key = f"{prefix}{name}"
        if key in DOES_NOT_MATTER or _lies_inside(item, run_dir) or (key in ADDED and item == ADDED[key]):
            continue
        if isinstance(item, dict):
            item = _without(item, f"{key}.", run_dir)
            if not item:
                continue
        kept[str(name)] = item
    return kept


def _lies_inside(value: Any, run_dir: str) -> bool:
    """Whether a value is the run folder or a path in it; `rows.csv` does not lie in a folder called `r`."""
    return bool(run_dir) and isinstance(value, str) and f"{value}/".startswith(f"{run_dir.rstrip('/')}/")


def flat(value: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """The values of a nested config by dotted key."""
    found: dict[str, Any] = {}
    for name, item in value.items():
        if isinstance(item, dict):
            found |= flat(item, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = item
    return found


def _same(was: object, now: object) -> bool:
    """Whether two values are written alike: 1 and 1.0 are not, to Lightning they are batches and a share."""
    return was is now or json.dumps(was, default=repr) == json.dumps(now, default=repr)
