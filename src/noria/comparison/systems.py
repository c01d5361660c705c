"""Which runs are one config over several seeds, and what tells the configs apart. Looks into no predictions."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from noria.common.errors import UserError
from noria.comparison.runs import SMALLER, Run
from noria.config.hashing import flat, what_matters

NOT_COMPARED = ("seed", "stage", "metric", "monitor")  # they change no weight, or are what is averaged over
TRAIN = "training rows"


@dataclass(frozen=True)
class Group:
    """The runs of one config, one a seed, and the keys in which it differs from the others."""

    name: str
    settings: dict[str, Any]
    runs: tuple[Run, ...]


def group(runs: Sequence[Run]) -> tuple[list[Group], list[str]]:
    """The configs in the order of their first runs, and a sentence for each run that repeats another."""
    facts = [_facts(run) for run in runs]
    varying = _varying(facts, runs)
    members: dict[str, dict[int, Run]] = {}
    settings: dict[str, dict[str, Any]] = {}
    repeated = 0
    for run, fact in zip(runs, facts, strict=True):
        chosen = {key: _value(key, fact, run) for key in varying}
        key = json.dumps(chosen, default=str)
        settings.setdefault(key, chosen)
        seeds = members.setdefault(key, {})
        repeated += run.seed in seeds
        if run.seed not in seeds or run.record["started"] > seeds[run.seed].record["started"]:
            seeds[run.seed] = run
    notes = []
    if repeated:
        notes.append(f"{repeated} runs repeat the config and seed of another: of each the newest was taken.")
    named = [
        Group(_name(settings[key], runs[0]), settings[key], tuple(seeds[seed] for seed in sorted(seeds)))
        for key, seeds in members.items()
    ]
    return named, notes


def baseline(groups: Sequence[Group], word: str | None) -> Group:
    """The group that the word means: part of its name such as `optimizer.lr=3e-5`, or the folder of one of its runs.

    `optimizer.lr:3e-5` is the same: Hydra reads it without quotes.

    Raises:
        UserError: it means none of them, or several.
    """
    if word is None:
        return groups[0]
    wanted = word.replace(",", " ").split()
    found = [one for one in groups if any(word in (run.folder.name, str(run.folder)) for run in one.runs)]
    found = found or [one for one in groups if all(_says(one.settings, part) for part in wanted)]
    if len(found) == 1:
        return found[0]
    some = "; ".join(one.name for one in (found or groups)[:5])
    what = f"means {len(found)} of the configs" if found else "is none of the configs"
    raise UserError(f"stage.baseline={word} {what}: {some}{' …' if len(found or groups) > 5 else ''}.")


def _facts(run: Run) -> dict[str, Any]:
    config = {name: part for name, part in what_matters(run.config).items() if name not in NOT_COMPARED}
    facts = flat(config)
    if run.record["stage"] in SMALLER:
        facts |= _made_by(dict(run.config["stage"]))
    fingerprints = (run.record.get("data") or {}).get("fingerprints") or {}
    return facts | {TRAIN: str(fingerprints.get("train"))[:8]} | (run.record.get("measured_with") or {})


def _made_by(stage: dict[str, Any]) -> dict[str, Any]:
    """How an artifact was made of another one, in words: `prune_structured(neurons=0.25)+quantize_int8`."""
    said = []
    for step in stage.get("steps") or []:
        ((name, settings),) = step.items() if isinstance(step, dict) else [(str(step), {})]
        inner = ",".join(f"{key}={_shown(value)}" for key, value in (settings or {}).items())
        said.append(f"{name}({inner})" if inner else name)
    return {"made by": str(stage["format"]) if "format" in stage else "+".join(said) or "nothing"}


def _varying(facts: Sequence[dict[str, Any]], runs: Sequence[Run]) -> list[str]:
    """The keys in which the configs differ; the name of a choice stands for all that it decides."""
    names = sorted({name for fact in facts for name in fact})
    varying = [name for name in names if len({_text(fact.get(name)) for fact in facts}) > 1]
    groups = {name for run in runs for name, value in run.record["choices"].items() if isinstance(value, str)}
    chosen: list[str] = []
    for choice in sorted(groups - {"experiment", "stage", "logger", "hparams_search", "paths"}):
        made = [str(run.record["choices"].get(choice)) for run in runs]
        prefix = choice.replace("/", ".") + "."
        inner = [name for name in varying if name.startswith(prefix)]
        pairs = {name: {(m, _text(f.get(name))) for m, f in zip(made, facts, strict=True)} for name in inner}
        decided = [name for name in inner if len(pairs[name]) == len(set(made))]
        if len(set(made)) > 1 and decided:
            chosen.append(choice)
            varying = [name for name in varying if name not in decided]
    if any(name.startswith("data.") for name in varying):  # then it is no surprise that the rows differ
        varying = [name for name in varying if name != TRAIN]
    return [*chosen, *varying]


def _value(key: str, fact: dict[str, Any], run: Run) -> Any:
    return fact[key] if key in fact else run.record["choices"].get(key)


def _name(settings: dict[str, Any], first: Run) -> str:
    return " ".join(f"{key}={_shown(value)}" for key, value in settings.items()) or str(first.record["experiment"])


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def _says(settings: dict[str, Any], word: str) -> bool:
    """Whether `key=value` or `key:value` is a setting; numbers may be written otherwise, and the key shorter."""
    key, value = [*re.split("[=:]", word, maxsplit=1), ""][:2]
    for name, given in settings.items():
        if name == key or name.endswith(f".{key}"):
            same = _shown(given) == value or str(given) == value
            number = re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?", value, re.IGNORECASE)
            return same or (isinstance(given, int | float) and bool(number) and float(value) == given)
    return False
