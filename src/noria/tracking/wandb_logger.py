"""The W&B run, through Lightning's logger: never a prompt, never an error that ends a run once it has started.

wandb takes most of a second to import: only a run that it logs does.
"""

from __future__ import annotations

import logging
import netrc
import os
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlparse

from lightning.pytorch.loggers import WandbLogger

from noria.common.errors import UserError
from noria.tracking.beside import beside
from noria.tracking.record import first_rank
from noria.tracking.run_info import RunInfo

if TYPE_CHECKING:
    import wandb

log = logging.getLogger(__name__)

PATIENCE = 60  # seconds to wait for W&B before a run is kept offline


class NamedLogger(WandbLogger):
    """Lightning's; where W&B's service is gone, that is said once and the training goes on without it."""

    _gone = False

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        if not self._gone:
            self._gone = True
            with beside("W&B's log"):
                super().log_metrics(metrics, step)
                self._gone = False


def wandb_logger(
    info: RunInfo,
    *,
    project: str = "noria",
    entity: str | None = None,
    group: str | None = None,
    job_type: str | None = None,
    mode: Literal["auto", "online", "offline"] = "auto",
) -> WandbLogger:
    """Starts the run and wraps it for Lightning.

    Args:
        project, entity, group, job_type: as W&B names them; group defaults to the experiment, job_type to the stage.
        mode: `auto` is online where a key is at hand (WANDB_API_KEY or ~/.netrc), else offline.
    """
    if not first_rank():
        return NamedLogger(project=project, save_dir=info.folder, id=info.wandb_id)
    if mode == "auto":
        mode = "online" if has_key() else "offline"
    options: dict[str, Any] = {
        "id": info.wandb_id,
        "name": info.folder.name,
        "project": project,
        "entity": entity,
        "group": group or info.config.get("sweep") or info.experiment,
        "job_type": job_type or info.stage,
        "tags": list(info.config.get("tags") or []),
        "notes": info.config.get("notes") or None,
        "dir": str(info.folder.resolve()),  # its service is a process with a working directory of its own
        "config": dict(info.config),
        "resume": "allow",
        "reinit": "finish_previous",  # a trial never merges into the run of the one before
    }
    if asked := os.environ.get("WANDB_MODE"):  # W&B itself reads it, and only in lower case
        os.environ["WANDB_MODE"] = mode = asked.strip().lower()  # type: ignore[assignment]
    run = _start(options, mode)
    run.define_metric("trainer/global_step")
    run.define_metric("*", step_metric="trainer/global_step", step_sync=True)
    for name, best in info.modes.items():
        run.define_metric(name, summary=best, step_metric="trainer/global_step", step_sync=True)
    return NamedLogger(project=project, save_dir=info.folder, id=info.wandb_id, experiment=run)


def _start(options: dict[str, Any], mode: str) -> wandb.Run:
    """The run, offline where W&B cannot be reached.

    Raises:
        UserError: a name, a tag, or a variable WANDB_… that W&B does not take.
    """
    import wandb

    def begin(mode: str) -> wandb.Run:
        try:
            # `silent` is this run's alone: it warns of files that it links to
            wandb.setup(wandb.Settings(show_warnings=False))
            settings = wandb.Settings(silent=True, init_timeout=PATIENCE, console="wrap" if mode == "online" else "off")
            return wandb.init(**options, mode=mode, settings=settings)  # type: ignore[arg-type]
        except ValueError as error:  # pydantic's, of W&B's settings
            raise _refused(error) from error

    try:
        return begin(mode)
    except wandb.Error as error:
        if mode != "online":
            raise _refused(error) from error
        log.warning("W&B cannot be reached (%s): this run is kept offline.", str(error).splitlines()[0])
        wandb.teardown()  # its service would hold the run's id for the attempt that failed
    try:
        return begin("offline")
    except wandb.Error as error:
        raise _refused(error) from error


def _refused(error: Exception) -> UserError:
    said = " ".join(str(error).split())[:500]
    return UserError(f"W&B does not take this run (logger.wandb, tags, WANDB_… in the environment): {said}")


def has_key() -> bool:
    """Whether W&B could log in without asking anybody."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    host = urlparse(os.environ.get("WANDB_BASE_URL") or "https://api.wandb.ai").hostname or ""
    try:
        return netrc.netrc(os.environ.get("NETRC")).authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False


def live_run() -> wandb.Run | None:
    """The W&B run of this process, if one is under way."""
    wandb = sys.modules.get("wandb")  # not imported: nothing is under way
    return None if wandb is None else wandb.run


@beside("W&B's tables")
def log_tables(tables: dict[str, tuple[Sequence[str], Sequence[Sequence[Any]]]]) -> None:
    """Logs tables, each as (columns, rows), to the live run."""
    if run := live_run():
        import wandb

        run.log(
            {name: wandb.Table(columns=list(c), data=[list(r) for r in rows]) for name, (c, rows) in tables.items()}
        )


@beside("W&B's entry of the model")
def log_artifact(
    folder: Path, metadata: Mapping[str, Any], name: str | None = None, aliases: Sequence[str] | None = None
) -> None:
    """Logs a model that the live run has made, by reference: its files stay where they are.

    Args:
        name: of what it is a version of; None: of the run itself.
    """
    if run := live_run():
        run.log_artifact(_model(name or f"model-{run.id}", folder, metadata), aliases=list(aliases or []) or None)


@beside("W&B's link to the model")
def use_artifact(name: str, folder: Path) -> None:
    """Links a model that the live run began from. W&B knows it again by its reference; offline it keeps no links."""
    if (run := live_run()) and not run.settings._offline:
        run.use_artifact(_model(name, folder, {}))


def _model(name: str, folder: Path, metadata: Mapping[str, Any]) -> wandb.Artifact:
    import wandb

    artifact = wandb.Artifact(re.sub(r"[^\w.-]", "-", name), type="model", metadata=dict(metadata))
    artifact.add_reference(folder.resolve().as_uri(), checksum=False)
    return artifact


@beside("The copy of the record in W&B")
def save_files(folder: Path, names: Sequence[str]) -> None:
    """Gives files of the run folder to the live run: what a comparison elsewhere reads."""
    if run := live_run():
        for name in names:
            if (folder / name).is_file():
                run.save(str(folder.resolve() / name), base_path=str(folder.resolve()), policy="end")


@beside("W&B's pictures")
def log_images(pictures: Mapping[str, Path]) -> None:
    """Logs pictures by name to the live run."""
    if pictures and (run := live_run()):
        import wandb

        run.log({name: wandb.Image(str(path)) for name, path in pictures.items()})


@beside("W&B's summary")
def log_summary(values: dict[str, float]) -> None:
    """Sets final numbers in the run's summary."""
    if run := live_run():
        run.summary.update(values)


@beside("The end of the W&B run")
def finish(exit_code: int) -> None:
    """Ends the live run, if there is one, with the status that the command will end with."""
    if run := live_run():
        run.finish(exit_code=exit_code)


def how_to_sync() -> str | None:
    """What to type to upload an offline run; None when there is nothing to upload."""
    run = live_run()
    if run is None or not run.settings._offline:
        return None
    return f"wandb sync {shlex.quote(os.path.relpath(Path(run.settings.sync_dir)))}"
