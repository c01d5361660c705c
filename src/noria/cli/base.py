"""What a command starts from: the shipped config, or the config that an artifact or a run folder has saved.

`artifact=…` and `resume=<folder>` make the saved config the primary one; what is typed overrides it as usual.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig

from noria.cli.kept import Kept
from noria.common.command import own_folders, own_words
from noria.common.errors import UserError
from noria.common.mapping_file import read_mapping
from noria.common.names import ARTIFACT_FILE, CHAMPION
from noria.common.paths import conf_dir
from noria.config.masking import lost, without_passwords
from noria.config.moved import move_targets, moved

# Not taken over: they belong to the machine and the moment, or say where a run keeps its own files.
OF_THE_MOMENT = ("stage", "paths", "resume", "artifact", "input", "sweep")
OF_A_FIT = ("logger", "callback")
FIT, COMPRESS = "noria.stage.fit.fit", "noria.stage.compress.compress"  # what `resume=` goes on with
LOCAL = "optional local"
SAVED = "_saved_"  # the choice in each group that stands for what was saved of it
HOW_IT_WAS_LEARNT = ("task/wrapper",)  # of an artifact: nothing that is done with it now
OVER = "_over_"  # the config that comes after all choices


@dataclass(frozen=True)
class Start:
    """Where Hydra begins.

    Args:
        config_dir, config_name: the primary config.
        argv: the command line.
        choices: the group choices that a saved config was made with.
        resumed: the saved config of the run that is to go on.
        kept: what the artifact's model needs, whatever data is chosen.
    """

    config_dir: Path
    config_name: str
    argv: list[str]
    choices: dict[str, Any] = field(default_factory=dict)
    resumed: dict[str, Any] | None = None
    kept: Kept | None = None

    def ready(self, cfg: DictConfig, composed: Mapping[str, Any]) -> dict[str, Any]:
        """Makes a composed config ready to be checked; the choice in each group, as a saved config made it or anew.

        Raises:
            UserError: it does not fit the artifact.
        """
        move_targets(cfg)
        if self.kept is not None:
            self.kept.settle(cfg)
        chosen = {name: choice for name, choice in composed.items() if not name.startswith("hydra/")}
        return {**self.choices, **{name: choice for name, choice in chosen.items() if choice not in (None, SAVED)}}

    def clean_up(self) -> None:
        """Removes a primary config that was made for this command."""
        if self.config_dir != conf_dir():
            shutil.rmtree(self.config_dir, ignore_errors=True)


def find_start(argv: list[str]) -> Start:
    """Reads `artifact=` and `resume=` off the command line.

    Raises:
        UserError: the saved config cannot be read, or would run a stranger's code or open a stranger's database.
    """
    typed = dict(word.split("=", 1) for word in argv if "=" in word and not word.startswith("-"))
    artifact, resume = _folder(typed.get("artifact")), _folder(typed.get("resume"))
    if artifact is not None and (artifact / CHAMPION).is_symlink():  # a registry: its champion's config
        artifact = artifact / CHAMPION
    saved: dict[str, Any] = {}
    if artifact is not None and (artifact / ARTIFACT_FILE).is_file():
        saved = read_mapping(artifact / ARTIFACT_FILE)
        config, choices = saved.get("config"), saved.get("choices") or {}
        where = str(artifact / ARTIFACT_FILE)
    elif resume is not None and (resume / "config.yaml").is_file():
        config, choices, where = read_mapping(resume / "config.yaml"), _choices(resume), str(resume / "config.yaml")
    else:  # the check says what is wrong with a folder that is neither
        return Start(conf_dir(), "config", argv)
    from noria.config import trust  # slow, and needed only here

    trust.refuse_malformed(config, choices, _groups(), where)
    config = moved(without_passwords(config))
    kept = Kept.of({**saved, "config": config}, typed, artifact) if saved and artifact is not None else None
    dropped = (*OF_THE_MOMENT, *(OF_A_FIT if artifact is not None else ()))
    replaced = [group for group in _groups() if group in typed]
    base = {key: value for key, value in config.items() if key not in dropped and key not in replaced}
    if kept is not None and isinstance(base.get("data"), dict) and base["data"].get("chat_template") is not None:
        base["data"] = {**base["data"], "chat_template": None}  # its tokenizer has it; the file may be another by now
    learnt = HOW_IT_WAS_LEARNT if artifact is not None else ()
    for group in (*typed, *learnt):  # model/peft=… replaces what stands at model.peft
        parent, _, name = group.partition("/")
        if name and isinstance(base.get(parent), dict):
            base[parent] = {key: value for key, value in base[parent].items() if key != name}
    stage = config.get("stage")
    verb = stage.get("_target_") if isinstance(stage, dict) else None
    if resume is not None and "stage" not in typed and verb in (FIT, COMPRESS):
        base["stage"] = stage  # what it was to do besides training holds for the rest of it
        if verb == COMPRESS:
            base["artifact"] = config.get("artifact")
    trust.refuse_untrusted(base, where, trust.own_targets([conf_dir(), *own_folders(argv)], own_words(argv)))
    if artifact is not None and typed.get("stage", "evaluate") in (
        "compress",
        "evaluate",
        "export",
    ):  # others read no data of it
        trust.refuse_addresses(base, {word.lstrip("+") for word in typed}, where)
    _refuse_lost(base, typed, where)
    if (base.get("model") or {}).get("trust_remote_code") and "model.trust_remote_code" not in typed:
        raise UserError(
            f"{where}: its model brings Python of its own. If you still trust it, add model.trust_remote_code=true."
        )
    if resume is not None:
        base = _within_run(base, str((config.get("paths") or {}).get("run_dir")))
        argv = [*argv, f"paths.run_dir={_quoted(resume)}"]
    logger = "wandb" if "wandb" in (config.get("logger") or {}) else None
    over = kept.config() if kept is not None else {}
    folder = _write_primary(base, logger, over, resumes=resume is not None)
    choices = {group: choice for group, choice in choices.items() if group not in learnt}
    return Start(folder, "saved", argv, choices, config if resume is not None else None, kept)


def _refuse_lost(base: dict[str, Any], typed: dict[str, str], where: str) -> None:
    """Secrets are not saved with a config, so they have to be typed again."""
    again = [key for key in lost(base) if key not in {word.lstrip("+") for word in typed}]
    if again:
        named = ", ".join(f"{key}=…" for key in again)
        raise UserError(f"{where} holds no passwords and keys. Type them again: {named}")


def _within_run(value: Any, run_dir: str) -> Any:
    """Paths inside the run folder follow it: it may be seen from elsewhere, or have been moved."""
    if isinstance(value, dict):
        return {name: _within_run(item, run_dir) for name, item in value.items()}
    if isinstance(value, list):
        return [_within_run(item, run_dir) for item in value]
    if isinstance(value, str) and (value == run_dir or value.startswith(f"{run_dir}/")):
        return "${paths.run_dir}" + value.removeprefix(run_dir)
    return value


def _folder(value: str | None) -> Path | None:
    if not value:
        return None
    try:
        parsed = OverridesParser.create().parse_override(f"folder={value}")
    except HydraException:  # composing says it better
        return None
    if parsed.is_sweep_override():
        raise UserError(f"{value}: one artifact or run at a time, for each brings a config of its own.")
    path = Path(str(parsed.value())).expanduser()
    return path if path.is_dir() else None


def _choices(run: Path) -> dict[str, Any]:
    record = run / "record.json"
    return read_mapping(record).get("choices") or {} if record.is_file() else {}


def _groups() -> list[str]:
    return sorted(path.name for path in conf_dir().iterdir() if path.is_dir() and path.name not in ("hydra", "local"))


def _write_primary(base: dict[str, Any], logger: str | None, over: dict[str, Any], *, resumes: bool) -> Path:
    """A primary config in which what was saved of a group is a choice like any other.

    So what is typed, or what an experiment chooses, takes the place of the whole group, as everywhere. What belongs
    to the machine (`local`) goes over an artifact's values, and not over those of a run that goes on.

    Args:
        over: what goes over every choice.
    """
    folder = Path(tempfile.mkdtemp(prefix="noria-"))
    shipped = read_mapping(conf_dir() / "config.yaml")
    saved = _saved_groups(base, shipped["defaults"])
    for group, content in saved.items():
        _write(folder / group / f"{SAVED}.yaml", content, "# @package _global_\n")
    _write(folder / f"{OVER}.yaml", over, "# @package _global_\n")
    groups = [(next(iter(entry)) if isinstance(entry, dict) else entry, entry) for entry in shipped["defaults"]]
    first = [entry for group, entry in groups if group == "paths" or (resumes and group.startswith(LOCAL))]
    chosen: list[Any] = [*first, "_self_"]
    overrides: list[Any] = []  # Hydra wants them last
    for group, entry in groups:
        parent, nested, _ = group.partition("/")
        if group.startswith("override "):
            overrides.append(entry)
        elif group.startswith("optional ") or (nested and parent not in base):
            chosen += [entry] if entry not in first else []
        elif group == "stage" and "stage" not in base:
            chosen.append({"stage": "fit" if resumes else "evaluate"})
        elif group == "logger" and "logger" not in base:
            chosen.append({"logger": logger})
        elif group not in ("_self_", "paths"):
            chosen.append({group: SAVED if group in saved else None})
    primary = {key: value for key, value in shipped.items() if key in OF_THE_MOMENT}
    primary |= {key: value for key, value in base.items() if key not in saved}
    primary |= {"defaults": [*chosen, OVER, *overrides]}
    primary |= {"hydra": {**shipped["hydra"], "searchpath": [f"file://{conf_dir()}"]}}
    _write(folder / "saved.yaml", primary)
    return folder


def _saved_groups(base: dict[str, Any], defaults: list[Any]) -> dict[str, dict[str, Any]]:
    """By group what was saved of it, at its place in the config; a group within a group apart from the outer one."""
    groups = [next(iter(entry)) for entry in defaults if isinstance(entry, dict)]
    saved: dict[str, dict[str, Any]] = {group: {group: base[group]} for group in groups if group in base}
    for group in groups:
        parent, nested, name = group.partition("/")
        outer = base.get(parent)
        if nested and isinstance(outer, dict) and name in outer:
            saved[group] = {parent: {name: outer[name]}}
            saved[parent] = {parent: {key: value for key, value in outer.items() if key != name}}
    return saved


def _write(path: Path, content: dict[str, Any], header: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(header + yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "\\'") + "'"
