"""The Trainer is built as asked, makes no file by itself, and refuses in one sentence what cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest
from lightning.pytorch.callbacks import ModelCheckpoint

from noria.common.errors import UserError
from noria.trainer.build import build_trainer


def test_what_is_asked_for(tmp_path: Path) -> None:
    trainer = build_trainer(
        [], [], str(tmp_path), accelerator="cpu", devices=1, precision="bf16-mixed", max_epochs=7,
        accumulate_grad_batches=3, gradient_clip_val=0.5, limit_val_batches=2, log_every_n_steps=5,
    )  # fmt: skip
    assert (trainer.max_epochs, trainer.precision, trainer.accumulate_grad_batches) == (7, "bf16-mixed", 3)
    assert (trainer.gradient_clip_val, trainer.gradient_clip_algorithm) == (0.5, "norm")
    assert (trainer.limit_val_batches, trainer.log_every_n_steps, trainer.num_sanity_val_steps) == (2, 5, 0)
    assert trainer.default_root_dir == str(tmp_path)


@pytest.mark.parametrize("none", [None, 0, 0.0])
def test_no_clipping(tmp_path: Path, none: float | None) -> None:
    trainer = build_trainer([], [], str(tmp_path), accelerator="cpu", gradient_clip_val=none)
    assert trainer.gradient_clip_val is None and trainer.gradient_clip_algorithm is None


def test_lightning_adds_neither_logger_nor_checkpoint(tmp_path: Path) -> None:
    trainer = build_trainer([], [], str(tmp_path), accelerator="cpu")
    assert trainer.loggers == [] and trainer.checkpoint_callbacks == []
    kept = ModelCheckpoint(dirpath=tmp_path)
    assert build_trainer([kept], [], str(tmp_path), accelerator="cpu").checkpoint_callbacks == [kept]


def test_auto_is_made_definite_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", logger="noria"):
        trainer = build_trainer([], [], str(tmp_path), accelerator="cpu")
    assert trainer.precision in ("32-true", "bf16-mixed")
    assert f"precision: {trainer.precision}" in caplog.text


def test_what_lightning_refuses_is_the_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"Lightning refuses these values of trainer: .*devices"):
        build_trainer([], [], str(tmp_path), accelerator="cpu", devices=0)
