"""Compares a resolved config with what its targets take: unknown keys, wrong types, missing values.
Knows nothing of which values go together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, get_type_hints, is_typeddict

from noria.common.errors import UserError, did_you_mean, nearest
from noria.config.signature import Signature, read
from noria.config.top import Top
from noria.config.values import complaint, shown

MISSING = "???"
ELSEWHERE = {"optimized_metric": "monitor.metric", "ckpt_path": "resume", "task_name": "sweep"}
"""What lightning-hydra-template calls a key at the top, and its name here."""
IGNORED = {"_target_", "_partial_", "_args_", "_convert_", "_recursive_"}


def problems(config: dict[str, Any], groups: Iterable[str] = ()) -> list[str]:
    """Every problem of a plain, resolved config as a sentence; `groups` are further keys it may have."""
    found = list(_typed(config, Top, "", set(groups)))
    for key, value in _nodes(config):
        if isinstance(value, dict) and value.get("_target_", MISSING) != MISSING:
            found.extend(component(key, value))
    return found + required(config)


def required(config: object) -> list[str]:
    """A sentence for every value that is still missing (`???`)."""
    return [f"{key} is required: type {key}=…" for key, value in _nodes(config) if value == MISSING]


def _typed(value: Mapping[str, Any], kind: Any, prefix: str, also: set[str] | frozenset[str]) -> Iterator[str]:
    """What is wrong with the keys of a TypedDict."""
    keys = get_type_hints(kind, include_extras=True)
    for name, item in value.items():
        key = prefix + name
        if name not in keys:
            if name not in also:
                yield f"{key} is not a key of a config. {_meant(name, keys, prefix)}"
        elif is_typeddict(keys[name]) and isinstance(item, dict):
            yield from _typed(item, keys[name], f"{key}.", frozenset())
        elif not _is_unsettled(item):
            yield from _complaints(key, item, dict if is_typeddict(keys[name]) else keys[name])


def _nodes(value: object, key: str = "") -> Iterator[tuple[str, object]]:
    """Every value of a config with its key, at any depth."""
    if key:
        yield key, value
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _nodes(item, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _nodes(item, f"{key}[{index}]")


def component(key: str, value: dict[str, Any]) -> list[str]:
    """Every problem of one component as a sentence; those inside it are others."""
    return list(_component(key, value))


def _component(key: str, value: dict[str, Any]) -> Iterator[str]:
    target = value["_target_"]
    if not isinstance(target, str):
        yield f"{key}._target_ = {shown(target)} is no dotted path to a class or function."
        return
    try:
        signature = read(target)
    except UserError as error:
        yield f"{key}._target_ = {error}"
        return
    for name, item in value.items():
        if name in IGNORED:
            continue
        if name not in signature.keys:
            if not signature.open:
                yield _unknown(key, str(name), target, signature)
        elif not _is_unsettled(item):
            yield from _complaints(f"{key}.{name}", item, signature.keys[name].annotation)
    for name, parameter in signature.keys.items():
        if parameter.required and name not in value:
            yield f"{key}.{name} is required: type +{key}.{name}=…"


def _unknown(key: str, name: str, target: str, signature: Signature) -> str:
    short = target.rpartition(".")[2]
    if name in signature.supplied:
        return f"{key}.{name} is not for a config: the code that makes {short} supplies it. Leave it out."
    if not signature.keys:
        return f"{key}.{name} is not a key of {short}, which takes none. Leave it out."
    return f"{key}.{name} is not a key of {short} ({target}). {did_you_mean(name, signature.keys)}"


def _meant(name: str, keys: Iterable[str], prefix: str) -> str:
    if name in ELSEWHERE and not prefix:
        return f"Here it is {ELSEWHERE[name]}."
    match = nearest(name, keys)
    return f"Did you mean '{prefix}{match}'?" if match else did_you_mean(name, keys)


def _complaints(key: str, value: object, annotation: Any) -> Iterator[str]:
    if sentence := complaint(key, value, annotation):
        yield sentence


def _is_unsettled(value: object) -> bool:
    """Whether a value is, or holds, a component of its own or something still missing: checked elsewhere."""
    if isinstance(value, dict):
        return "_target_" in value or any(_is_unsettled(item) for item in value.values())
    if isinstance(value, list):
        return any(_is_unsettled(item) for item in value)
    return value == MISSING
