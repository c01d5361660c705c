"""Questions on passages side by side: Noria and the transformers Trainer with the recipe of run_qa at its best (dynamic
padding, windows of like length, bf16), on the same model, rows, batch and epochs: windows a second in training, and F1
of answers.

The file is in SQuAD's format; some of its articles are trained on, the others measured on (`data.val_fraction`). Each
run is a process of its own; the contestants take turns. The difference in F1 is resampled over seeds and questions.
About three hours on 2 cores for five seeds of PolicyQA.

    python scripts/bench/questions.py --data dev.json
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import _bench
import numpy as np
from _bench import ROOT, Bar

NORIA, PEER = "Noria", "Trainer with run_qa's recipe"
FASTER, MARGIN = 1.3, 0.02
RESAMPLES = 2000


def main() -> int:
    parser = _bench.parser(__doc__ or "")
    parser.add_argument("--data", type=Path, help="file in SQuAD's format")
    parser.add_argument("--val-fraction", type=float, default=0.35)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--max-length", type=int, default=384)
    parser.add_argument("--stride", type=int, default=128)
    parser.add_argument("--lr", type=float, default=1e-4)
    asked = parser.parse_args()
    if asked.data is None:
        print("Nothing is measured: name a file in SQuAD's format with --data.")
        return 0
    names = ("val_fraction", "epochs", "batch_size", "max_length", "stride", "lr")
    shared = {"model": str(asked.model.resolve()), "data": str(asked.data.resolve())}
    shared |= {name: getattr(asked, name) for name in names}
    found: dict[str, list[dict[str, Any]]] = {NORIA: [], PEER: []}
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(asked.seeds):
            turns = [(NORIA, noria), (PEER, trainer)]
            for name, train in turns if seed % 2 == 0 else turns[::-1]:
                found[name].append(train(Path(folder) / "run", seed=seed, **shared))
                last = found[name][-1]
                print(f"{name}, seed {seed}: F1 {np.mean(last['f1']):.4f}, {last['speed']:.1f} windows/s", flush=True)
    return judge(found, vars(asked), asked.json)


def noria(
    folder: Path, seed: int, model: str, data: str, val_fraction: float, epochs: int, batch_size: int, max_length: int,
    stride: int, lr: float,
) -> dict[str, Any]:  # fmt: skip
    """Noria's own command line; the last weights count, so that nothing was chosen on the held-out questions."""
    import pyarrow.parquet as pq

    shutil.rmtree(folder, ignore_errors=True)
    _bench.run_command(
        [
            *(sys.executable, ROOT / "scripts/run.py", "experiment=answer_policyqa", "precision=auto", "logger=csv"),
            *("model=hub", f"model.name={model}", f"data.path={data}", f"data.val_fraction={val_fraction}"),
            *(f"seed={seed}", f"optimizer.lr={lr}", f"trainer.max_epochs={epochs}", "scheduler.warmup_steps=0"),
            *(f"data.batch_size={batch_size}", f"data.max_length={max_length}", f"task.stride={stride}"),
            *("~callback.checkpoint", "stage.test=false", f"paths.run_dir={folder}", f"paths.runs={folder}/all"),
        ]
    )
    record = json.loads((folder / "record.json").read_text())
    rows = pq.read_table(folder / "predictions.parquet").to_pylist()
    said = {row["id"]: row["response"] for row in rows}
    return measured(data, val_fraction, said) | {"speed": record["throughput"]["examples_per_second"]}


def trainer(folder: Path, data: str, val_fraction: float, **shared: Any) -> dict[str, Any]:
    """The Trainer, in a process of its own."""
    from noria.trainer.precision import best_precision

    bf16 = best_precision("auto")[0].startswith("bf16")
    given = {"folder": str(folder), "data": data, "val_fraction": val_fraction, "bf16": bf16, **shared}
    done = _bench.run_function(__file__, "peer", **given).result
    return measured(data, val_fraction, done["said"]) | {"speed": done["speed"]}


def peer(
    folder: str, bf16: bool, seed: int, model: str, data: str, val_fraction: float, epochs: int, batch_size: int,
    max_length: int, stride: int, lr: float,
) -> dict[str, Any]:  # fmt: skip
    """As transformers' own example of question answering has it: a window without the whole answer learns its first
    token; the span with the highest sum of two logits over all windows, of at most 30 tokens, is the answer."""
    import _peer
    import torch
    from datasets import Dataset
    from transformers import AutoModelForQuestionAnswering, AutoTokenizer, DataCollatorWithPadding, Trainer

    torch.manual_seed(seed)
    tokenizer = AutoTokenizer.from_pretrained(model)
    train, val = (rows(data, val_fraction, split) for split in ("train", "val"))

    def windows(some: list[dict[str, Any]]) -> Any:
        return tokenizer(
            [row["text_pair"].lstrip() for row in some], [row["text"] for row in some], truncation="only_second",
            max_length=max_length, stride=stride, return_overflowing_tokens=True, return_offsets_mapping=True,
        )  # fmt: skip

    def encoded(some: list[dict[str, Any]]) -> Any:
        made = windows(some)
        owners, offsets = made.pop("overflow_to_sample_mapping"), made.pop("offset_mapping")
        starts, ends = [], []
        for window, owner in enumerate(owners):
            answer, parts = some[owner]["answers"][0], made.sequence_ids(window)
            own = [token for token, part in enumerate(parts) if part == 1]
            begin, stop = answer["start"], answer["start"] + len(answer["text"])
            if offsets[window][own[0]][0] > begin or offsets[window][own[-1]][1] < stop:
                own = []
            starts.append(max((t for t in own if offsets[window][t][0] <= begin), default=0))
            ends.append(min((t for t in own if offsets[window][t][1] >= stop), default=0))
        return Dataset.from_dict({**made, "start_positions": starts, "end_positions": ends})

    network = AutoModelForQuestionAnswering.from_pretrained(model, dtype=torch.float32)
    clock, dataset = _peer._clock(), encoded(train)
    run = Trainer(
        model=network,
        args=_peer._arguments(folder, "grouped", "bf16" if bf16 else "fp32", batch_size, lr, epochs, seed),
        data_collator=DataCollatorWithPadding(tokenizer),
        train_dataset=dataset,
        processing_class=tokenizer,
        callbacks=[clock],
    )
    run.train()
    seconds = clock.marks[-1] - clock.marks[0]
    made = windows(val)
    owners, offsets = made.pop("overflow_to_sample_mapping"), made.pop("offset_mapping")
    run.args.train_sampling_strategy = "random"
    logits = run.predict(Dataset.from_dict(dict(made))).predictions
    best: dict[int, tuple[float, str]] = {}
    for window, owner in enumerate(owners):
        parts = made.sequence_ids(window)
        places = [place if part == 1 else None for place, part in zip(offsets[window], parts, strict=True)]
        found = likeliest(logits[0][window], logits[1][window], places)
        if found and (owner not in best or found[0] > best[owner][0]):
            best[owner] = found[0], val[owner]["text"][slice(*found[1])]
    said = {row["id"]: best[number][1] if number in best else "" for number, row in enumerate(val)}
    return {"said": said, "speed": epochs * len(dataset) / seconds}


def likeliest(
    starts: np.ndarray, ends: np.ndarray, places: Sequence[tuple[int, int] | None]
) -> tuple[float, tuple[int, int]] | None:
    """run_qa's choice in one window: of the 20 likeliest beginnings and ends the best pair."""
    found = None
    for start in np.argsort(starts)[-1:-21:-1].tolist():
        for end in np.argsort(ends)[-1:-21:-1].tolist():
            if start >= len(places) or end >= len(places) or not start <= end < start + 30:
                continue
            first, last = places[start], places[end]
            score = float(starts[start] + ends[end])
            if first and last and (found is None or score > found[0]):
                found = score, (first[0], last[1])
    return found


def rows(data: str, val_fraction: float, split: str) -> list[dict[str, Any]]:
    """The rows of a side, as Noria cuts them."""
    from noria.data.rows.split import complete
    from noria.data.source.squad import read_squad

    found: list[dict[str, Any]] = complete({"train": read_squad(data)}, val_fraction, 0.0)[split].table.to_pylist()
    return found


def measured(data: str, val_fraction: float, said: dict[str, str]) -> dict[str, Any]:
    """The F1 of each answer, in the order of the rows, and the article of each."""
    from noria.metric.answer_f1 import AnswerF1
    from noria.metric.answers import Answers, objects

    val = rows(data, val_fraction, "val")
    reference = objects([[answer["text"] for answer in row["answers"]] for row in val])
    answers = Answers({"reference": reference, "response": objects([said[row["id"]] for row in val])})
    return {"f1": AnswerF1().features(answers)[:, 0].tolist(), "article": [row["group"] for row in val]}


def judge(found: dict[str, list[dict[str, Any]]], facts: dict[str, Any], path: Path | None) -> int:
    """The table, the difference with its interval over seeds and questions, and the verdict."""
    table = []
    for name, runs in found.items():
        each = np.array([np.mean(run["f1"]) for run in runs])
        row: dict[str, Any] = {"trained by": name, "seeds": len(each), "F1": f"{each.mean():.4f}"}
        row["sd"] = f"{each.std(ddof=1):.4f}" if len(each) > 1 else "one seed"
        table.append(row | {"windows/s": f"{_bench.middle(run['speed'] for run in runs):.1f}"})
    ours, theirs = (np.array([run["f1"] for run in found[name]]) for name in (NORIA, PEER))
    low, high = interval(ours, theirs)
    ratio = _bench.middle(run["speed"] for run in found[NORIA]) / _bench.middle(run["speed"] for run in found[PEER])
    bars = [Bar("times as fast", ratio, FASTER), Bar("difference in F1, lower end", low, -MARGIN)]
    said = {key: str(value) if isinstance(value, Path) else value for key, value in facts.items()}
    difference = ours.mean() - theirs.mean()
    articles = len({*found[NORIA][0]["article"]})
    said |= {"questions measured": ours.shape[1], "of articles": articles}
    said |= {"difference in F1": f"{difference:+.4f} [{low:+.4f}, {high:+.4f}]"}
    return _bench.report(said, table, bars, path)


def interval(ours: np.ndarray, theirs: np.ndarray) -> tuple[float, float]:
    """95 % of the difference in mean F1 (seeds, questions): questions are drawn for both at once, the seeds of each for
    itself (Sellam et al. 2022, The MultiBERTs, section 4)."""
    rng = np.random.default_rng(0)
    count = ours.shape[1]
    drawn = []
    for _ in range(RESAMPLES):
        weights = rng.multinomial(count, np.full(count, 1 / count)) / count
        means = [np.mean(scores[rng.integers(0, len(scores), len(scores))] @ weights) for scores in (ours, theirs)]
        drawn.append(means[0] - means[1])
    low, high = np.quantile(drawn, [0.025, 0.975])
    return float(low), float(high)


if __name__ == "__main__":
    sys.exit(main())
