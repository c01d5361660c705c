"""The transformers Trainer, as a peer: its settings, and a clock on its steps. Runs in a child process."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import _bench

POOL = 50  # batches of which rows of like length are put together; so it is on data of a usual size, by both


def train(
    setting: str,
    precision: str,
    folder: str,
    model: str,
    train: str,
    val: str,
    batch_size: int,
    max_length: int,
    lr: float,
    epochs: int = 1,
    seed: int = 42,
    predict: bool = False,
) -> dict[str, Any]:
    """Trains and evaluates.

    Args:
        setting: `pad` (run_glue's defaults: every row padded to the maximum length), `dynamic` (padded to the longest
            of the batch), or `grouped` (that, and batches of like length).

    Returns:
        `seconds` of the training steps, `updates`, `precision`, what was `seen` (examples, tokens, computed), and
        with `predict` the label `predicted` for each row of `val`.
    """
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer, Trainer, trainer_pt_utils

    # By itself it sorts 50 batches at a time, but of few rows only a quarter: 1.17 of waste here, 1.03 on all rows.
    grouped = trainer_pt_utils.get_length_grouped_indices
    trainer_pt_utils.get_length_grouped_indices = partial(grouped, mega_batch_mult=POOL)

    torch.manual_seed(seed)  # of the new head
    tokenizer = AutoTokenizer.from_pretrained(model)
    network = AutoModelForSequenceClassification.from_pretrained(model, num_labels=2, dtype=torch.float32)
    collate, clock = Counted(tokenizer, setting), _clock()
    run = Trainer(
        model=network,
        args=_arguments(folder, setting, precision, batch_size, lr, epochs, seed),
        data_collator=collate,
        train_dataset=_encoded(tokenizer, train, max_length, setting),
        eval_dataset=_encoded(tokenizer, val, max_length, setting),
        processing_class=tokenizer,
        callbacks=[clock],
    )
    run.train()
    result: dict[str, Any] = {
        **collate.seen,
        "seconds": clock.marks[-1] - clock.marks[0],
        "updates": run.state.global_step,
    }
    run.evaluate()  # Noria's run ends with both: the peaks of memory are those of the same job
    run.save_model()
    if predict:
        run.args.train_sampling_strategy = "random"  # or it groups what it predicts too, and gives it in that order
        result["predicted"] = run.predict(run.eval_dataset).predictions.argmax(-1).tolist()
    return {**result, "precision": precision}


class Counted:
    """Puts rows together, and counts them.

    Args:
        setting: as of `train`.
    """

    def __init__(self, tokenizer: Any, setting: str) -> None:
        from transformers import DataCollatorWithPadding, default_data_collator

        self.seen = {"examples": 0, "tokens": 0, "computed": 0}
        self._collate: Any = default_data_collator if setting == "pad" else DataCollatorWithPadding(tokenizer)

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        batch: dict[str, Any] = self._collate(rows)
        self.seen["examples"] += batch["attention_mask"].shape[0]
        self.seen["tokens"] += int(batch["attention_mask"].sum())
        self.seen["computed"] += batch["attention_mask"].numel()
        return batch


def _clock() -> Any:
    from transformers import TrainerCallback

    class Clock(TrainerCallback):
        """The batch is there when a step begins, and the weights are changed when it ends: so it is with Noria."""

        def __init__(self) -> None:
            self.marks: list[float] = []

        def on_step_begin(self, *_: Any, **__: Any) -> None:
            self.marks.append(time.perf_counter())

        def on_step_end(self, *_: Any, **__: Any) -> None:
            self.marks.append(time.perf_counter())

    return Clock()


def _encoded(tokenizer: Any, path: str, max_length: int, setting: str) -> Any:
    from datasets import Dataset

    rows = _bench.read_rows(path)
    texts = [row["text"] for row in rows]
    padding = "max_length" if setting == "pad" else False
    tokens = tokenizer(texts, truncation=True, max_length=max_length, padding=padding)
    return Dataset.from_dict({**tokens, "label": [int(row["label"]) for row in rows]})


def _arguments(folder: str, setting: str, precision: str, batch_size: int, lr: float, epochs: int, seed: int) -> Any:
    import torch
    from transformers import TrainingArguments

    return TrainingArguments(
        output_dir=folder,
        num_train_epochs=epochs,
        learning_rate=lr,
        weight_decay=0.01,
        per_device_train_batch_size=batch_size,
        train_sampling_strategy="group_by_length" if setting == "grouped" else "random",
        bf16=precision == "bf16",
        use_cpu=not torch.cuda.is_available(),  # or it refuses bf16 on a CPU
        seed=seed,
        save_strategy="no",
        disable_tqdm=True,
        dataloader_pin_memory=torch.cuda.is_available(),
    )
