"""One command of a search: trials are made, run by whichever launcher, and told to the study."""

from __future__ import annotations

import itertools
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.override_parser.types import Override
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf

from noria.common.console import get_console
from noria.common.errors import RunError, UserError
from noria.config.check import check
from noria.config.masking import masked_text
from noria.sweep.claim import look_up
from noria.sweep.compose import Composer
from noria.sweep.identity import trial_key
from noria.sweep.overrides import key_of
from noria.sweep.search import OVERRIDES, Search, draw
from noria.sweep.space import Space, written
from noria.sweep.trial import Trial


def optimize(
    launcher: Launcher,
    context: HydraContext,
    config: DictConfig,
    sweep_dir: Path,
    overrides: Sequence[Override],
    function: str | None,
    objectives: Mapping[str, str],
    options: Mapping[str, Any],
    batch: int,
) -> dict[str, Any]:
    """Searches until the study has its trials; draws it; returns the best values and their overrides.

    Args:
        overrides: all of the command; those that are swept over are the space.
        batch: trials at once, for launchers that take them in batches.

    Raises:
        UserError: a config that cannot run, found before the first trial.
        RunError: not one trial came to an end.
    """
    swept = [override for override in overrides if override.is_sweep_override()]
    fixed = [str(override.input_line) for override in overrides if not override.is_sweep_override()]
    if not swept and function is None:
        raise UserError(
            "hydra/sweeper=optuna has nothing to search over: add a range, such as "
            "'optimizer.lr=tag(log, interval(1e-5, 1e-3))', or hydra.sweeper.space=<module>.<function>."
        )
    space = Space(swept, function)
    compose = Composer(context, config)
    for corner in space.corners():
        check(*compose([*fixed, *corner]))
    search = Search(sweep_dir, space, objectives, **options)
    try:
        _search(launcher, compose, search, fixed, batch)
    finally:
        search.close()
    return _end(search)


def _search(launcher: Launcher, compose: Composer, search: Search, fixed: list[str], batch: int) -> None:
    local = getattr(launcher, "sweep", None)
    if local is None:
        _in_batches(launcher, compose, search, fixed, batch)
        return
    sweep = local()

    def make(number: int, words: list[str]) -> Trial:
        made: Trial = sweep.trial(number, [*fixed, *words, *_pruning(search, number)], words)
        return made

    sweep.run(search.ask(make), search.n_trials, search.tell, search.earlier)


def _in_batches(launcher: Launcher, compose: Composer, search: Search, fixed: list[str], batch: int) -> None:
    """With a launcher that takes some trials and comes back when all are over; their records say how they went."""

    def make(number: int, words: list[str]) -> Trial:
        cfg, choices = compose([*fixed, *words, *_pruning(search, number)])
        return Trial(number, words, trial_key(check(cfg, choices), map(key_of, words)), cfg, choices)

    asked = search.ask(make)
    while trials := list(itertools.islice(asked, batch)):
        jobs = [[*fixed, *trial.overrides, *_pruning(search, trial.number)] for trial in trials]
        launcher.launch(jobs, initial_job_idx=trials[0].number)
        for trial in trials:
            place = look_up(search.sweep_dir, trial.key)
            trial.folder = place.folder
            if place.finished and place.record is not None:
                trial.state, trial.record = place.record["status"], place.record
            search.tell(trial)


def _pruning(search: Search, number: int) -> list[str]:
    """The overrides that let a trial be given up."""
    if search.pruner is None:
        return []
    metric = next(iter(search.objectives))
    facts = {"storage": search.storage, "study": search.study_name, "metric": metric, "number": 0}
    facts |= {"pruner": search.pruner, "pruner_options": search.pruner_options}
    node = {"_target_": "noria.callback.pruning.Pruning", **facts}
    return [f"+callback.pruning={written(node)}", f"callback.pruning.number={number}"]


def _end(search: Search) -> dict[str, Any]:
    """Draws the study, writes its best, and says where both are."""
    console = get_console()
    study, names = search.study, list(search.objectives)
    best = study.best_trials
    if not best and search.others():
        console.print(f"{search.others()} trials run in another command, which says how the search ends.")
        return {}
    if not best:
        raise RunError("Not one trial came to an end. The same command again tries those that failed.")
    pictures = draw(study, search.sweep_dir, names)
    facts = {
        "objectives": dict(search.objectives),
        "best": [
            {
                "trial": one.number,
                "values": dict(zip(names, one.values, strict=True)),
                "overrides": one.user_attrs[OVERRIDES],
            }
            for one in best
        ],
    }
    (search.sweep_dir / "best.yaml").write_text(OmegaConf.to_yaml(OmegaConf.create(facts)), encoding="utf-8")
    console.print(f"best:     {search.sweep_dir}/best.yaml", highlight=False)
    if pictures:
        console.print(f"pictures: {', '.join(str(path) for path in pictures)}", highlight=False)
    look = f"optuna-dashboard {shlex.quote(masked_text(search.storage))}"
    console.print(f"study:    {search.study_name}; to look into it: {look}", highlight=False, soft_wrap=True)
    return facts
