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
def no_cluster(monkeypatch):
    for name in ("SLURM_JOB_ID", "TORCHELASTIC_RUN_ID"):
        monkeypatch.delenv(name, raising=False)


def names() -> tuple[str, str]:
    """A run's and a sweep's folder, as one command sees them."""
    register_resolvers()
    config = OmegaConf.create({"run": "${run_name:}", "again": "${run_name:}", "sweep": "${sweep_name:mine}"})
    assert config.run == config.again
    return config.run, config.sweep


def test_a_command_has_one_name_and_the_next_command_another():
    run, sweep = names()
    assert re.fullmatch(f"default/{ID}", run)
    assert sweep == "mine/sweep-" + run.removeprefix("default/")
    assert names() != (run, sweep)


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
    ("name", "value", "named"),
    [
        ("SLURM_JOB_ID", "4711", "default/job-4711"),
        ("TORCHELASTIC_RUN_ID", "abc", "default/job-abc"),
        ("TORCHELASTIC_RUN_ID", "none", None),  # what torchrun sets where nobody named the job
    ],
)
def test_all_processes_of_a_clusters_job_share_a_name(name, value, named, monkeypatch):
    monkeypatch.setenv(name, value)
    run, _ = names()
    assert run == named if named else re.fullmatch(f"default/{ID}", run)


def test_a_sweep_without_an_experiment():
    register_resolvers()
    assert OmegaConf.create({"sweep": "${sweep_name:null}"}).sweep.startswith("default/sweep-")


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
