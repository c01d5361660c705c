"""A checkpoint is whole or not there, whatever the disk does."""

from __future__ import annotations

import io
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from noria.common.errors import RunError
from noria.trainer.checkpoint_io import AtomicCheckpointIO


@pytest.fixture
def full() -> Iterator[None]:
    """No file may grow beyond 64 KiB: writing fails in mid-file, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_the_last_good_one_survives_a_full_disk(tmp_path: Path, full: None) -> None:
    path = tmp_path / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint({"step": 1}, path)
    with pytest.raises(RunError, match=r"last\.ckpt cannot be written \(File too large\)\. The one before it is whole"):
        AtomicCheckpointIO().save_checkpoint({"step": 2, "weights": torch.zeros(1 << 16)}, path)
    assert torch.load(path, weights_only=True) == {"step": 1}
    assert list(tmp_path.iterdir()) == [path], "half a file is left"


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").write_text("a file where the folder should be")
    with pytest.raises(RunError, match=r"checkpoints/last\.ckpt cannot be written"):
        AtomicCheckpointIO().save_checkpoint({}, tmp_path / "checkpoints/last.ckpt")


def test_what_a_killed_run_has_left_is_written_over(tmp_path: Path) -> None:
    (tmp_path / ".last.ckpt.tmp").write_bytes(b"half")
    AtomicCheckpointIO().save_checkpoint({"step": 3}, tmp_path / "last.ckpt")
    assert [path.name for path in tmp_path.iterdir()] == ["last.ckpt"]


def test_an_interrupt_in_the_midst_of_a_write_is_no_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """torch writes the end of its file all the same, and says that its length is wrong."""

    class Interrupted(io.FileIO):
        writes = 0

        def write(self, data: Any) -> int:
            Interrupted.writes += 1
            if Interrupted.writes == 3:
                raise KeyboardInterrupt
            return super().write(data)

    goal = tmp_path / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint({"step": 1}, goal)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", lambda path, mode: Interrupted(path, mode))
        with pytest.raises(KeyboardInterrupt):
            AtomicCheckpointIO().save_checkpoint({"step": 2, "weight": torch.zeros(1000)}, goal)
    assert Interrupted.writes >= 3 and [path.name for path in tmp_path.iterdir()] == ["last.ckpt"]
    assert torch.load(goal, weights_only=True) == {"step": 1}
