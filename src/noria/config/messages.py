"""Turns what Hydra and OmegaConf say of a config that cannot be composed into one sentence with the way out.
Knows their exceptions, never a component."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import yaml
from hydra.errors import MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import (
    GrammarParseError,
    InterpolationKeyError,
    InterpolationToMissingValueError,
    OmegaConfBaseException,
    UnsupportedInterpolationType,
)

from noria.common.errors import UserError, did_you_mean, nearest
from noria.config.signature import read
from noria.config.top import Top


def explain(error: BaseException, conf_dir: Path) -> str:
    """What was wrong with a command line or a YAML file, where, and what would be right.

    Args:
        error: what Hydra's composition raised.
        conf_dir: the folder of the configs: its groups are what a misspelt name may mean.
    """
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, OverrideParseException):
        return _unreadable_override(error.override, str(error))
    if isinstance(error, MissingConfigException):
        return _missing_config(error, conf_dir)
    if isinstance(error, yaml.YAMLError):
        return _bad_yaml(error, conf_dir)
    cause = error.__cause__
    if isinstance(cause, GrammarParseError):
        return broken_interpolation(cause)
    text = str(error)
    for pattern, say in SAYINGS:
        if match := re.search(pattern, text, re.DOTALL):
            return say(match, cause, conf_dir)
    if isinstance(error, OmegaConfBaseException):
        return broken_interpolation(error)
    more = f" ({_first_line(cause)})" if cause else ""
    return f"The config cannot be composed: {_first_line(error)}{more}."


def broken_interpolation(error: OmegaConfBaseException) -> str:
    """What is wrong with a `${…}` that could not be resolved."""
    key, said = error.full_key or "A value of the config", _first_line(error)
    cause: BaseException | None = error
    while cause := cause.__context__ if cause else None:
        if isinstance(cause, UserError):  # a resolver of ours says it better
            return str(cause)
    if isinstance(error, InterpolationKeyError):
        wanted = _quoted(said)
        root = error.parent_node._get_root() if error.parent_node is not None else None
        meant = _meant(wanted, _dotted_keys(root))
        return f"{key} refers to ${{{wanted}}}, which is not in the config. {meant}".rstrip()
    if isinstance(error, InterpolationToMissingValueError):
        wanted = said.rpartition(": ")[2]
        return f"{key} refers to ${{{wanted}}}, which is required: type {wanted}=…"
    if isinstance(error, UnsupportedInterpolationType):
        name = said.rpartition(" ")[2]
        return f"{key} uses ${{{name}:…}}, and there is no such resolver. For a key, write ${{dotted.key}}."
    if isinstance(error, GrammarParseError):
        return f"{key} = {error.value!r} cannot be read: a reference is ${{dotted.key}}, a plain ${{ is \\${{."
    if "Recursive interpolation" in said:
        return f"{key} refers to itself, perhaps through other keys: give one of them a value instead of ${{…}}."
    return f"{key}: {said}."


def _unreadable_override(override: str, said: str) -> str:
    key, is_pair, value = override.partition("=")
    if not is_pair:
        return f"'{override}' is not key=value. Type a key of the config (seed=1) or a choice (model=minilm)."
    if not re.search(r"[,=()\[\]{}'\"]", value):
        return f"'{override}' cannot be read. Type key=value, such as optimizer.lr=1e-4 or model=minilm."
    if "${" in value:
        return f"'{override}' cannot be read: a reference is written ${{dotted.key}}."
    quote = "'" if '"' in value else '"'
    outer = '"' if quote == "'" else "'"
    return (
        f"'{override}' cannot be read. A value with a comma, =, quotes or brackets needs quotes of its own: "
        f"{outer}{key}={quote}{value.strip(chr(34) + chr(39))}{quote}{outer}"
    )


def _missing_config(error: MissingConfigException, conf_dir: Path) -> str:
    group, _, choice = (error.missing_cfg_file or "").rpartition("/")
    # Hydra names no options for a choice in a list
    options = sorted(error.options or [file.stem for file in (conf_dir / group).glob("*.yaml")])
    if options and group:
        match = nearest(choice, options)
        meant = f"Did you mean '{match}'? " if match else ""
        return f"{group}={choice}: there is no such {group}. {meant}There are: {', '.join(options)}."
    place = re.match(r"In '([^']+)'", str(error))
    named_in = f" (named in {place[1]}.yaml)" if place else ""
    if not group:
        return f"There is no config '{choice}' in {conf_dir}{named_in}."
    wanted = group.rpartition("/")[2]
    said = f"There is no '{group}/{choice}' in {conf_dir}{named_in}"
    if wanted in _groups(conf_dir):
        return f"{said}: a group at the top is written /{wanted}."
    return f"{said}. {_meant(wanted, _groups(conf_dir))}".rstrip()


def _bad_yaml(error: yaml.YAMLError, conf_dir: Path) -> str:
    mark, start = getattr(error, "problem_mark", None), getattr(error, "context_mark", None)
    said = getattr(error, "problem", None) or _first_line(error)
    if mark is None:
        return f"A config file is not YAML: {said}."
    file = Path(mark.name)
    shown = file.relative_to(conf_dir.parent) if file.is_relative_to(conf_dir.parent) else file
    begun = f" ({error.context}, begun in line {start.line + 1})" if start else ""  # type: ignore[attr-defined]
    return f"{shown}, line {mark.line + 1}, cannot be read: {said}{begun}."


def _unknown_key(match: re.Match[str], cause: BaseException | None, conf_dir: Path) -> str:
    """`key=value` where the config has no such key."""
    full = match[1]
    bad = str(getattr(cause, "full_key", None) or full)
    parent = getattr(cause, "parent_node", None)
    above, _, name = bad.rpartition(".")
    siblings = {str(key) for key in _plain(parent)}
    if not above:
        return _unknown_at_top(full, name, parent, siblings, conf_dir)
    if not siblings:
        return f"{full}: {above} is no group of keys, so it has none called '{name}'."
    takes = _keys_of_target(parent)
    if name in takes:
        typed = re.search(r"use (\+\S.*)$", match.string)
        return f"{bad} is not in the YAML, but {above} takes it: type {typed[1] if typed else f'+{full}=…'}"
    rest = full.removeprefix(bad)
    known = {key for key in siblings | takes if not key.startswith("_")}
    close = nearest(name, known)
    plus = "" if close in siblings else "+"
    meant = f"Did you mean '{plus}{above}.{close}{rest}'?" if close else did_you_mean(name, known)
    return f"{full} is not a key of the config. {meant}".rstrip()


def _unknown_at_top(full: str, name: str, root: Any, keys: set[str], conf_dir: Path) -> str:
    groups = set(_groups(conf_dir))
    if name in groups:
        return f"'{full}': {name} is a choice and holds no keys of its own. Type {name}=…"
    deeper = [key for key in _dotted_keys(root) if key.endswith(f".{full}") and key.split(".")[0] != "hydra"]
    if deeper:
        return f"'{full}' is not at the top of the config. Did you mean '{min(deeper, key=len)}'?"
    known = (keys | groups) - {"hydra"}
    close, rest = nearest(name, known), full.removeprefix(name)
    meant = f"Did you mean '{close}{rest}'?" if close else f"There are: {', '.join(sorted(known))}."
    return f"'{name}' is neither a key nor a group of the config. {meant}"


def _unknown_group(match: re.Match[str], cause: BaseException | None, conf_dir: Path) -> str:
    """`override /group: choice` in a file, or `group=choice`, where the config does not choose the group."""
    place, group = match[1], match[2]
    where = f"{place}.yaml overrides '{group}'" if place else f"'{group}' cannot be overridden"
    if group in _groups(conf_dir):
        return f"{where}, for which the config makes no choice. Add one: +{group}=…"
    return f"{where}, and there is no such group. {_meant(group, _groups(conf_dir))}".rstrip()


def _ambiguous(match: re.Match[str], cause: BaseException | None, conf_dir: Path) -> str:
    key, _, value = match[1].partition("=")
    return (
        f"'{key}={value}' gives several values. For a sweep over them add -m; for a list type "
        f"'{key}=[{value}]'; for one text with a comma type '{key}=\"{value}\"'."
    )


def _nothing_to_delete(match: re.Match[str], cause: BaseException | None, conf_dir: Path) -> str:
    name = match[1]
    meant = _meant(name, {*Top.__annotations__, *_groups(conf_dir)}) if "." not in name else ""
    return f"~{name}: the config holds no '{name}'. {meant}".rstrip()


Saying = Callable[[re.Match[str], BaseException | None, Path], str]

SAYINGS: tuple[tuple[str, Saying], ...] = (
    (r"^(?:In '([^']+)': )?Could not override '([^']+)'\. No match in the defaults list", _unknown_group),
    (
        r"^Could not override '([^']+)'\.\s+Did you mean to override (\S+?)\?",
        lambda m, _, __: f"'{m[1]}' is not chosen anywhere. Did you mean '{m[2]}'?",
    ),
    (r"^Could not override '([^']+)'", _unknown_key),
    (r"^Ambiguous value for argument '(.+?)'\n", _ambiguous),
    (r"^Sweep parameters '(.+?)' requires", _ambiguous),
    (
        r"^Could not append to config\. An item is already at '([^']+)'\.\s+Either remove .*?: '(.+?)'\n",
        lambda m, _, __: f"{m[1]} is in the config already: type {m[2]} without the +.",
    ),
    (
        r"^Could not delete '([^']+)'\. No match in the defaults list",
        lambda m, _, __: f"~{m[1]}: the choices of {m[1]} are left out all at once: type {m[1]}=[].",
    ),
    (
        r"^Additional config directory '([^']+)' not found",
        lambda m, _, __: f"--config-dir {m[1]}: there is no such folder.",
    ),
    (r"^Could not delete from config\. '([^']+)' does not exist", _nothing_to_delete),
    (r"^Could not delete\. No match for '([^']+)' in the defaults list", _nothing_to_delete),
    (
        r"Multiple values for (\S+)\. To override",
        lambda m, _, __: f"{m[1]} is chosen already: type {m[1]}=… without the +; in a file, 'override /{m[1]}: …'.",
    ),
    (
        r"(\S+) appears more than once in the final defaults list",
        lambda m, _, __: f"{m[1]} is chosen twice. In an experiment or another overlay, write 'override /{m[1]}: …'.",
    ),
    (
        r"You must specify '([^']+)'.*?Available options:\n(.*)",
        lambda m, _, __: f"{m[1]} must be chosen: type {m[1]}=… There are: {', '.join(m[2].split())}.",
    ),
    (
        r"Config group override must be a string or a list",
        lambda _, __, ___: (
            "A group takes the name of a choice (model=minilm), not a number or null. "
            "To leave a group out, type ~group."
        ),
    ),
    (
        r"^Error in call to target '(hydra_plugins\.[\w.]+)':.*unexpected keyword argument '(\w+)'.*full_key: (\S+)",
        lambda m, _, __: (
            f"{m[3]}.{m[2]} is not a key of {m[1].rpartition('.')[2]}. {did_you_mean(m[2], read(m[1]).keys)}"
        ),
    ),
    (
        r"^invalid literal for int\(\) with base 10: '(.*)'$",
        lambda m, _, __: f"'{m[1]}' stands where a list is: an item of a list is named by its number, from 0.",
    ),
    (
        r"^Error merging override (.+)$",
        lambda m, cause, _: f"{m[1]}: {_first_line(cause) if cause else 'this value does not fit'}.",
    ),
)
"""What Hydra says, as a pattern, and how we say it."""


def _groups(conf_dir: Path) -> list[str]:
    """The groups of a config folder: its folders with a YAML file inside."""
    return sorted(folder.name for folder in conf_dir.glob("*/") if any(folder.glob("*.yaml")))


def _keys_of_target(node: Any) -> set[str]:
    target = _plain(node).get("_target_")
    try:
        return set(read(target).keys) if isinstance(target, str) else set()
    except UserError:
        return set()


def _plain(node: Any) -> dict[Any, Any]:
    """The content of a node, its references unresolved; nothing for a node that is no mapping."""
    content = OmegaConf.to_container(node, resolve=False) if isinstance(node, DictConfig) else None
    return content if isinstance(content, dict) else {}


def _dotted_keys(node: Any) -> set[str]:
    """Every dotted key of a config."""
    keys: set[str] = set()

    def collect(content: object, prefix: str) -> None:
        for name, item in content.items() if isinstance(content, dict) else ():
            keys.add(f"{prefix}{name}")
            collect(item, f"{prefix}{name}.")

    collect(_plain(node), "")
    return keys


def _meant(name: str, options: Iterable[str]) -> str:
    match = nearest(name, options)
    return f"Did you mean '{match}'?" if match else ""


def _quoted(text: str) -> str:
    found = re.search(r"'([^']*)'", text)
    return found[1] if found else text


def _first_line(error: BaseException | None) -> str:
    text = str(error).strip()
    return text.splitlines()[0].rstrip(".") if text else type(error).__name__
