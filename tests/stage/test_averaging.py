"""`callback.checkpoint.average`: the artifact has the mean of the weights of the last validations."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import torch

from noria.artifact import bundle


def test_the_artifact_is_the_mean_of_the_last_ones(noria: Callable[..., int], tiny: list[str]) -> None:
    words = ["callback.checkpoint.average=3", "trainer.max_epochs=4", "paths.run_dir=run"]
    assert noria(*[word for word in tiny if "max_epochs" not in word], *words) == 0
    run = Path("run")
    files = sorted(run.glob("checkpoints/average-*.ckpt"), key=lambda path: int(path.stem.rpartition("=")[2]))
    states = [torch.load(path, weights_only=True)["state_dict"] for path in files]
    assert len(states) == 3
    opened = bundle.open_artifact(run / "artifact").network.state_dict()
    assert len(opened) > 10
    for name, weight in opened.items():
        each = [state[f"network.{name}"].double() for state in states]
        torch.testing.assert_close(weight.double(), sum(each) / 3, rtol=0, atol=1e-6)
    assert any(not torch.equal(states[0][name], states[2][name]) for name in states[0])
    kept = json.loads((run / "record.json").read_text())["kept"]
    assert kept["averaged"] == 3 and kept["step"] == kept["steps"]
