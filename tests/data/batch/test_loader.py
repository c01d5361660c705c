"""The loader under a real Trainer: a run cut anywhere and resumed sees the batches of one never cut."""

from __future__ import annotations

from pathlib import Path

import lightning as L
import numpy as np
import pyarrow as pa
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint

from noria.common.errors import UserError
from noria.data.batch.batches import LengthGroupedBatches
from noria.data.batch.encoded import Encoded
from noria.data.batch.loader import ResumableLoader
from noria.data.batch.tokens import Tokens

Seen = list[tuple[int, ...]]


def rows_of(count: int) -> Encoded:
    rng = np.random.default_rng(count)
    ids = [rng.integers(1, 50, rng.integers(3, 12)).tolist() for _ in range(count)]
    columns = {"input_ids": pa.array(ids, pa.list_(pa.int32())), "truncated": pa.array([False] * count)}
    return Encoded(Tokens([pa.RecordBatch.from_pydict(columns)]), rng.integers(0, 2, count), 0)


TRAIN, VAL = rows_of(45), rows_of(9)


def loader(rows: Encoded, shuffle: bool = True, workers: int = 0, tokens: int | None = None) -> ResumableLoader:
    return ResumableLoader(rows, LengthGroupedBatches(rows.lengths, 4, 7, shuffle, batch_tokens=tokens), workers)


class Tiny(L.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.embed = torch.nn.Embedding(50, 4)
        self.out = torch.nn.Linear(4, 2)
        self.seen: Seen = []

    def training_step(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        self.seen.append(tuple(batch["index"].tolist()))
        logits = self.out(self.embed(batch["input_ids"]).mean(1))
        return torch.nn.functional.cross_entropy(logits, batch["labels"])

    def validation_step(self, batch: dict[str, torch.Tensor]) -> None:
        pass

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)


def fit(
    folder: Path,
    workers: int,
    resume: Path | None = None,
    every: dict | None = None,
    tokens: int | None = None,
    **kwargs,
) -> Seen:
    model = Tiny()
    saving = [ModelCheckpoint(folder, "{step}", save_top_k=-1, **every)] if every else []
    trainer = L.Trainer(
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=bool(saving),
        default_root_dir=folder,
        callbacks=saving,
        use_distributed_sampler=False,
        **kwargs,
    )
    data = (loader(TRAIN, workers=workers, tokens=tokens), loader(VAL, shuffle=False, workers=workers))
    trainer.fit(model, *data, ckpt_path=resume, weights_only=True)
    return model.seen


STEPS = {"every_n_train_steps": 5}  # an epoch has 12: in its midst
LAST = {"every_n_train_steps": 12}  # after an epoch's last batch
EPOCHS = {"every_n_epochs": 1, "save_on_train_epoch_end": True}
VALIDATED = {"every_n_epochs": 1, "save_on_train_epoch_end": False}


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    ("workers", "every", "kwargs"),
    [
        (0, STEPS, {"max_epochs": 3}),
        (0, STEPS, {"max_steps": 30}),
        (0, STEPS, {"max_epochs": 2, "val_check_interval": 5, "accumulate_grad_batches": 2}),
        (0, LAST, {"max_epochs": 3}),
        (0, LAST, {"max_steps": 30}),
        (0, EPOCHS, {"max_epochs": 3}),
        (0, EPOCHS, {"max_steps": 30}),
        (0, EPOCHS, {"max_epochs": 3, "limit_train_batches": 7}),
        (0, VALIDATED, {"max_epochs": 3}),
        (0, VALIDATED, {"max_steps": 30}),
        (2, STEPS, {"max_steps": 14}),
        (2, EPOCHS, {"max_epochs": 2}),
    ],
)
def test_resumed_runs_see_the_same_batches(tmp_path, workers, every, kwargs):
    whole = fit(tmp_path, workers, every=every, **kwargs)
    epoch = kwargs.get("limit_train_batches", 12)
    assert sorted(row for batch in whole[:12] for row in batch) == list(range(45)) or epoch < 12
    assert whole[:epoch] != whole[epoch : 2 * epoch]
    found = 0
    for path in tmp_path.glob("*.ckpt"):
        loops = torch.load(path, weights_only=True)["loops"]["fit_loop"]
        done = loops["epoch_loop.batch_progress"]["total"]["processed"]
        assert fit(tmp_path, workers, resume=path, **kwargs) == whole[done:], path.name
        found += 0 < done < len(whole)
    assert found


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_resumed_run_can_be_resumed(tmp_path):
    whole = fit(tmp_path / "1", 0, every=EPOCHS, max_steps=30)
    fit(tmp_path / "2", 0, resume=tmp_path / "1/step=12.ckpt", every=STEPS, max_steps=30)
    assert fit(tmp_path, 0, resume=tmp_path / "2/step=20.ckpt", max_steps=30) == whole[20:]


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("workers", [0, 2])
def test_batches_of_tokens_are_resumed_in_mid_epoch(tmp_path, workers):
    epoch = len(loader(TRAIN, tokens=30))
    whole = fit(tmp_path, workers, every={"every_n_train_steps": epoch - 4}, tokens=30, max_epochs=2)
    assert len(whole) == 2 * epoch and whole[:epoch] != whole[epoch:]
    assert all(
        sorted(row for batch in part for row in batch) == list(range(45)) for part in (whole[:epoch], whole[epoch:])
    )
    assert max(len(batch) * int(TRAIN.lengths[list(batch)].max()) for batch in whole) <= 30
    saved = sorted(tmp_path.glob("*.ckpt"))
    assert len(saved) == 2
    for path in saved:
        done = torch.load(path, weights_only=True)["global_step"]
        assert done % epoch and fit(tmp_path, workers, resume=path, tokens=30, max_epochs=2) == whole[done:]


@pytest.mark.parametrize("workers", [0, 2])
def test_the_position_counts_what_was_handed_out(workers):
    whole = [batch["index"].tolist() for batch in loader(TRAIN)]
    first = loader(TRAIN, workers=workers)
    batches = iter(first)
    assert first.state_dict() == {"epoch": 0, "position": 0, "asked": 0}
    assert [next(batches)["index"].tolist() for _ in range(3)] == whole[:3]
    assert first.state_dict()["position"] == 3
    second = loader(TRAIN, workers=workers)
    second.load_state_dict(first.state_dict())
    assert second.state_dict() == first.state_dict(), "saved again before the first batch"
    assert [batch["index"].tolist() for batch in second] == whole[3:]
    assert [batch["index"].tolist() for batch in second] == whole
    # a pass broken off leaves nothing behind
    assert [batch["index"].tolist() for batch in first] == whole


def test_a_state_of_other_data_is_refused():
    other = loader(VAL)
    with pytest.raises(UserError, match="stands at batch 9, but an epoch has 3"):
        other.load_state_dict({"epoch": 0, "position": 9, "asked": 0})


def test_no_global_randomness_is_drawn_and_none_decides():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    one = [batch["index"].tolist() for batch in loader(TRAIN)]
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(1)
    assert [batch["index"].tolist() for batch in loader(TRAIN)] == one
