"""Decides whether a config that came with an artifact or a checkpoint may be used: one that could run a
stranger's code may not. Reads source files and knows nothing of the objects that a config describes."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml
from omegaconf.errors import GrammarParseError
from omegaconf.grammar.gen.OmegaConfGrammarParser import OmegaConfGrammarParser
from omegaconf.grammar_parser import parse

from noria.common.errors import UserError
from noria.config import source
from noria.config.signature import HOUSE
from noria.config.source import Definition

TRUSTED = (
    "noria.callback",
    "noria.compression",
    "noria.data",
    "noria.metric",
    "noria.model",
    "noria.optimizer",
    "noria.scheduler",
    "noria.task",
    "noria.trainer",
    "noria.tracking.csv_logger",
    "noria.tracking.wandb_logger",
    "lightning.pytorch.callbacks",
    "lightning.pytorch.loggers",
    "lightning.pytorch.profilers",
    "lightning.pytorch.strategies",
    "torch.nn",
    "torch.optim",
    "torchmetrics",
    "transformers.optimization",
)
"""Packages and modules whose classes and functions a stranger's config may name."""

STAGES = "noria.stage"  # only as `stage._target_`: it says how the artifact was made, and is never called from it

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")

RESOLVERS = ("oc.select", "oc.dict.keys", "oc.dict.values")
"""They look at the config itself and nowhere else. `oc.env`, for one, would read the environment."""


def untrusted_targets(config: dict[str, Any]) -> list[tuple[str, str]]:
    """(dotted key, target) of every `_target_`, at any depth, that is no component of a trusted library."""
    found = ((key, value) for key, value in _leaves(config, "") if key.rpartition(".")[2] == "_target_")
    return [(key, str(value)) for key, value in found if not _is_trusted(key, value)]


def untrusted_interpolations(config: dict[str, Any]) -> list[tuple[str, str]]:
    """(dotted key, text) of every value that calls a resolver which is not on the list, or cannot be read."""
    texts = ((key, value) for key, value in _leaves(config, "") if isinstance(value, str) and "${" in value)
    return [(key, text) for key, text in texts if not set(_resolvers(text)) <= set(RESOLVERS)]


def own_targets(folders: Iterable[Path], words: Iterable[str]) -> frozenset[str]:
    """The components that somebody trusts by naming them: in the YAMLs of their config folders, or on the command line.

    Args:
        words: a command line; `optimizer._target_=mine.optimizer` names one.
    """
    found = {text.rpartition("_target_=")[2].strip("'\"") for text in words if "_target_=" in text}
    for file in (file for folder in folders for file in sorted(folder.rglob("*.yaml"))):
        try:
            content = yaml.safe_load(file.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError):  # composing says it better
            continue
        found |= {str(value) for key, value in _leaves(content, "") if key.rpartition(".")[2] == "_target_"}
    return frozenset(target for target in found if not target.startswith(f"{HOUSE}."))  # for these the list holds


def refuse_untrusted(config: dict[str, Any], where: str, own: frozenset[str] = frozenset()) -> None:
    """Checks a config, not yet resolved, that someone else may have written.

    Args:
        where: the file or artifact it came from.
        own: components that are trusted besides Noria's (`own_targets`).

    Raises:
        UserError: it names the key and what stands there.
    """
    named = [f"{key} = {target!r}" for key, target in untrusted_targets(config) if target not in own]
    called = [f"{key} = {text!r}" for key, text in untrusted_interpolations(config)]
    if not named and not called:
        return
    what = "could run code that is not a component of Noria or of the libraries it builds on"
    if not named:
        what = "would read what lies outside the config"
    group = [*named, *called][0].partition(" ")[0].partition(".")[0]
    raise UserError(
        f"{where} is not trusted: {'; '.join([*named, *called])} {what}. If it is your own, name "
        f"the folder of configs that you have it from (--config-dir <folder>), or type {group}=… anew. Else write a "
        "component of Noria or a plain value there."
    )


def refuse_malformed(config: Any, choices: Any, groups: Collection[str], where: str) -> None:
    """Checks that a saved config has the form of one, before anything looks into it.

    Args:
        choices: what was chosen in each group.
        groups: the keys at its top that hold mappings.

    Raises:
        UserError: it has not, or it brings a list of defaults, which would compose another config.
    """
    if not isinstance(config, dict):
        raise UserError(f"{where} holds no config.")
    if not isinstance(choices, dict):
        raise UserError(f"{where}: its choices are no mapping of groups to names.")
    if composing := [key for key in ("defaults", "hydra") if key in config]:
        raise UserError(f"{where} is not trusted: it holds '{composing[0]}', which says how a config is composed.")
    for group in groups:
        if not isinstance(config.get(group) or {}, dict):
            raise UserError(f"{where}: '{group}' is {str(config[group])[:60]!r}, and should be a mapping.")


def refuse_addresses(config: dict[str, Any], typed: Collection[str], where: str) -> None:
    """Refuses data that lies at a URL, such as a database, unless its key was typed.

    Raises:
        UserError: it names the key and the URL.
    """
    addresses = [
        (key, value)
        for key, value in _leaves(config.get("data"), "data")
        if isinstance(value, str) and _ADDRESS.match(value) and key not in typed
    ]
    if addresses:
        key, value = addresses[0]
        raise UserError(
            f"{where}: its data lies at {key}={value}. An artifact may come from somebody else, so this is opened only "
            f"if you type it: add {key}='{value}', or name other data (data=…)."
        )


def _is_trusted(key: str, target: object) -> bool:
    """Whether a target is, by its name and by where it is defined, a component of a trusted library."""
    is_stage = key == "stage._target_"
    return isinstance(target, str) and is_component(target, (STAGES,) if is_stage else TRUSTED, any_function=is_stage)


def is_component(target: str, packages: tuple[str, ...], any_function: bool = False) -> bool:
    """Whether a dotted path names a class or function that one of the packages defines, by name and by place.

    Args:
        any_function: also a function of Noria's without keys of a config, which by itself is a helper.
    """
    if any(not part or part.startswith("_") for part in target.split(".")) or not _within(target, packages):
        return False
    found = source.find(target)
    if not isinstance(found, Definition) or found.owner is not None or not _within(found.path, packages):
        return False
    if isinstance(found.node, ast.ClassDef) or any_function or not found.path.startswith(f"{HOUSE}."):
        return True
    return bool(found.node.args.kwonlyargs)


def _within(path: str, packages: tuple[str, ...]) -> bool:
    return any(path.startswith(f"{package}.") for package in packages)


def _leaves(value: object, key: str) -> Iterator[tuple[str, object]]:
    if isinstance(value, dict):
        for name, item in value.items():
            if name == "_target_" and isinstance(item, dict | list):
                yield f"{key}.{name}".lstrip("."), str(item)
            yield from _leaves(item, f"{key}.{name}".lstrip("."))
            yield from (_leaves(name, f"{key}.{name}".lstrip(".")) if isinstance(name, str) and "${" in name else ())
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _leaves(item, f"{key}[{index}]")
    else:
        yield key, value


def _resolvers(text: str) -> Iterator[str]:
    """The names of the resolvers that a text calls; a name that no list holds where it cannot be read."""
    try:
        pending: list[Any] = [parse(text)]
    except GrammarParseError:
        yield text
        return
    while pending:
        node: Any = pending.pop()
        if isinstance(node, OmegaConfGrammarParser.InterpolationResolverContext):
            yield node.resolverName().getText()
        pending.extend(getattr(node, "children", None) or [])
