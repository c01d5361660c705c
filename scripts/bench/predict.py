"""Prediction side by side: what `stage=predict` runs, and transformers.pipeline at four batch sizes, in texts a second.

Same artifact, sentences, threads and precision; every run is a process of its own. Timed are texts in to answers
out, tokenising included, after 64 texts to warm up; loading is not. Where there is bf16, the pipeline is tried with
bf16 weights as well as in autocast, and its best counts. About ten minutes on 2 cores.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import _bench
import _work
from _bench import NEEDS_BF16, Bar, Run

NORIA = "stage=predict"
BAR = 2.5  # times the pipeline's best, both in bf16
BATCH_SIZES = (1, 8, 32, 64)
WARM_UP = 64
MAX_LENGTH = 128


def main() -> int:
    parser = _bench.parser(__doc__ or "")
    parser.add_argument("--texts", type=int, default=1000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        texts = str(_bench.write_rows(Path(name) / "texts.csv", _bench.rotten_tomatoes(asked.texts, seed=1)))
        artifact = str(Path(name) / "artifact")
        made = _bench.run_function(__file__, "make_artifact", model=str(asked.model.resolve()), folder=artifact).result
        shared = {"artifact": artifact, "texts": texts}
        ways = ("autocast", "weights") if made["precision"] == "bf16" else ("fp32",)

        def pipeline(way: str, size: int) -> Any:
            return lambda: _bench.run_function(__file__, "pipeline", way=way, batch_size=size, **shared)

        found = _bench.rounds(
            {
                NORIA: lambda: _bench.run_function(__file__, "noria", precision=made["precision"], **shared),
                **{f"pipeline, {way}, batch {size}": pipeline(way, size) for way in ways for size in BATCH_SIZES},
            },
            asked.rounds,
        )
    facts = {**made, "texts": asked.texts, "rounds": asked.rounds, "model": str(asked.model)}
    rows = table(found, asked.texts)
    return _bench.report(facts, rows, [bar(rows, made["precision"])], asked.json)


def table(found: dict[str, list[Run]], texts: int) -> list[dict[str, Any]]:
    first = found[NORIA][0].result["labels"]
    rows = []
    for name, runs in found.items():
        seconds = sorted(run.result["seconds"] for run in runs)
        same = sum(one == other for one, other in zip(runs[0].result["labels"], first, strict=True))
        rows.append(
            {
                "prediction": name,
                "texts/s": texts / _bench.middle(seconds),
                "lowest": texts / seconds[-1],
                "highest": texts / seconds[0],
                f"label as {NORIA}": same / texts,
                "peak RSS, MiB": _bench.middle(run.peak_rss for run in runs) / 2**20,
            }
        )
    return rows


def bar(rows: list[dict[str, Any]], precision: str) -> Bar:
    """What is promised of the rows, of which the first is Noria's."""
    best = max(rows[1:], key=lambda row: row["texts/s"])
    ratio = rows[0]["texts/s"] / best["texts/s"]
    return Bar(f"times {best['prediction']}", ratio, BAR, lacking=None if precision == "bf16" else NEEDS_BF16)


def make_artifact(model: str, folder: str) -> dict[str, Any]:
    """For a child: a classifier with a head that has learnt nothing; says what the machine is."""
    import torch

    from noria.artifact import bundle
    from noria.model.pretrained import Pretrained
    from noria.task.text_classification.form import TextClassificationForm
    from noria.task.text_classification.kind import TextClassification

    torch.manual_seed(0)
    pretrained, labels = Pretrained(name=model), ["negative", "positive"]
    tokenizer = pretrained.tokenizer()
    kind = TextClassification.of(TextClassificationForm("single_label", labels))
    facts = {"max_length": MAX_LENGTH, "precision": "auto", "config": {}, "data": {}}
    bundle.save(Path(folder), kind.network(pretrained, tokenizer), tokenizer, kind, facts)
    return {"precision": _work.precision(), "threads": torch.get_num_threads(), "torch": torch.__version__}


def noria(artifact: str, texts: str, precision: str) -> dict[str, Any]:
    """For a child: the way of `stage=predict` from rows to answers, in its own batches."""
    from noria.artifact.bundle import open_artifact
    from noria.inference.runner import Runner
    from noria.task.requests import Given
    from noria.trainer.device import pick_device

    opened = open_artifact(Path(artifact))
    runner = Runner(opened, "bf16-mixed" if precision == "bf16" else "32-true", pick_device("auto"))
    reading = opened.form.reading(Given(texts, {"text": "text"}))
    size = runner.kind.batch_size

    def answers(rows: list[dict[str, Any]]) -> list[str]:
        chunk = size * runner.kind.chunk
        chunks = (rows[start : start + chunk] for start in range(0, len(rows), chunk))
        return [a["prediction"] for some in chunks for a in runner.answer([*map(reading.request, some)], size)]

    return _timed(answers, [{"text": row["text"]} for row in _bench.read_rows(texts)])


def pipeline(artifact: str, texts: str, way: str, batch_size: int) -> dict[str, Any]:
    """For a child: transformers.pipeline, with the probabilities of all labels, as Noria gives them.

    Args:
        way: `fp32`, `autocast` (bf16 over fp32 weights, as Noria), or `weights` (bf16 throughout).
    """
    from contextlib import nullcontext

    import torch
    from transformers import pipeline as make

    device = "cuda" if torch.cuda.is_available() else "cpu"
    dtype = torch.bfloat16 if way == "weights" else torch.float32
    run = make("text-classification", model=artifact, tokenizer=artifact, device=device, dtype=dtype)

    def answers(rows: list[str]) -> list[str]:
        with torch.autocast(device, torch.bfloat16) if way == "autocast" else nullcontext():
            found = run(rows, batch_size=batch_size, top_k=None, truncation=True, max_length=MAX_LENGTH)
        return [max(row, key=lambda one: one["score"])["label"] for row in found]

    return _timed(answers, [row["text"] for row in _bench.read_rows(texts)])


def _timed(answers: Any, rows: list[Any]) -> dict[str, Any]:
    answers(rows[:WARM_UP])
    started = time.perf_counter()
    labels = answers(rows)
    return {"seconds": time.perf_counter() - started, "labels": labels}


if __name__ == "__main__":
    sys.exit(main())
