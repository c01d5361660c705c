from __future__ import annotations

import re

import hydra
import pytest
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

from noria.cli.names import register_resolvers
from noria.common.paths import conf_dir

ID = r"\d{8}-\d{6}-[0-9a-f]{4}"


@pytest.fixture(autouse=True)
def no_command_before(monkeypatch):
    """Hydra keeps the config of the last command of a process, which another test may have run."""
    monkeypatch.setattr(HydraConfig.instance(), "cfg", None)


@pytest.fixture(autouse=True)
def no_cluster(monkeypatch):
    for name in ("SLURM_JOB_ID", "SLURM_STEP_ID", "SLURM_NTASKS", "SLURM_STEP_NUM_TASKS", "TORCHELASTIC_RUN_ID"):
        monkeypatch.delenv(name, raising=False)


def names() -> tuple[str, str]:
    """A run's and a sweep's folder, as one command sees them."""
    register_resolvers()
    config = OmegaConf.create({"run": "${run_name:}", "again": "${run_name:}", "sweep": "${sweep_name:mine,null,[a]}"})
    assert config.run == config.again
    return config.run, config.sweep


def test_a_command_has_one_name_and_the_next_command_another():
    run, sweep = names()
    assert re.fullmatch(f"default/{ID}", run)
    again, same_sweep = names()
    assert again != run and same_sweep == sweep


def sweep_name(overrides: list[str], name: str | None = None, experiment: str | None = None) -> str:
    register_resolvers()
    config = {"overrides": overrides, "name": name, "experiment": experiment}
    return str(OmegaConf.create({**config, "sweep": "${sweep_name:${experiment},${name},${overrides}}"}).sweep)


def test_the_same_overrides_name_the_same_sweep():
    name = sweep_name(["seed=1,2", "optimizer.lr=1e-3"])
    assert re.fullmatch("default/sweep-[0-9a-f]{8}", name)
    assert sweep_name(["optimizer.lr=1e-3", "logger=csv", "seed=1,2", "paths.runs=there"]) == name
    assert sweep_name(["seed=1,2,3", "optimizer.lr=1e-3"]) != name


def test_a_sweep_may_have_a_name():
    assert sweep_name(["seed=1,2"], "mine", "quickstart") == "quickstart/mine"


def test_names_sort_by_time(monkeypatch):
    from noria.cli import names as module

    class Clock(module.datetime):
        year_now = 2030

        @classmethod
        def now(cls):
            return cls(cls.year_now, 1, 2, 3, 4, 5)

    monkeypatch.setattr(module, "datetime", Clock)
    late = names()[0]
    Clock.year_now = 2029
    assert names()[0] < late and late.startswith("default/20300102-030405-")


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({"SLURM_JOB_ID": "4711", "SLURM_STEP_ID": "2", "SLURM_STEP_NUM_TASKS": "2"}, "job-4711.2-[0-9a-f]{6}"),
        ({"SLURM_JOB_ID": "4711", "SLURM_STEP_ID": "0", "SLURM_NTASKS": "8"}, "job-4711.0-[0-9a-f]{6}"),
        ({"TORCHELASTIC_RUN_ID": "abc"}, "job-abc-[0-9a-f]{6}"),
    ],
)
def test_all_processes_that_a_cluster_starts_for_one_run_share_a_name(environment, named, monkeypatch):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    run, _ = names()
    assert re.fullmatch(f"default/{named}", run)
    monkeypatch.setenv("SLURM_PROCID", "1")
    assert names()[0] == run
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    assert names()[0] == f"{run}-r1", "the folder of the part before is not written over"


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({"SLURM_JOB_ID": "4711"}, f"job-4711-{ID}"),
        ({"SLURM_JOB_ID": "4711", "SLURM_NTASKS": "8"}, f"job-4711-{ID}"),  # a script, and no srun
        ({"SLURM_JOB_ID": "4711", "SLURM_STEP_ID": "3", "SLURM_STEP_NUM_TASKS": "1"}, f"job-4711-{ID}"),
        ({"TORCHELASTIC_RUN_ID": "none"}, ID),  # what torchrun sets where nobody named the job
    ],
)
def test_runs_of_one_job_have_names_of_their_own(environment, named, monkeypatch):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    run, _ = names()
    assert re.fullmatch(f"default/{named}", run) and names()[0] != run


@pytest.mark.parametrize(
    ("words", "folder"),
    [
        ([], "runs/default/"),
        (["experiment=quickstart"], "runs/quickstart/"),
        (["stage=evaluate"], "runs/evaluate/"),
        (["stage=evaluate", "experiment=quickstart", "paths.runs=elsewhere"], "elsewhere/evaluate/"),
    ],
)
def test_where_a_run_goes(words, folder):
    register_resolvers()
    with hydra.initialize_config_dir(str(conf_dir()), version_base="1.3"):
        config = hydra.compose("config", words, return_hydra_config=True)
    HydraConfig.instance().set_config(config)
    try:
        assert re.fullmatch(f"{folder}{ID}", config.hydra.run.dir)
    finally:
        HydraConfig.instance().cfg = None
