"""Named entities side by side: Noria and the transformers Trainer at its best (dynamic padding, batches of like length,
bf16), on the same model, rows, batch and epochs: examples a second in training, and entity F1 on held-out sentences.

The files are CoNLL: a word and its tag a line. Each run is a process of its own; the contestants take turns. The
difference in F1 is resampled over seeds and over sentences. About half an hour on 2 cores for five seeds of WNUT-17.

    python scripts/bench/entities.py --train train.conll --val dev.conll
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import _bench
import numpy as np
from _bench import ROOT, Bar

NORIA, PEER = "Noria", "Trainer at its best"
FASTER, MARGIN = 1.3, 0.02
RESAMPLES = 2000


def main() -> int:
    parser = _bench.parser(__doc__ or "")
    parser.add_argument("--train", type=Path, help="CoNLL file to train on")
    parser.add_argument("--val", type=Path, help="CoNLL file to measure on")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--max-length", type=int, default=128)
    parser.add_argument("--lr", type=float, default=3e-4)
    asked = parser.parse_args()
    if asked.train is None or asked.val is None:
        print("Nothing is measured: name CoNLL files with --train and --val.")
        return 0
    shared = {
        "model": str(asked.model.resolve()),
        "train": str(asked.train.resolve()),
        "val": str(asked.val.resolve()),
        **{name: getattr(asked, name) for name in ("epochs", "batch_size", "max_length", "lr")},
    }
    found: dict[str, list[dict[str, Any]]] = {NORIA: [], PEER: []}
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(asked.seeds):
            turns = [(NORIA, noria), (PEER, trainer)]
            for name, train in turns if seed % 2 == 0 else turns[::-1]:
                found[name].append(train(Path(folder) / "run", seed=seed, **shared))
                last = found[name][-1]
                print(f"{name}, seed {seed}: F1 {last['f1']:.4f}, {last['speed']:.1f} examples/s", flush=True)
    return judge(found, vars(asked), asked.json)


def noria(
    folder: Path, seed: int, model: str, train: str, val: str, epochs: int, batch_size: int, max_length: int, lr: float
) -> dict[str, Any]:
    """Noria's own command line; the last weights count, so that nothing was chosen on the held-out sentences."""
    import pyarrow.parquet as pq

    shutil.rmtree(folder, ignore_errors=True)
    _bench.run_command(
        [
            *(sys.executable, ROOT / "scripts/run.py", "experiment=entities", "precision=auto", "logger=csv"),
            *("model=hub", f"model.name={model}", f"data.path={train}", f"data.val_path={val}", f"seed={seed}"),
            *(f"optimizer.lr={lr}", f"trainer.max_epochs={epochs}", "scheduler.warmup_steps=0", "stage.test=false"),
            *(f"data.batch_size={batch_size}", f"data.max_length={max_length}", "~callback.checkpoint"),
            *(f"paths.run_dir={folder}", f"paths.runs={folder}/all"),
        ]
    )
    record = json.loads((folder / "record.json").read_text())
    rows = pq.read_table(folder / "predictions.parquet").to_pylist()
    rows.sort(key=lambda row: int(row["id"].rpartition(":")[2]))
    return measured([row["label"] for row in rows], [row["prediction"] for row in rows]) | {
        "speed": record["throughput"]["examples_per_second"]
    }


def trainer(folder: Path, **shared: Any) -> dict[str, Any]:
    """The Trainer, in a process of its own."""
    from noria.trainer.precision import best_precision

    bf16 = best_precision("auto")[0].startswith("bf16")
    done = _bench.run_function(__file__, "peer", folder=str(folder), bf16=bf16, **shared).result
    return measured(done["true"], done["said"]) | {"speed": done["speed"]}


def peer(
    folder: str, bf16: bool, seed: int, model: str, train: str, val: str, epochs: int, batch_size: int, max_length: int,
    lr: float,
) -> dict[str, Any]:  # fmt: skip
    """As transformers' own example of token classification has it: the first token of a word is its label's."""
    import _peer
    import torch
    from datasets import Dataset
    from transformers import AutoModelForTokenClassification, AutoTokenizer, DataCollatorForTokenClassification, Trainer

    torch.manual_seed(seed)
    tokenizer = AutoTokenizer.from_pretrained(model)
    sentences = {name: read(path) for name, path in (("train", train), ("val", val))}
    labels = sorted({tag for _, tags in sentences["train"] for tag in tags})
    numbers = {label: number for number, label in enumerate(labels)}

    def encoded(rows: list[tuple[list[str], list[str]]]) -> Any:
        made = tokenizer([w for w, _ in rows], is_split_into_words=True, truncation=True, max_length=max_length)
        targets = []
        for row, (_, tags) in enumerate(rows):
            words = made.word_ids(row)
            firsts = [word is not None and word != before for word, before in zip(words, [None, *words], strict=False)]
            targets.append([numbers[tags[w]] if first else -100 for w, first in zip(words, firsts, strict=True)])
        return Dataset.from_dict({**made, "labels": targets})

    network = AutoModelForTokenClassification.from_pretrained(model, num_labels=len(labels), dtype=torch.float32)
    clock = _peer._clock()
    run = Trainer(
        model=network,
        args=_peer._arguments(folder, "grouped", "bf16" if bf16 else "fp32", batch_size, lr, epochs, seed),
        data_collator=DataCollatorForTokenClassification(tokenizer),
        train_dataset=encoded(sentences["train"]),
        eval_dataset=encoded(sentences["val"]),
        processing_class=tokenizer,
        callbacks=[clock],
    )
    run.train()
    seconds = clock.marks[-1] - clock.marks[0]
    run.args.train_sampling_strategy = "random"
    found = run.predict(run.eval_dataset)
    said = []
    for scores, targets, (_, tags) in zip(found.predictions, found.label_ids, sentences["val"], strict=True):
        mine = [labels[number] for number in scores.argmax(-1)[targets != -100]]
        said.append(mine + ["O"] * (len(tags) - len(mine)))  # words that were cut off
    true = [tags for _, tags in sentences["val"]]
    return {"true": true, "said": said, "speed": epochs * len(sentences["train"]) / seconds}


def read(path: str) -> list[tuple[list[str], list[str]]]:
    """The words and tags of each sentence."""
    blocks = Path(path).read_text(encoding="utf-8").split("\n\n")
    lines = [[line.split("\t") for line in block.split("\n") if line.strip()] for block in blocks]
    return [([fields[0] for fields in some], [fields[-1] for fields in some]) for some in lines if some]


def measured(true: list[list[str]], said: list[list[str]]) -> dict[str, Any]:
    """Entity F1 by seqeval, and the counts of each sentence: right, found, there."""
    from seqeval.metrics import f1_score
    from seqeval.scheme import IOB2

    from noria.metric.tags import strict_entities

    pairs = [(set(strict_entities(a)), set(strict_entities(b))) for a, b in zip(true, said, strict=True)]
    counts = [[len(a & b), len(b), len(a)] for a, b in pairs]
    return {"f1": float(f1_score(true, said, mode="strict", scheme=IOB2)), "counts": counts}


def judge(found: dict[str, list[dict[str, Any]]], facts: dict[str, Any], path: Path | None) -> int:
    """The table, the difference with its interval over seeds and sentences, and the verdict."""
    rows = []
    for name, runs in found.items():
        each = np.array([run["f1"] for run in runs])
        speed = _bench.middle(run["speed"] for run in runs)
        row: dict[str, Any] = {"trained by": name, "seeds": len(each), "entity F1": f"{each.mean():.4f}"}
        row["sd"] = f"{each.std(ddof=1):.4f}" if len(each) > 1 else "one seed"
        rows.append(row | {"examples/s": f"{speed:.1f}"})
    ours, theirs = (np.array([run["counts"] for run in found[name]], float) for name in (NORIA, PEER))
    low, high = interval(ours, theirs)
    ratio = _bench.middle(run["speed"] for run in found[NORIA]) / _bench.middle(run["speed"] for run in found[PEER])
    bars = [Bar("times as fast", ratio, FASTER), Bar("difference in F1, lower end", low, -MARGIN)]
    mean = np.mean([run["f1"] for run in found[NORIA]]) - np.mean([run["f1"] for run in found[PEER]])
    said = {**{k: str(v) if isinstance(v, Path) else v for k, v in facts.items()}}
    said |= {"entities there": int(ours[0, :, 2].sum()), "difference in F1": f"{mean:+.4f} [{low:+.4f}, {high:+.4f}]"}
    return _bench.report(said, rows, bars, path)


def interval(ours: np.ndarray, theirs: np.ndarray) -> tuple[float, float]:
    """95 % of the difference in mean F1 of counts (seeds, sentences, 3): sentences are drawn for both at once, the
    seeds of each for itself (Sellam et al. 2022, The MultiBERTs, section 4)."""
    rng = np.random.default_rng(0)
    count = ours.shape[1]
    drawn = []
    for _ in range(RESAMPLES):
        weights = rng.multinomial(count, np.full(count, 1 / count))
        both = []
        for counts in (ours, theirs):
            seeds = rng.integers(0, len(counts), len(counts))
            right, said, there = np.moveaxis(np.einsum("snk,n->sk", counts[seeds], weights), 1, 0)
            both.append((2 * right / np.maximum(said + there, 1)).mean())
        drawn.append(both[0] - both[1])
    low, high = np.quantile(drawn, [0.025, 0.975])
    return float(low), float(high)


if __name__ == "__main__":
    sys.exit(main())
