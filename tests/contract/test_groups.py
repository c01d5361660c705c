"""Every group of conf/ has a suite, here or elsewhere: a new group is not forgotten."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ELSEWHERE = {
    "compression": "tests/compression",
    "hparams_search": "tests/sweep/test_wandb_sweep.py",
    "hydra": "tests/cli",
    "kind": "tests/task/test_contract.py",
    "local": "a user's own",
    "metric": "tests/metric/test_base.py",
    "paths": "every fit",
    "stage": "tests/stage",
    "strategy": "tests/test_ddp.py; fsdp needs GPUs",
    "trainer": "every fit",
    "wrapper": "tests/task/wrapper",
}


def test_every_group_has_a_suite() -> None:
    groups = {path.name for path in (ROOT / "conf").iterdir() if path.is_dir()}
    groups |= {path.name for path in (ROOT / "conf").glob("*/*") if path.is_dir() and path.parent.name != "hydra"}
    suites = {path.stem.removeprefix("test_") for path in Path(__file__).parent.glob("test_*.py")} - {"groups"}
    assert len(groups) > 15
    assert suites | set(ELSEWHERE) == groups
    assert not suites & set(ELSEWHERE)
