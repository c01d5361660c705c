"""What a command starts from: the shipped config, or the config that an artifact or a run folder has saved.

`artifact=…` and `resume=<folder>` make the saved config the primary one; what is typed overrides it as usual.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from noria.common.errors import UserError
from noria.common.mapping_file import read_mapping
from noria.common.paths import conf_dir
from noria.config.masking import lost, without_passwords

# Not taken over: they belong to the machine and the moment, or say where a run keeps its own files.
OF_THE_MOMENT = ("stage", "paths", "resume", "artifact", "input", "sweep")
OF_A_FIT = ("logger", "callback")


@dataclass(frozen=True)
class Start:
    """Where Hydra begins.

    Args:
        config_dir, config_name: the primary config.
        argv: the command line.
        choices: the group choices that a saved config was made with.
        resumed: the saved config of the run that is to go on.
    """

    config_dir: Path
    config_name: str
    argv: list[str]
    choices: dict[str, Any] = field(default_factory=dict)
    resumed: dict[str, Any] | None = None

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
    if artifact is not None and (artifact / "champion").is_symlink():  # a registry: its champion's config
        artifact = artifact / "champion"
    if artifact is not None and (artifact / "noria.yaml").is_file():
        saved = read_mapping(artifact / "noria.yaml")
        config, choices = saved.get("config"), saved.get("choices") or {}
        where = str(artifact / "noria.yaml")
    elif resume is not None and (resume / "config.yaml").is_file():
        config, choices, where = read_mapping(resume / "config.yaml"), _choices(resume), str(resume / "config.yaml")
    else:  # the check says what is wrong with a folder that is neither
        return Start(conf_dir(), "config", argv)
    from noria.config.trust import refuse_addresses, refuse_malformed, refuse_untrusted  # slow, and needed only here

    refuse_malformed(config, choices, _groups(), where)
    config = without_passwords(config)
    dropped = (*OF_THE_MOMENT, *(OF_A_FIT if artifact is not None else ()))
    replaced = [group for group in _groups() if group in typed]
    base = {key: value for key, value in config.items() if key not in dropped and key not in replaced}
    for group in typed:  # model/peft=… replaces what stands at model.peft
        parent, _, name = group.partition("/")
        if name and isinstance(base.get(parent), dict):
            base[parent] = {key: value for key, value in base[parent].items() if key != name}
    refuse_untrusted(base, where)
    if artifact is not None and typed.get("stage", "evaluate") == "evaluate":  # the other stages read no data of it
        refuse_addresses(base, {word.lstrip("+") for word in typed}, where)
    _refuse_lost(base, typed, where)
    if (base.get("model") or {}).get("trust_remote_code") and "model.trust_remote_code" not in typed:
        raise UserError(
            f"{where}: its model brings Python of its own. If you still trust it, add model.trust_remote_code=true."
        )
    if resume is not None:
        base = _within_run(base, str((config.get("paths") or {}).get("run_dir")))
        argv = [*argv, f"paths.run_dir={_quoted(resume)}"]
    logger = "wandb" if "wandb" in (config.get("logger") or {}) else None
    folder = _write_primary(base, logger, "fit" if resume is not None else "evaluate")
    return Start(folder, "saved", argv, choices, config if resume is not None else None)


def _refuse_lost(base: dict[str, Any], typed: dict[str, str], where: str) -> None:
    """Secrets are not saved with a config: whoever uses it again types them again."""
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


def _write_primary(base: dict[str, Any], logger: str | None, stage: str) -> Path:
    """A primary config whose own values come first, so that a group that is typed goes over them."""
    shipped = read_mapping(conf_dir() / "config.yaml")
    defaults: list[Any] = ["_self_"]
    for entry in shipped["defaults"]:
        if not isinstance(entry, dict):
            continue
        group = next(iter(entry))
        parent, nested, _ = group.partition("/")
        if group.startswith(("override ", "optional ")) or group == "paths" or (nested and parent not in base):
            defaults.append(entry)
        elif group == "stage":
            defaults.append({"stage": stage})
        elif group == "logger" and "logger" not in base:
            defaults.append({"logger": logger})
        else:
            defaults.append({group: None})
    hydra = {**shipped["hydra"], "searchpath": [f"file://{conf_dir()}"]}
    own = {key: value for key, value in shipped.items() if key in OF_THE_MOMENT}
    folder = Path(tempfile.mkdtemp(prefix="noria-"))
    primary = {"defaults": defaults, **own, **base, "hydra": hydra}
    (folder / "saved.yaml").write_text(yaml.safe_dump(primary, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return folder


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "\\'") + "'"
