"""What comes after the last step is tried before the first; what is beside the result does not undo it."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from noria.common.errors import RunError, UserError
from noria.stage.exits import measuring, saving
from noria.stage.rehearsal import try_folder, try_weights
from noria.tracking.beside import beside, take_notes


def record() -> dict[str, Any]:
    return json.loads(Path("runs/latest/record.json").read_text())


def untrained(said: str) -> None:
    """It has ended before the first step, and left nothing of the trial behind."""
    assert "Traceback" not in said
    assert record()["status"] == "failed" and "history" not in record()
    assert not list(Path("runs/latest").glob("artifact")) and not list(Path("runs/latest").glob(".rehearsal"))


@pytest.fixture
def chat(tiny_decoder: Path, tmp_path: Path) -> Callable[..., list[str]]:
    """chat(model): a fit of a decoder on 24 questions."""
    path = tmp_path / "chats.jsonl"
    path.write_text("".join(json.dumps({"prompt": f"Is {n} even?", "response": "yes"}) + "\n" for n in range(24)))
    own = ["data=instructions", f"data.path={path}", "data.max_length=64", "task=causal_lm", "model=hub"]
    rest = ["model.architecture=decoder", "precision=fp32", "logger=csv", "trainer.max_epochs=1"]
    return lambda model=tiny_decoder: [*own, *rest, f"model.name={model}"]


def test_a_test_set_of_no_use_is_found_before_the_first_step(
    noria: Callable[..., int], chat: Callable[..., list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    late = tmp_path / "late.jsonl"
    late.write_text(json.dumps({"prompt": "word " * 300, "response": "yes"}) + "\n")
    assert noria(*chat(), f"data.test_path={late}") == 2
    said = capsys.readouterr().err
    assert f"The split 'test': {late}: no answer begins within 64 tokens" in said
    untrained(said)


def test_a_context_below_the_length_of_a_sample_shortens_the_sample(
    noria: Callable[..., int], chat: Callable[..., list[str]], tmp_path: Path
) -> None:
    from tests.conftest import make_tiny_decoder

    small = make_tiny_decoder(tmp_path / "small", max_position_embeddings=64)
    assert noria(*chat(small), "stage.test=false") == 0
    assert len(Path("runs/latest/samples.jsonl").read_text().splitlines()) > 0
    assert record()["status"] == "done" and "warnings" not in record()


OWN_MODEL = """
from torch import nn
from noria.model.pretrained import Pretrained

class Bag(nn.Module):
    def forward(self, input_ids, attention_mask=None, token_type_ids=None):
        raise AssertionError("it is not to be trained")

class Model(Pretrained):
    def classifier(self, labels, kind, pad_token_id=None):
        return Bag()

class Unsaved(Pretrained):
    def classifier(self, labels, kind, pad_token_id=None):
        network = super().classifier(labels, kind, pad_token_id)
        network.config.note = {1, 2}  # JSON has no sets
        return network
"""


@pytest.mark.parametrize(
    ("model", "status", "why"),
    [
        ("Model", 2, "(Bag) has no save_pretrained, so no artifact could be saved"),
        ("Unsaved", 1, "cannot be saved as an artifact and opened again, so nothing was trained (TypeError: "),
    ],
)
def test_a_model_of_ones_own_that_cannot_be_saved_is_not_trained(
    noria: Callable[..., int],
    tiny: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    model: str,
    status: int,
    why: str,
) -> None:
    (tmp_path / "ownmodels.py").write_text(OWN_MODEL)
    monkeypatch.syspath_prepend(tmp_path)
    assert noria(*tiny, f"model._target_=ownmodels.{model}") == status
    said = capsys.readouterr().err
    assert why in said
    untrained(said)


def test_a_folder_for_checkpoints_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"No checkpoint can be written to .*file/checkpoints \(Not a directory\)"):
        try_folder(tmp_path / "file" / "checkpoints")
    try_folder(tmp_path / "new" / "checkpoints")
    assert not list((tmp_path / "new" / "checkpoints").iterdir())


def test_weights_of_training_rows() -> None:
    with pytest.raises(UserError, match="All 3 training rows count with weight 0"):
        try_weights(np.zeros(3))
    with pytest.raises(UserError, match="no finite number"):
        try_weights(np.array([1.0, np.inf]))
    try_weights(np.array([0.0, 1.0]))


def test_a_home_that_cannot_be_written_does_not_undo_a_run(
    noria: Callable[..., int], tiny: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """W&B keeps the files of its tables there, and is asked to when all has been measured."""
    monkeypatch.setenv("HOME", "/dev/null")
    for name in ("WANDB_DATA_DIR", "WANDB_CACHE_DIR", "XDG_DATA_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    assert noria(*tiny, "logger=wandb") == 0
    found = record()
    assert found["status"] == "done" and found["error"] is None
    assert Path("runs/latest/predictions.parquet").is_file() and "test/accuracy" in found["metrics"]
    assert any(said.startswith("W&B's tables failed (PermissionError") for said in found["warnings"])


def test_what_is_beside_the_result_is_noted_and_an_interrupt_is_not_held_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    take_notes()
    with caplog.at_level(logging.WARNING), beside("The picture"):
        raise ValueError("no\ncolour")
    assert take_notes() == ["The picture failed (ValueError: no colour)"] and take_notes() == []
    assert "The run itself is not touched by it" in caplog.text
    with pytest.raises(KeyboardInterrupt), beside("The picture"):
        raise KeyboardInterrupt


def test_a_disk_without_room_for_the_artifact_names_the_checkpoint(tmp_path: Path) -> None:
    full = RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)")
    for problem in (full, OSError(28, "No space left on device")):
        said = pytest.raises(RunError, match=r"\(No space left on device\).* weights are in last.ckpt.* resume=.*run")
        with said, saving(tmp_path / "run" / "artifact", "last.ckpt"):
            raise problem
    with pytest.raises(RuntimeError, match="another"), saving(tmp_path / "run" / "artifact", None):
        raise RuntimeError("another")


def test_an_error_in_measuring_names_the_artifact_that_is_saved(tmp_path: Path) -> None:
    for problem in (UserError("one"), OSError("two"), MemoryError("three")):
        said = pytest.raises(RunError, match=r"(?s)(one|two|Out of memory).*noria stage=evaluate artifact=.*artifact")
        with said, measuring(tmp_path / "artifact"):
            raise problem
    with pytest.raises(KeyError) as fault, measuring(tmp_path / "artifact"):
        raise KeyError("four")
    assert "stage=evaluate" in fault.value.__notes__[0]
