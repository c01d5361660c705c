"""What every stage shares: the run folder, its record, and an end that is written down however it comes."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from noria.common.cluster import CHILD, job, shared_launch
from noria.common.errors import Pruned, Terminated, UserError
from noria.config.hashing import config_hash
from noria.config.masking import masked, masked_text
from noria.config.masking import secrets as secrets_of
from noria.tracking.beside import take_notes
from noria.tracking.record import Record, first_rank, link_latest
from noria.tracking.record_file import DONE, FAILED, FILE, INTERRUPTED, PREDICTIONS, PRUNED, TERMINATED, read_record
from noria.tracking.run_folder import claim, refuse_folder_of_all, release
from noria.tracking.wandb_logger import finish, save_files


def plain(cfg: Any) -> dict[str, Any]:
    """The config as plain containers, everything resolved."""
    container: dict[str, Any] = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)  # type: ignore[assignment]
    return container


def shareable(cfg: Any) -> dict[str, Any]:
    """The config as it is written down, in a run's folder, an artifact or W&B: plain, without passwords and keys."""
    written: dict[str, Any] = masked(plain(cfg))
    return written


def refuse_many_processes(stage: str) -> None:
    """Refuses a stage that does more than a fit where a cluster has started it several times: each would do it all.

    Raises:
        UserError: says to start it once.
    """
    if shared_launch() is not None or not first_rank():
        raise UserError(
            f"stage={stage} is one process, which starts the others for its fits itself: run it without srun and "
            "torchrun, with trainer.devices=<how many>."
        )


@contextmanager
def known_to_other_ranks(cfg: DictConfig, choices: dict[str, Any]) -> Iterator[None]:
    """Lets the processes that Lightning starts for a fit find it: they take its saved config, and no command line."""
    config = plain(cfg)
    facts = {"run_dir": config["paths"]["run_dir"], "choices": choices, "secrets": secrets_of(config)}
    os.environ[CHILD] = json.dumps(facts)
    try:
        yield
    finally:
        del os.environ[CHILD]


def open_record(cfg: DictConfig, stage: str, choices: dict[str, Any]) -> Record:
    """Starts the record in the run folder, writes `config.yaml` beside it, and points `latest` at a fit of its own.

    A fit or a compression that resumes goes on with the record and the W&B id of the part before.

    Raises:
        UserError: the folder is another run's.
    """
    folder = Path(cfg.paths.run_dir)
    resumes = stage in ("fit", "compress") and bool(cfg.resume)
    if not first_rank():
        return _opened(cfg, stage, choices, folder, resumes)
    if not resumes:
        refuse_folder_of_all(folder, Path(cfg.paths.runs))
    claim(folder, resumes=resumes)
    try:
        record = _opened(cfg, stage, choices, folder, resumes)
        written = OmegaConf.to_yaml(OmegaConf.create(record.data["config"]))
        (folder / "config.yaml").write_text(written, encoding="utf-8")
        # What comes after opens runs/latest/artifact. A fit inside another run is that run's.
        if stage == "fit" and not (folder.parent / FILE).is_file():
            link_latest(Path(cfg.paths.runs), folder)
    except BaseException:
        release(folder)
        raise
    return record


def _opened(cfg: DictConfig, stage: str, choices: dict[str, Any], folder: Path, resumes: bool) -> Record:
    config = shareable(cfg)
    earlier = read_record(folder) if resumes else None
    facts = {
        "stage": stage,
        "experiment": choices.get("experiment") or "default",
        "choices": choices,
        "seed": cfg.seed,
        "job": job(),
        "config_hash": config_hash(config),
        "config": config,
        "paths": {"run_dir": str(folder)},
        "wandb": earlier["wandb"] if earlier else {"id": _agents_id() or secrets.token_hex(4)},
    }
    return Record(folder, facts, earlier)


@contextmanager
def recording(record: Record) -> Iterator[Record]:
    """Writes how the run ended into the record and into W&B. A run that a search gave up ends here."""
    status, error, exit_code = FAILED, None, 1
    try:
        yield record
        status, exit_code = DONE, 0
    except Pruned as reason:
        status, error, exit_code = PRUNED, str(reason), 0
    except KeyboardInterrupt:
        status, exit_code = INTERRUPTED, 130
        raise
    except Terminated as signal:
        status, exit_code = TERMINATED, signal.status
        raise
    except BaseException as problem:
        error = masked_text(f"{type(problem).__name__}: {problem}")
        raise
    finally:
        record.finish(status, error)
        save_files(record.folder, (FILE, PREDICTIONS))
        finish(exit_code)
        if missed := take_notes():
            record.update(warnings=[*record.data.get("warnings", []), *map(masked_text, missed)])
        release(record.folder)


def _agents_id() -> str | None:
    """The id that a W&B agent wants its run to have."""
    return os.environ.get("WANDB_RUN_ID") if os.environ.get("WANDB_SWEEP_ID") else None
