"""The smallest weights become zero, and stay zero while the rest is trained."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from tests.cli.conftest import Process
from tests.compression.conftest import did, logits, record, weights

from noria.compression.prune_magnitude import zero_smallest

Compressed = Callable[..., Path]


def matrices(folder: Path) -> dict[str, torch.Tensor]:
    """The linear weights of the layers."""
    return {name: x for name, x in weights(folder).items() if ".layer." in name and x.ndim == 2}


def zeros(folder: Path) -> dict[str, torch.Tensor]:
    return {name: x == 0 for name, x in matrices(folder).items()}


def test_the_smallest_numbers_become_zero() -> None:
    first, second = torch.tensor([[0.1, -5.0], [3.0, -0.2]]), torch.tensor([4.0, 0.3, -0.4, 6.0])
    zero_smallest([first, second], 0.5)
    assert first.tolist() == [[0, -5], [3, 0]] and second.tolist() == [4, 0, 0, 6]


def test_strength_0_changes_no_bit(compressed: Compressed, fitted: Path) -> None:
    found = compressed("[prune_magnitude]", "compression.prune_magnitude.ratio=0")
    before = weights(fitted / "artifact")
    assert all(torch.equal(x, before[name]) for name, x in weights(found).items())
    assert torch.equal(logits(found), logits(fitted / "artifact"))


@pytest.mark.parametrize("scope", ["global", "layer"])
def test_the_share_is_of_all_or_of_each_matrix(scope: str, compressed: Compressed, fitted: Path) -> None:
    found = compressed(
        "[prune_magnitude]", "compression.prune_magnitude.ratio=0.3", f"compression.prune_magnitude.scope={scope}"
    )
    shares = [float(x.float().mean()) for x in zeros(found).values()]
    assert len(shares) == 12 and did(found)[0]["zeros"] == pytest.approx(0.3 * 16384, abs=12)
    assert (max(shares) - min(shares) < 0.001) == (scope == "layer")
    before = matrices(fitted / "artifact")
    kept = torch.cat([before[name][~x].abs() for name, x in zeros(found).items()])
    cut = torch.cat([before[name][x].abs() for name, x in zeros(found).items()])
    assert scope == "layer" or kept.min() > cut.max()
    others = {name: x for name, x in weights(found).items() if name not in before}
    assert all(torch.equal(x, weights(fitted / "artifact")[name]) for name, x in others.items())


def test_zeros_stay_zeros_while_the_share_grows(compressed: Compressed) -> None:
    settings = "{ratio: 0.7, rounds: 3, recover_epochs: 1}"
    found = compressed(f"[{{prune_magnitude: {settings}}}]", "optimizer.lr=1e-2")
    shares = [one["zeros"] / one["weights"] for one in did(found)]
    assert shares == pytest.approx([0.7 * (1 - (2 / 3) ** 3), 0.7 * (1 - (1 / 3) ** 3), 0.7], abs=1e-3)
    trained = [Path(f"run/fit-1-{turn}/artifact") for turn in (1, 2, 3)]
    for before, after in pairwise(trained):
        assert all(bool((x <= zeros(after)[name]).all()) for name, x in zeros(before).items())
        assert any(not torch.equal(x, weights(after)[name]) for name, x in weights(before).items())
    assert all(torch.equal(x, zeros(found)[name]) for name, x in zeros(trained[-1]).items())
    assert sum(int(x.sum()) for x in zeros(found).values()) == did(found)[-1]["zeros"]


def test_an_adapter_would_fill_the_zeros(
    fitted: Path, noria: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["stage=compress", f"artifact={fitted}/artifact", "logger=csv", "model/peft=lora"]
    assert noria(*words, "stage.steps=[{prune_magnitude: {recover_epochs: 1}}]") == 2
    assert "type model/peft=none" in " ".join(capsys.readouterr().err.split())


def test_a_killed_training_goes_on_and_leaves_the_same(fitted: Path, tmp_path: Path, noria: Callable[..., int]) -> None:
    words = ["stage=compress", f"artifact={fitted}/artifact", "logger=csv", "paths.run_dir=run", "stage.split=null"]
    words += ["stage.steps=[{prune_magnitude: {recover_epochs: 30}}]", "callback.checkpoint.every_n_steps=1"]
    process = Process(tmp_path, words)
    process.wait_for(lambda: (tmp_path / "run/fit-1-1/checkpoints/last.ckpt").is_file() or None)
    process.end(signal.SIGKILL)
    assert not Path("run/artifact").exists() and record()["status"] == "running"
    assert noria("resume=run", "stage.steps=[float16]") == 2, "it would be another run"
    assert noria("resume=run") == 0
    assert len(record("run/fit-1-1")["resumed"]) == 1 and record()["status"] == "done"
    shutil.rmtree("run/fit-1-1")
    assert noria("resume=run") == 2, "it is done"
    assert noria(*[word.replace("dir=run", "dir=whole") for word in words]) == 0
    found, wanted = weights(Path("run/artifact")), weights(Path("whole/artifact"))
    assert all(torch.equal(x, wanted[name]) for name, x in found.items())
