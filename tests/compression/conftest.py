"""What the tests of steps share: `stage=compress` on an artifact, in one line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tests.conftest import make_tiny_decoder
from tests.serving.command import noria as other_process

from noria.artifact import bundle


@pytest.fixture
def compressed(noria: Callable[..., int], fitted: Path) -> Callable[..., Path]:
    """compressed(steps, *words, run=…, artifact=…): the artifact that the steps leave; nothing is measured."""

    def made(steps: str, *words: str, run: str = "run", artifact: Path | str | None = None) -> Path:
        more = [f"artifact={artifact or fitted / 'artifact'}", f"stage.steps={steps}", f"paths.run_dir={run}"]
        assert noria("stage=compress", *more, "logger=csv", "stage.split=null", *words) == 0
        return Path(run) / "artifact"

    return made


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def did(folder: Path) -> list[dict[str, Any]]:
    """What the artifact says that was done to it."""
    return bundle.read_facts(folder)[bundle.COMPRESSION]


def record(run: Path | str = "run") -> dict[str, Any]:
    return json.loads((Path(run) / "record.json").read_text())


def logits(folder: Path, rows: int = 4) -> torch.Tensor:
    """What an artifact's network says of tokens drawn at random."""
    network = bundle.open_artifact(folder).network
    ids = torch.randint(5, network.config.vocab_size, (rows, 9), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        return network(input_ids=ids, attention_mask=torch.ones_like(ids)).logits


@pytest.fixture(scope="session")
def fitted_decoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of a small fit of a decoder whose layers can be packed."""
    folder = tmp_path_factory.mktemp("fitted_decoder")
    base = make_tiny_decoder(folder / "base", hidden_size=64, intermediate_size=128)
    (folder / "texts").mkdir()
    for number in range(8):
        lines = [f"The stream {number} turns the wheel, and wheel {line} lifts the water." for line in range(12)]
        (folder / "texts" / f"{number}.txt").write_text("\n".join(lines), encoding="utf-8")
    words = ["task=causal_lm", "data=text", f"data.path={folder}/texts", "data.max_length=64", "logger=csv"]
    words += ["model=hub", "model.architecture=decoder", f"model.name={base}", "trainer.max_steps=2", "precision=fp32"]
    assert other_process(folder, *words, "paths.run_dir=fit", "data.val_fraction=0.3", "data.test_fraction=0") == 0
    return folder / "fit"
