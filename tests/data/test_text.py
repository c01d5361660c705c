from __future__ import annotations

import json

import lightning as L
import numpy as np
import pyarrow as pa
import pytest
import torch

from noria.common.errors import UserError
from noria.data.rows.rows import Rows, from_table
from noria.data.text import TextData
from noria.task.text_classification.form import TextClassificationForm


class Given(TextData):
    """Splits given as lists of records."""

    def __init__(self, splits, kind="single_label", tokenizer=None, labels=None, **kwargs):
        super().__init__(**kwargs)
        self.bind(TextClassificationForm(kind, labels or ()), tokenizer, 1)
        self.given = splits
        self.reads = 0

    def read(self) -> dict[str, Rows]:
        self.reads += 1
        text = ["text", "pair"] if "pair" in self.given["train"][0] else ["text"]
        return {
            name: from_table(pa.Table.from_pylist(records), source=name, where=f"{name}.csv", text=text, label="label")
            for name, records in self.given.items()
        }


def test_setup_splits_encodes_and_reports(reviews, tokenizer):
    dirty = [*reviews, {"text": " ", "label": "good"}, {"text": "x", "label": None}]
    data = Given({"train": dirty}, tokenizer=tokenizer, max_length=8)
    data.prepare_data()
    data.setup("fit")
    assert data.reads == 1
    assert data.labels == ["bad", "good"]
    assert list(data.splits) == ["train", "val", "test"]
    assert data.report["rows"] == {name: len(rows) for name, rows in data.splits.items()}
    assert sum(data.report["rows"].values()) == 60
    assert data.report["dropped"] == {"train": {"no_text": 1, "no_label": 1}}
    assert set(data.report["truncated"]) == {"train", "val"}, "the test split was touched"
    expected = sum(len(tokenizer(text)["input_ids"]) > 8 for text in data.splits["train"].texts)
    assert data.report["truncated"]["train"] == expected > 0
    assert json.loads(json.dumps(data.report)) == data.report


def test_batches_match_the_rows(reviews, tokenizer):
    data = Given({"train": reviews}, tokenizer=tokenizer, batch_size=7, eval_batch_size=5)
    data.setup()
    for name, batches in (("train", data.train_dataloader()), ("val", data.val_dataloader())):
        rows, seen = data.splits[name], []
        for batch in batches:
            for i, index in enumerate(batch["index"].tolist()):
                ids = batch["input_ids"][i][batch["attention_mask"][i] == 1].tolist()
                assert ids == tokenizer(rows.texts[index])["input_ids"]
                assert data.labels[batch["labels"][i]] == rows.table["label"][index].as_py()
                seen.append(index)
        assert sorted(seen) == list(range(len(rows)))
    assert len(data.train_dataloader()) == data.batches_per_epoch(1)
    assert data.batches_per_epoch(2) == -(-len(data.splits["train"]) // 14)
    assert data.loader("test", batch_size=3).sampler.batch_size == 3


def test_batches_by_tokens(reviews, tokenizer):
    data = Given({"train": reviews}, tokenizer=tokenizer, batch_size=7, batch_tokens=40, max_length=20)
    shapes = [batch["input_ids"].shape for batch in data.train_dataloader()]
    assert len(shapes) == data.batches_per_epoch(1) > data.batches_per_epoch(2) > 1
    assert max(shape.numel() for shape in shapes) <= 40 and len({len(shape) for shape in shapes}) == 1
    assert sum(shape[0] for shape in shapes) == len(data.splits["train"])
    assert len(data.loader("train", shuffle=True, batch_size=5)) == -(-len(data.splits["train"]) // 5)
    assert len(data.val_dataloader()) == 1, "evaluation goes by examples"


def test_official_splits_and_a_duplicate_in_two_of_them(reviews):
    val = [{"text": reviews[0]["text"].upper() + " ", "label": "good"}, {"text": "new", "label": "bad"}]
    data = Given({"train": reviews, "val": val}, test_fraction=0.0)
    data.setup()
    assert data.report["rows"] == {"train": 60, "val": 2}
    assert data.report["overlaps"] == {"train/val": {"count": 1, "examples": [reviews[0]["text"]]}}


def test_a_label_that_train_never_has(reviews):
    with pytest.raises(UserError, match=r"val.csv, row val:2: the label 'meh' is not among .*: bad, good"):
        Given({"train": reviews, "val": [{"text": "a", "label": "bad"}, {"text": "b", "label": "meh"}]}).setup()


def test_known_labels_keep_their_order_and_refuse_others(reviews):
    data = Given({"train": reviews}, labels=["good", "other", "bad"])
    data.setup()
    assert data.labels == ["good", "other", "bad"]
    target = data.form.targets(data.splits["train"])[0]
    assert data.labels[target] == data.splits["train"].table["label"][0].as_py()
    with pytest.raises(UserError, match=r"row train:2: the label 'bad' is not among the known ones: good"):
        Given({"train": reviews}, labels=["good"]).setup()


def test_limit_takes_rows_by_their_text_but_knows_all_labels(reviews):
    rare = [*reviews, {"text": "the only one", "label": "rare"}]
    data = Given({"train": rare, "val": reviews}, limit=3, eval_limit=3, test_fraction=0)
    data.setup()
    assert data.report["rows"] == {"train": 3, "val": 3}
    assert data.labels == ["bad", "good", "rare"]
    chosen = data.splits["train"].texts
    turned = Given({"train": rare[::-1], "val": reviews}, limit=3, eval_limit=3, test_fraction=0)
    turned.setup()
    assert turned.splits["train"].texts == chosen[::-1], "the order of the file decides"
    assert [rare.index(row) for text in chosen for row in rare if row["text"] == text] != [0, 1, 2]
    assert chosen == [row["text"] for row in rare if row["text"] in chosen], "they stay in the order of the file"


def test_trials_with_another_limit_are_measured_on_the_same_rows(reviews):
    found = [Given({"train": reviews}, limit=limit) for limit in (3, 9, None)]
    for data in found:
        data.setup()
    assert [len(data.splits["train"]) for data in found][:2] == [3, 9]
    for split in ("val", "test"):
        assert len({data.fingerprints[split] for data in found}) == 1
    fewer = Given({"train": reviews}, eval_limit=2)
    fewer.setup()
    assert fewer.report["rows"] == {**found[-1].report["rows"], "val": 2, "test": 2}


def test_several_labels(tokenizer):
    data = Given(
        {"train": [{"text": f"t{i}", "label": ["a", "b;a", ""][i % 3]} for i in range(60)]},
        "multi_label",
        tokenizer,
        label_separator=";",
    )
    data.setup()
    assert data.labels == ["a", "b"] and data.report["dropped"] == {"train": {}}
    batch = next(iter(data.train_dataloader()))
    assert batch["labels"].dtype == torch.float32 and batch["labels"].shape[1] == 2
    for row, index in zip(batch["labels"], batch["index"], strict=True):
        names = data.splits["train"].table["label"][int(index)].as_py()
        assert [data.labels[int(i)] for i in row.nonzero()] == sorted(names)


def test_regression(tokenizer):
    train = [{"text": f"t{i}", "label": i / 4} for i in range(40)] + [{"text": "x", "label": float("nan")}]
    data = Given({"train": train}, "regression", tokenizer)
    data.setup()
    assert data.labels == [] and data.report["dropped"] == {"train": {"no_label": 1}}
    batch = next(iter(data.train_dataloader()))
    assert batch["labels"].dtype == torch.float32 and batch["labels"].ndim == 1
    index = int(batch["index"][0])
    assert data.splits["train"].ids[index] == f"train:{int(batch['labels'][0] * 4) + 1}"


def test_pairs(tokenizer):
    train = [{"text": f"t{i}", "pair": f"p{i} q", "label": i % 2} for i in range(40)]
    data = Given({"train": train}, tokenizer=tokenizer)
    data.setup()
    batch = next(iter(data.train_dataloader()))
    assert data.labels == ["0", "1"] and batch["token_type_ids"].max() == 1
    index = int(batch["index"][0])
    text, pair = data.splits["train"].texts[index], data.splits["train"].pairs[index]
    assert (
        batch["input_ids"][0].tolist()[: len(tokenizer(text, pair)["input_ids"])] == tokenizer(text, pair)["input_ids"]
    )


def test_fingerprints_see_ids_texts_and_labels(reviews):
    def prints(records, **kwargs):
        data = Given({"train": records, "val": reviews[:9]}, test_fraction=0, **kwargs)
        data.setup()
        return data.fingerprint, data.fingerprints["train"], data.fingerprints["val"]

    base = prints(reviews)
    assert base == prints(reviews, batch_size=3) and len(set(base)) == 3
    flipped = [{**row, "label": "good"} if i == 1 else row for i, row in enumerate(reviews)]
    changed = [{**row, "text": "other"} if i == 2 else row for i, row in enumerate(reviews)]
    for other in (flipped, changed, reviews[::-1]):
        found = prints(other)
        assert found[0] != base[0] and found[1] != base[1] and found[2] == base[2]


def test_the_seed_orders_batches_but_moves_no_row(reviews, tokenizer):
    orders, rows = [], []
    for seed in (1, 2):
        data = Given({"train": reviews}, tokenizer=tokenizer, batch_size=4)
        data.seed = seed
        data.setup()
        rows.append(data.splits["train"].ids)
        orders.append(np.concatenate([batch["index"] for batch in data.train_dataloader()]).tolist())
    assert rows[0] == rows[1] and orders[0] != orders[1] and sorted(orders[0]) == sorted(orders[1])


def test_splits_that_are_not_there(reviews, tokenizer):
    data = Given({"train": reviews}, tokenizer=tokenizer, val_fraction=0, test_fraction=0)
    data.setup()
    assert list(data.splits) == ["train"] and data.val_dataloader() == []
    with pytest.raises(UserError, match=r"no split 'test'. There are: train"):
        data.test_dataloader()
    with pytest.raises(UserError, match="too few"):
        Given({"train": reviews[:2]}).setup()


class Counting(L.LightningModule):
    """Counts the rows of every stage; learns nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.rows = {"train": 0, "val": 0, "test": 0}

    def training_step(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        self.rows["train"] += len(batch["labels"])
        return self.weight.sum()

    def validation_step(self, batch: dict[str, torch.Tensor]) -> None:
        self.rows["val"] += len(batch["labels"])

    def test_step(self, batch: dict[str, torch.Tensor]) -> None:
        self.rows["test"] += len(batch["labels"])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("val_fraction", [0.2, 0])
def test_a_trainer_takes_the_data(reviews, tokenizer, tmp_path, val_fraction):
    data = Given({"train": reviews}, tokenizer=tokenizer, val_fraction=val_fraction, batch_size=8)
    trainer = L.Trainer(
        accelerator="cpu", max_epochs=2, logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, num_sanity_val_steps=0, default_root_dir=tmp_path,
    )  # fmt: skip
    model = Counting()
    trainer.fit(model, datamodule=data)
    trainer.test(model, datamodule=data, verbose=False)
    rows = data.report["rows"]
    assert model.rows == {"train": 2 * rows["train"], "val": 2 * rows.get("val", 0), "test": rows["test"]}
