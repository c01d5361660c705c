"""What Lightning, W&B or a missing package refuses: one message, status 2, before anything costs time."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

NEEDS = """
import a_package_that_nobody_has

class Rows:
    def __init__(self) -> None:
        pass
"""


@pytest.mark.parametrize(
    ("words", "environment", "said"),
    [
        (["+trainer.profiler=nonsense"], {}, "Lightning refuses these values of trainer: When"),
        (["trainer.strategy=deepspeed"], {}, "DeepSpeed"),
        (["trainer.strategy=nonsense"], {}, "invalid strategy name"),
        (["strategy=ddp", "trainer.devices=2"], {"NODE_RANK": "first"}, "invalid literal for int"),
        (["trainer.devices=[0]"], {}, "chooses among GPUs"),
        (["trainer.accelerator=tpu"], {}, "torch_xla"),
        ([], {"SLURM_NTASKS": "4"}, "--ntasks-per-node=4"),
        (["logger=wandb", f"tags=[{'x' * 65}]"], {}, "65 characters"),
        (["logger=wandb", "logger.wandb.project=a/b"], {}, "logger.wandb.entity"),
        (["logger=wandb"], {"WANDB_MODE": "of-line"}, "WANDB_MODE=of-line"),
    ],
)
def test_a_refusal_comes_before_a_model_or_a_row_is_opened(
    noria: Callable[..., int], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys, words, environment, said
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "broken").mkdir()  # which would be refused as well, later
    (tmp_path / "rows.csv").write_text("text,label\n")
    start = ["model=hub", "model.name=broken", "data=table", "data.path=rows.csv", "precision=fp32", "logger=csv"]
    assert noria(*start, "trainer.accelerator=cpu", *words) == 2
    error = " ".join(capsys.readouterr().err.split())
    assert said in error and "Traceback" not in error and "config.json" not in error, error


def test_a_package_that_a_component_lacks_is_named(
    noria: Callable[..., int], tiny: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    (tmp_path / "needs.py").write_text(NEEDS)
    (tmp_path / "conf" / "data").mkdir(parents=True)
    (tmp_path / "conf" / "data" / "mine.yaml").write_text("_target_: needs.Rows\n")
    monkeypatch.syspath_prepend(tmp_path)
    words = [word for word in tiny if not word.startswith("data")]
    assert noria("--config-dir", "conf", *words, "data=mine") == 2
    error = " ".join(capsys.readouterr().err.split())
    assert "a_package_that_nobody_has" in error and "Traceback" not in error, error
    assert "fault in Noria" not in error and "attn_implementation" not in error


def test_a_package_that_a_model_needs_is_not_blamed_on_its_attention(
    noria: Callable[..., int], tiny: list[str], tiny_model: Path, tmp_path: Path, capsys
) -> None:
    """A model that brings code, as on the hub, which imports what is not installed."""
    folder = tmp_path / "model"
    folder.mkdir()
    for file in tiny_model.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "mine", "auto_map": {"AutoConfig": "mine.MineConfig"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "mine.py").write_text("import a_package_that_nobody_has\nclass MineConfig: pass\n")
    words = [word for word in tiny if not word.startswith("model")]
    words += ["model=hub", f"model.name={folder}", "model.trust_remote_code=true"]
    for more in ([], ["model.attn_implementation=eager"]):
        assert noria(*words, *more) == 2
        error = " ".join(capsys.readouterr().err.split())
        assert "needs a Python package that is not installed" in error and "a_package_that_nobody_has" in error, error
        assert "attn_implementation" not in error and "Traceback" not in error


def test_a_package_that_the_attention_needs_is(noria: Callable[..., int], tiny: list[str], capsys) -> None:
    pytest.importorskip("torch")
    assert noria(*tiny, "model.attn_implementation=flash_attention_2") == 2
    error = " ".join(capsys.readouterr().err.split())
    assert "model.attn_implementation=flash_attention_2" in error and "Traceback" not in error, error


@pytest.mark.parametrize(
    "words",
    [
        ["hydra.run.dir=a_file/run"],
        ["paths.run_dir=a_file"],
        ["paths.runs=a_file"],
        ["hydra.sweep.dir=a_file", "seed=0,1", "-m"],
        ["hydra.sweep.dir=a_file/sweep", "hydra/sweeper=optuna", "seed=choice(0,1)", "-m"],
    ],
)
def test_a_file_where_the_run_was_to_lie(noria: Callable[..., int], tiny: list[str], tmp_path: Path, capsys, words):
    (tmp_path / "a_file").touch()
    assert noria(*tiny, *words) == 2
    error = capsys.readouterr().err
    assert "a_file" in error and "cannot be a folder" in error and "Traceback" not in error, error
