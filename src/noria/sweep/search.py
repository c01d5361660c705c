"""A search with Optuna: a stored study that is asked for trials and told what came of them."""

from __future__ import annotations

import fcntl
import logging
import os
import platform
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import optuna
from omegaconf import OmegaConf
from optuna.exceptions import UpdateFinishedTrialError
from optuna.samplers import BaseSampler, CmaEsSampler, GridSampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState

from noria.callback.pruners import PRUNERS, make_pruner
from noria.common.errors import UserError, did_you_mean
from noria.config.masking import masked_text
from noria.sweep.claim import LOCKS, hold, is_taken
from noria.sweep.space import Space
from noria.sweep.trial import STOPPED, Trial
from noria.tracking.beside import beside
from noria.tracking.record_file import DONE, PRUNED

log = logging.getLogger(__name__)

Sampler = Literal["tpe", "cmaes", "random", "grid", "nsga2"]
Pruner = Literal["median", "percentile", "asha", "hyperband"]
SAMPLERS: dict[str, Callable[..., BaseSampler]] = {
    "tpe": TPESampler,
    "cmaes": CmaEsSampler,
    "random": RandomSampler,
    "nsga2": NSGAIISampler,
}
KEY, FOLDER, HOST, OWNER, OVERRIDES = "noria_key", "noria_folder", "noria_host", "noria_owner", "overrides"
OBJECTIVES = "noria_objectives"  # of a study: the names of the numbers that it looks at
BEGINNING = 60.0  # seconds that a command may take from asking for a trial to writing its name on it
COUNTED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING)


class _Grid(GridSampler):
    """Optuna's own calls `study.stop` after the last point, which ask and tell do not have; `n_trials` ends it here."""

    def after_trial(self, *_: Any) -> None:
        return


class Search:
    """A study of one sweep.

    Args:
        sweep_dir: where the trials' folders lie, and `study.db` where no storage is given.
        objectives: direction (max, min) of each metric; several make it multi-objective.
        storage: any storage of Optuna's by its URL; machines that share it share the study.
        n_trials: of the whole study, however often the command is started; None for a grid's own number.

    Raises:
        UserError: a storage or options that Optuna refuses, or a study that has searched for something else.
    """

    def __init__(
        self,
        sweep_dir: Path,
        space: Space,
        objectives: Mapping[str, str],
        *,
        sampler: Sampler | BaseSampler = "tpe",
        sampler_options: Mapping[str, Any] | None = None,
        pruner: Pruner | None = None,
        pruner_options: Mapping[str, Any] | None = None,
        storage: str | None = None,
        study_name: str | None = None,
        n_trials: int = 20,
        seed: int = 0,
    ) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        if not isinstance(sampler, BaseSampler):
            _one_of("sampler", sampler, (*SAMPLERS, "grid"))
        _one_of("pruner", pruner, (*PRUNERS, None))
        self.sweep_dir, self.space, self.objectives = sweep_dir, space, dict(objectives)
        self.storage = storage or f"sqlite:///{(sweep_dir / 'study.db').resolve()}"
        self.study_name = study_name or sweep_dir.name
        self.n_trials = n_trials if sampler != "grid" or space.size is None else min(n_trials, space.size)
        self.pruner, self.pruner_options = pruner, dict(pruner_options or {})
        if pruner is not None and len(self.objectives) > 1:
            raise UserError("hydra.sweeper.pruner: Optuna prunes with one objective only. Leave it out.")
        self._failed: set[int] = set()  # in this command
        self._asked: dict[int, optuna.Trial] = {}
        self._owner = f"search-{secrets.token_hex(8)}"
        self._held = hold(sweep_dir, self._owner)  # tells the others that this command is still there
        try:
            with self._alone():  # or two commands that begin together both make the tables
                self.study = optuna.create_study(
                    storage=self.storage,
                    study_name=self.study_name,
                    directions=["maximize" if mode == "max" else "minimize" for mode in self.objectives.values()],
                    pruner=make_pruner(pruner, pruner_options),
                    load_if_exists=True,
                )
                self._refuse_other_objectives()
            self._sampler, self._sampler_options = sampler, {"seed": seed, **(sampler_options or {})}
            self._seen = len(self.study.get_trials(deepcopy=False))
            self._draw_from(self._seen)
        except UserError:
            self.close()
            raise
        except (ValueError, TypeError, ImportError) as error:
            raise UserError(f"hydra.sweeper: Optuna refuses this: {error}") from error
        except Exception as error:  # of SQLAlchemy or a driver, whichever the storage is made of
            raise UserError(masked_text(f"hydra.sweeper.storage={self.storage} cannot be opened: {error}")) from error

    def _refuse_other_objectives(self) -> None:
        """Refuses a study of other numbers: Optuna opens it in silence, keeps its directions, and ranks both as one."""
        directions = [direction.name.lower().removesuffix("imize") for direction in self.study.directions]
        names = self.study.user_attrs.get(OBJECTIVES)  # a study of an older Noria says its directions only
        if directions == list(self.objectives.values()) and names in (None, list(self.objectives)):
            self.study.set_user_attr(OBJECTIVES, list(self.objectives))
            return
        before = ", ".join(f"{name}: {mode}" for name, mode in zip(names or ["?"] * 9, directions, strict=False))
        now = ", ".join(f"{name}: {mode}" for name, mode in self.objectives.items())
        raise UserError(
            f"The study {self.study_name} in {masked_text(self.storage)} searches for {before}, and this command for "
            f"{now}. Type sweep=<another name> (with a storage of your own, hydra.sweeper.study_name=…) for a new one."
        )

    def ask(self, make: Callable[[int, list[str]], Trial]) -> Iterator[Trial]:
        """Trials, one each time it is asked, until the study has its number.

        Args:
            make: makes the trial of a number with these overrides.
        """
        with self._alone(), self._apart():
            self._give_up_what_is_left()
            self._ask_again(self.study.get_trials(deepcopy=False, states=(TrialState.FAIL,)))
        while True:
            with self._alone(), self._apart():
                self._ask_again(self._give_up_what_is_left())  # of another command that was killed since
                if self._counted() >= self.n_trials:
                    return
                asked = self.study.ask(self.space.distributions)
                asked.set_user_attr(HOST, platform.node())
                asked.set_user_attr(OWNER, self._owner)
                words = self.space.words(asked)
                trial = make(asked.number, words)
                asked.set_user_attr(KEY, trial.key)
                asked.set_user_attr(OVERRIDES, words)
            self._asked[trial.number] = asked
            yield trial

    def tell(self, trial: Trial) -> None:
        """Tells the study what came of a trial. One that was stopped stays open: the next command goes on with it."""
        asked = self._asked.get(trial.number)
        if asked is not None and trial.state != STOPPED:
            with suppress(UpdateFinishedTrialError):  # another machine took this command for gone
                self._tell(asked, trial)

    def _tell(self, asked: optuna.Trial, trial: Trial) -> None:
        if trial.folder is not None:
            asked.set_user_attr(FOLDER, str(trial.folder.resolve()))
        values = [measured(trial.record, name) for name in self.objectives]
        if trial.state == PRUNED:
            self.study.tell(asked, state=TrialState.PRUNED)
        elif trial.state == DONE and None not in values:
            for name in self.objectives:
                if (found := trial.measured(name)) is not None:
                    asked.set_user_attr(f"{name} interval", [found.get("low"), found.get("high")])
            self.study.tell(asked, [value for value in values if value is not None])
        else:
            if trial.state == DONE:
                trial.message = f"it has not measured {' and '.join(self.objectives)}"
            self._failed.add(trial.number)
            self.study.tell(asked, state=TrialState.FAIL)

    def close(self) -> None:
        """Lets other commands go on with what this one leaves open."""
        (self.sweep_dir / LOCKS / self._owner).unlink(missing_ok=True)
        os.close(self._held)

    def others(self) -> int:
        """How many trials run in other commands."""
        return sum(t.number not in self._asked for t in self.study.get_trials(False, (TrialState.RUNNING,)))

    def earlier(self) -> list[Trial]:
        """The trials that other commands have finished, from the study and their records."""
        found = []
        for one in self.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED)):
            if one.number in self._asked or FOLDER not in one.user_attrs:
                continue
            overrides, key = list(one.user_attrs[OVERRIDES]), str(one.user_attrs[KEY])
            state = DONE if one.state == TrialState.COMPLETE else PRUNED
            trial = Trial(one.number, overrides, key, OmegaConf.create(), {}, state, Path(one.user_attrs[FOLDER]))
            trial.read()
            found.append(trial)
        return found

    def _counted(self) -> int:
        trials = self.study.get_trials(deepcopy=False, states=COUNTED)
        return len(trials) + len(self._failed)

    def _give_up_what_is_left(self) -> list[FrozenTrial]:
        """Ends the trials that a command which is gone has left open, and gives them."""
        left = [
            trial
            for trial in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
            if trial.number not in self._asked and self._is_gone(trial)
        ]
        for trial in left:
            self.study.tell(trial.number, state=TrialState.FAIL, skip_if_finished=True)
        return left

    def _ask_again(self, trials: Sequence[FrozenTrial]) -> None:
        """Puts trials before anything new, unless others of the same values are done, under way or waiting."""
        found = self.study.get_trials(deepcopy=False, states=(*COUNTED, TrialState.WAITING)) if trials else []
        known = [dict(t.system_attrs.get("fixed_params") or t.params) for t in found]
        for trial in trials:
            if trial.params and trial.params not in known:
                self.study.enqueue_trial(trial.params)
                known.append(trial.params)

    def _is_gone(self, trial: FrozenTrial) -> bool:
        """Whether the command that asked for it is gone, as far as can be seen from here.

        Not whether its process is: between the asking and its start, and from its end to the telling, it has none.
        """
        facts = trial.user_attrs
        if facts.get(HOST) == platform.node() and (OWNER in facts or KEY in facts):
            return not is_taken(self.sweep_dir, facts.get(OWNER) or facts[KEY])  # older ones bear no owner
        # One of another machine is left to it. One without a name was just being asked for, or its command was killed.
        began = trial.datetime_start
        return HOST not in facts and began is not None and (datetime.now() - began).total_seconds() > BEGINNING

    def _draw_from(self, count: int) -> None:
        """Makes the sampler for a study that holds so many trials: with its seed alone it would suggest them again."""
        if isinstance(self._sampler, BaseSampler):
            self.study.sampler = self._sampler
            if count:
                self._sampler.reseed_rng()
        elif self._sampler == "grid":
            self.study.sampler = _Grid(self.space.grid(), seed=self._sampler_options["seed"])
        else:
            options = {**self._sampler_options, "seed": self._sampler_options["seed"] + count}
            self.study.sampler = SAMPLERS[self._sampler](**options)

    @contextmanager
    def _apart(self) -> Iterator[None]:
        """Draws on from the trials of another command that has asked since: with the same seed it draws the same."""
        if (count := len(self.study.get_trials(deepcopy=False))) != self._seen:
            self._draw_from(count)
        yield
        self._seen = len(self.study.get_trials(deepcopy=False))

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One command at a time, so that two shells do not make more trials than there are to be."""
        lock = os.open(self.sweep_dir / ".study.lock", os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)


def _one_of(name: str, value: object, choices: Sequence[str | None]) -> None:
    if value not in choices:
        value = value if isinstance(value, str) else type(value).__name__
        raise UserError(f"hydra.sweeper.{name}={value}: {did_you_mean(str(value), [c for c in choices if c])}")


def measured(record: Mapping[str, Any], name: str) -> float | None:
    """A number of a record by name: a metric (`val/accuracy`), or any other (`timings/fit_seconds`)."""
    found: Any = (record.get("metrics") or {}).get(name)
    if isinstance(found, Mapping):
        found = found.get("value")
    if found is None:
        found = record
        for part in name.split("/"):
            found = found.get(part) if isinstance(found, Mapping) else None
    return float(found) if isinstance(found, int | float) and found == found else None


def draw(study: optuna.Study, folder: Path, names: Sequence[str]) -> list[Path]:
    """History, importance and slices of each objective as PNG files; what Optuna cannot draw yet is left out."""
    import matplotlib

    matplotlib.use("Agg")
    import warnings

    import matplotlib.pyplot as plt
    from optuna.visualization import matplotlib as pictures

    kinds: dict[str, Callable[..., Any]] = {
        "history": pictures.plot_optimization_history,
        "importance": pictures.plot_param_importances,
        "slice": pictures.plot_slice,
    }
    drawn = []
    for index, name in enumerate(names):
        for kind, draw_kind in kinds.items():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # Optuna calls its pictures experimental
                several = {"target": lambda trial, i=index: trial.values[i]} if len(names) > 1 else {}
                try:
                    draw_kind(study, target_name=name, **several)
                except (ValueError, RuntimeError, ZeroDivisionError) as error:  # too few trials, or one value only
                    log.info("no picture of the %s of %s: %s", kind, name, error)
                    plt.close("all")
                    continue
            with beside(f"The picture of the {kind} of {name}"):
                path = folder / f"{name.replace('/', '_')}_{kind}.png"
                figure = plt.gcf()
                figure.set_size_inches(max(8, figure.get_figwidth()), 5)
                plt.savefig(path, dpi=120, bbox_inches="tight")
                drawn.append(path)
            plt.close("all")
    return drawn
