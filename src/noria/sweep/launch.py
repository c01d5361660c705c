"""A sweep on this machine, from the trials' overrides to the closing table."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from noria.common.errors import RunError, Terminated
from noria.config.check import check
from noria.config.masking import masked_words
from noria.sweep.board import LiveBoard, ranked, show_end
from noria.sweep.compose import Composer
from noria.sweep.identity import code_version, trial_key
from noria.sweep.overrides import key_of
from noria.sweep.pool import Pool
from noria.sweep.process import Run, warm_up
from noria.sweep.slots import make_slots
from noria.sweep.trial import ENDED_BADLY, Trial
from noria.tracking.record_file import write_json

FORMAT = 1
SUMMARY = "sweep.json"
# What is imported late by what a trial uses (pyarrow, at its first array; W&B, at its start), where it is installed:
# each trial would spend half a second on it.
LATE = ("pandas", "pyarrow.pandas_compat", "rich.logging", "transformers.generation.utils")
LOGGERS = {"wandb": ("wandb", "wandb.sdk.launch.inputs.files", "wandb.sdk.artifacts._internal_artifact", "requests")}
Ready = Callable[[DictConfig, dict[str, Any]], dict[str, Any]]


class LocalSweep:
    """Runs trials in processes of their own and tells how they stand.

    Args:
        config: Hydra's, of the sweep.
        composer: makes each trial's config.
        ready: makes a composed config ready to be checked, and gives the choice in each group.
        run: runs one trial, in its process.
        options: of `hydra.launcher`.
    """

    def __init__(self, config: DictConfig, composer: Composer, ready: Ready, run: Run, options: dict[str, Any]) -> None:
        self.sweep_dir = Path(config.hydra.sweep.dir)
        self.metric, self.mode = str(config.monitor.metric), str(config.monitor.mode)
        self._config, self._composer, self._ready, self._run = config, composer, ready, run
        self._options = options

    def trial(self, number: int, words: Sequence[str], show: Sequence[str] | None = None) -> Trial:
        """The trial that these overrides make.

        Raises:
            UserError: the config is wrong.
        """
        cfg, made = self._composer(words)
        choices = self._ready(cfg, made)
        shown = list(show) if show is not None else self._composer.swept(words)
        config = check(cfg, choices)
        code = code_version(config)
        return Trial(number, shown, trial_key(config, map(key_of, shown)), cfg, choices, code=code)

    def run(
        self,
        trials: Iterator[Trial],
        total: int,
        finished: Callable[[Trial], None] = lambda trial: None,
        earlier: Callable[[], list[Trial]] = list,
    ) -> list[Trial]:
        """Runs all that are not finished, shows them, and writes `sweep.json`.

        Args:
            earlier: gives the trials of other commands that belong to this sweep as well.

        Raises:
            KeyboardInterrupt, Terminated: with what to type to go on.
        """
        options = dict(self._options)
        slots = make_slots(total, options.pop("n_jobs"), options.pop("gpus"))
        loggers = [module for name in (self._config.get("logger") or {}) for module in LOGGERS.get(name, ())]
        warm_up([self._run.__module__, *dict.fromkeys(_modules(self._config)), *LATE, *loggers])
        with LiveBoard(self.sweep_dir, self.metric, total) as board:
            pool = Pool(self.sweep_dir, self._run, slots, board, **options)
            try:
                pool.run(trials, finished)
            except (KeyboardInterrupt, Terminated) as stop:
                stop.args = (" The same command again runs what is missing.",)
                raise
            finally:
                every = sorted([*pool.trials, *earlier()], key=lambda trial: trial.number)
                self._write(every)
        show_end(self.sweep_dir, every, self.metric, self.mode, total)
        return every

    def _write(self, trials: list[Trial]) -> None:
        """`sweep.json`: the trials of this command, for people and for what compares them."""
        rows = []
        for trial in trials:
            row = {
                "number": trial.number,
                "overrides": masked_words(trial.overrides),
                "key": trial.key,
                "status": trial.state,
            }
            found = trial.measured(self.metric)
            rows.append(
                row
                | {"folder": None if trial.folder is None else trial.folder.name, "message": trial.message or None}
                | {"metric": found, "seconds": round(trial.seconds, 3)}
            )
        best = ranked(trials, self.metric, self.mode)
        self.sweep_dir.mkdir(parents=True, exist_ok=True)
        facts = {"format": FORMAT, "name": self.sweep_dir.name, "command": shlex.join(masked_words(sys.argv))}
        facts |= {"monitor": {"metric": self.metric, "mode": self.mode}}
        write_json(self.sweep_dir / SUMMARY, {**facts, "best": best[0].key if best else None, "trials": rows})


def _modules(node: Any) -> Iterator[str]:
    """Where the components lie that the config names: Noria's own, which touch no GPU when they are imported."""
    if isinstance(node, DictConfig):
        for name, value in node.items_ex(resolve=False):
            if name == "_target_" and str(value).startswith("noria."):
                yield str(value).rpartition(".")[0]
            else:
                yield from _modules(value)


def refuse_unfinished(trials: Sequence[Trial], total: int) -> None:
    """Says what is missing, if anything is.

    Raises:
        RunError: some trials failed or were not started.
    """
    bad = sum(trial.state in ENDED_BADLY for trial in trials)
    missing = total - sum(trial.finished for trial in trials)
    if missing:
        raise RunError(
            f"{missing} of {total} trials {'is' if missing == 1 else 'are'} not done"
            + (f" ({bad} failed)" if bad else "")
            + ". The same command again runs what is missing or failed."
        )
