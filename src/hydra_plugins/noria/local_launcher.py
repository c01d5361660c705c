"""`hydra/launcher=local`: each trial is a process of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from annotated_types import Ge, Gt
from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext
from omegaconf import DictConfig


class LocalLauncher(Launcher):
    """As many trials at once as this machine holds, none of which can harm another.

    Args:
        n_jobs: at once; null for as many as there are GPUs for, or threads and memory.
        gpus: for each trial, where there are any.
        trial_timeout: seconds; null for no limit.
        retries: how often a trial that died by a signal is started again.
        fail_fast: the first failure ends the sweep.
    """

    def __init__(
        self,
        n_jobs: Annotated[int, Ge(1)] | None,
        gpus: Annotated[int, Ge(0)],
        trial_timeout: Annotated[float, Gt(0)] | None,
        retries: Annotated[int, Ge(0)],
        fail_fast: bool,
    ) -> None:
        self._options = {"n_jobs": n_jobs, "gpus": gpus, "trial_timeout": trial_timeout, "retries": retries}
        self._options["fail_fast"] = fail_fast

    def setup(self, *, hydra_context: HydraContext, task_function: Any, config: DictConfig) -> None:
        self._context, self._command, self._config = hydra_context, task_function, config

    def sweep(self) -> Any:
        """What runs the trials, for a sweeper that asks for them one by one."""
        from noria.cli.trial import run_in_process
        from noria.sweep.compose import Composer
        from noria.sweep.launch import LocalSweep

        composer = Composer(self._context, self._config)
        return LocalSweep(self._config, composer, self._command.start.ready, run_in_process, self._options)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        from noria.sweep.launch import refuse_unfinished

        sweep, total = self.sweep(), len(job_overrides)
        numbered = enumerate(job_overrides, start=initial_job_idx)
        trials = sweep.run((sweep.trial(number, words) for number, words in numbered), total)
        refuse_unfinished(trials, total)
        done = []
        for trial, words in zip(trials, job_overrides, strict=True):
            found = trial.measured(sweep.metric)
            done.append(JobReturn(list(words), trial.cfg, None, str(trial.folder), None, JobStatus.COMPLETED))
            done[-1].return_value = found["value"] if found else None
        return done


ConfigStore.instance().store(
    group="hydra/launcher",
    name="local",
    node={
        "_target_": "hydra_plugins.noria.local_launcher.LocalLauncher",
        "n_jobs": None,
        "gpus": 1,
        "trial_timeout": None,
        "retries": 0,
        "fail_fast": False,
    },
    provider="noria",
)
