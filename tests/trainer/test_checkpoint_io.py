"""A checkpoint is whole or not there, whatever the disk does."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from pathlib import Path

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
