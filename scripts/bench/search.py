"""Search side by side, on a collection with judged queries: what is found by words, by vectors and by both, and in
fewer bits; documents encoded and pairs learnt a second, beside sentence-transformers at its best; how long a search
takes; and what learning from titles with their texts does to held-out ones and to the judged queries, never seen.

Every run is a process of its own; the contestants take turns. About twenty minutes on 2 cores, best on an idle machine.

    python scripts/bench/search.py --collection cranfield
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import _bench
from _bench import NEEDS_BF16, ROOT, Bar

# nDCG@10 of Cranfield with every relevant document alike, as bm25s, MiniLM and their fusion have it by themselves
WANTED = {"lexical": 0.382, "dense": 0.395, "hybrid": 0.425}
NEAR, LOST = 0.01, 0.003
ENCODED, SMALL_ENCODED, TRAINED, LATENCY = 1.2, 2.0, 1.3, 0.025
EIGHT_BITS = "Noria, ONNX in 8 bits"
SIZES = (16, 32, 64, 128)
PASSAGES, WIDTH = 100_000, 384
RUN = (sys.executable, ROOT / "scripts/run.py")
Table = tuple[list[dict[str, Any]], list[Bar]]


def main() -> int:
    parser = _bench.parser(__doc__ or "")
    parser.add_argument("--collection", type=Path, help="folder in BEIR's format or SMART's")
    parser.add_argument("--only", choices=list(PARTS), help="one part")
    asked = parser.parse_args()
    if asked.collection is None:
        print("Nothing is measured: name a collection with --collection.")
        return 0
    missed = 0
    for name, part in PARTS.items():
        if asked.only in (None, name):
            with tempfile.TemporaryDirectory() as folder:
                rows, bars = part(Path(folder), asked.collection.resolve(), str(asked.model.resolve()), asked.rounds)
            facts = {"part": name, "collection": asked.collection.name, "threads": os.cpu_count()}
            path = asked.json and asked.json.with_name(f"{asked.json.stem}_{name}.json")
            missed |= _bench.report(facts, rows, bars, path)
            print()
    return missed


def found(folder: Path, collection: Path, model: str, rounds: int) -> Table:
    """What an index finds, in each mode and with vectors of each form, and their room."""
    rows, values = [], {}
    for vectors in ("fp32", "int8", "binary"):
        index = folder / vectors
        make_index(index, collection, model, f"stage.vectors={vectors}")
        room = sum((index / "index" / name).stat().st_size for name in ("vectors.npy", "vectors.faiss", "bits.faiss")
                   if (index / "index" / name).is_file())  # fmt: skip
        for mode in ("lexical", "dense", "hybrid") if vectors == "fp32" else ("dense",):
            estimate = searched(folder / f"{vectors}_{mode}", index, collection, mode)["test/ndcg"]
            values[vectors, mode] = estimate["value"]
            interval = f"[{estimate['low']:.3f}, {estimate['high']:.3f}]"
            row = {"vectors": vectors, "mode": mode, "nDCG@10": f"{estimate['value']:.4f} {interval}"}
            rows.append(row | {"bytes of vectors": None if mode == "lexical" else room})
    bars = [
        Bar(f"{mode}, from {wanted}", abs(values["fp32", mode] - wanted), NEAR, at_most=True)
        for mode, wanted in WANTED.items()
    ]
    bars.append(Bar("int8 loses", values["fp32", "dense"] - values["int8", "dense"], LOST, at_most=True))
    sizes = {row["vectors"]: row["bytes of vectors"] for row in rows if row["mode"] == "dense"}
    return rows, [*bars, Bar("int8, times smaller", sizes["fp32"] / sizes["int8"], 3.9)]


def tuned(folder: Path, collection: Path, model: str, rounds: int) -> Table:
    """MiniLM before and after three epochs on titles with their texts: held-out pairs, and the judged queries."""
    pairs = write_pairs(folder / "pairs.jsonl", collection)
    shared = [*RUN, "task=embedding", "data=pairs", f"data.path={pairs}", "model=hub", f"model.name={model}"]
    shared += ["data.val_fraction=0.2", "data.test_fraction=0", "logger=csv", f"paths.runs={folder}/all"]
    _bench.run_command([*shared, "stage=evaluate", "stage.split=val", f"paths.run_dir={folder}/before"])
    fit = ["trainer.max_epochs=3", "optimizer.lr=2e-5", "~callback.checkpoint", f"paths.run_dir={folder}/after"]
    _bench.run_command([*shared, *fit])
    runs = f"stage.runs=[{folder}/before,{folder}/after]"
    compared = ["stage=compare", runs, "stage.split=val", "stage.metric=ndcg", "logger=csv"]
    _bench.run_command([*RUN, *compared, f"paths.run_dir={folder}/compared", f"paths.runs={folder}/all"])
    difference = paired(folder / "before/predictions.parquet", folder / "after/predictions.parquet")
    rows = []
    for name in ("before", "after"):
        metrics = json.loads((folder / name / "record.json").read_text())["metrics"]
        index = folder / f"index_{name}"
        artifact = "before/artifact" if name == "before" else "after/artifact"
        make_index(index, collection, model, f"artifact={folder / artifact}")
        row = {"model": name, "held-out pairs": shown(metrics["val/ndcg"])}
        for mode in ("dense", "hybrid"):
            row[f"judged, {mode}"] = shown(searched(folder / f"{name}_{mode}", index, collection, mode)["test/ndcg"])
        rows.append(row)
    return rows, [Bar("held-out pairs, difference, lower end", difference[0], 0.0)]


def paired(before: Path, after: Path) -> tuple[float, float]:
    """95 % of the difference in nDCG over held-out pairs, by a bootstrap over queries."""
    import numpy as np
    import pyarrow.parquet as pq

    from noria.metric.answers import Answers, objects
    from noria.metric.ndcg import NDCG

    scores = []
    for path in (before, after):
        rows = sorted(
            (row for row in pq.read_table(path).to_pylist() if row["split"] == "val"), key=lambda row: row["id"]
        )
        columns = {name: objects([row[name] for row in rows]) for name in ("grades", "above", "tied")}
        scores.append(NDCG().features(Answers(columns))[:, 0])
    rng = np.random.default_rng(0)
    gaps = scores[1] - scores[0]
    drawn = [gaps[rng.integers(0, len(gaps), len(gaps))].mean() for _ in range(2000)]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return float(low), float(high)


def encoded(folder: Path, collection: Path, model: str, rounds: int) -> Table:
    """Documents made vectors of, a second."""
    texts = folder / "texts.json"
    texts.write_text(json.dumps(documents(collection)))
    precision = best_precision()
    index = {"model": model, "texts": str(texts), "precision": precision}
    small = str(folder / "int8")
    _bench.run_function(__file__, "in_eight_bits", model=model, goal=small)
    contestants: dict[str, Callable[[], Any]] = {
        "Noria": lambda: _bench.run_function(__file__, "noria_encodes", **index),
        EIGHT_BITS: lambda: _bench.run_function(__file__, "noria_encodes", **index, artifact=small),
    }
    for size in SIZES:
        contestants[f"sentence-transformers, batch {size}"] = lambda size=size: _bench.run_function(
            __file__, "peer_encodes", size=size, **index
        )
    runs = _bench.rounds(contestants, rounds)
    first = runs["Noria"][0].result["vectors"]
    rows = []
    for name, each in runs.items():
        apart = max(abs(a - b) for one, other in zip(first, each[0].result["vectors"], strict=True)
                    for a, b in zip(one, other, strict=True))  # fmt: skip
        speed = median(run.result["speed"] for run in each)
        peak = median(run.peak_rss for run in each) / 2**20
        rows.append(
            {"encoded by": name, "documents/s": f"{speed:.1f}", "peak MiB": peak, "furthest apart": f"{apart:.4f}"}
        )
    ours, small_one, *peers = rows
    best = max(float(row["documents/s"]) for row in peers)
    lacking = None if precision == "bf16" else NEEDS_BF16
    apart = max(float(row["furthest apart"]) for row in peers)
    bars = [
        Bar("times as fast", float(ours["documents/s"]) / best, ENCODED, lacking=lacking),
        Bar(f"{EIGHT_BITS}: times as fast", float(small_one["documents/s"]) / best, SMALL_ENCODED, lacking=lacking),
        Bar("furthest apart", apart, 0.01, at_most=True),
    ]
    return rows, bars


def in_eight_bits(model: str, goal: str) -> None:
    """The model as it comes, as `stage=export stage.format=onnx_int8` writes it."""
    from noria.artifact import bundle
    from noria.compression.artifact import save_onnx
    from noria.compression.eight_bits import quantize_onnx
    from noria.model.pretrained import Pretrained
    from noria.task.text_embedding.kind import TextEmbedding

    kind, pretrained = TextEmbedding(), Pretrained(name=model)
    tokenizer = pretrained.tokenizer()
    plain = Path(goal).with_name("plain")
    facts = {"max_length": 256, "precision": "32-true", "config": {}, "data": {}}
    bundle.save(plain, kind.network(pretrained, tokenizer).eval(), tokenizer, kind, facts)
    save_onnx(Path(goal), bundle.open_artifact(plain), quantize_onnx)


def noria_encodes(model: str, texts: str, precision: str, artifact: str | None = None) -> dict[str, Any]:
    """As `stage=index` does it, with the model as it comes or an artifact."""
    import torch

    from noria.artifact.bundle import Artifact, open_artifact
    from noria.index.kind import vectors
    from noria.inference.runner import Runner
    from noria.model.pretrained import Pretrained
    from noria.task.text_embedding.kind import TextEmbedding

    if artifact is None:
        kind, pretrained = TextEmbedding(), Pretrained(name=model)
        tokenizer = pretrained.tokenizer()
        network = kind.network(pretrained, tokenizer).eval().requires_grad_(False)
        opened = Artifact(Path(model), {"max_length": 256}, network, tokenizer, kind)
    else:
        opened = open_artifact(Path(artifact))
    runner = Runner(opened, "bf16-mixed" if precision == "bf16" else "32-true", torch.device("cpu"))
    some = json.loads(Path(texts).read_text())
    vectors(runner, some[:64], "document")
    started = time.perf_counter()
    made = vectors(runner, some, "document")
    return {"speed": len(some) / (time.perf_counter() - started), "vectors": made[:200].tolist()}


def peer_encodes(model: str, texts: str, precision: str, size: int) -> dict[str, Any]:
    import torch
    from sentence_transformers import SentenceTransformer

    kind = torch.bfloat16 if precision == "bf16" else torch.float32
    network = SentenceTransformer(model, device="cpu", model_kwargs={"dtype": kind})
    network.max_seq_length = 256
    some = json.loads(Path(texts).read_text())
    network.encode(some[:64], batch_size=size, show_progress_bar=False)
    started = time.perf_counter()
    made = network.encode(some, batch_size=size, show_progress_bar=False, convert_to_tensor=True)
    seconds = time.perf_counter() - started
    return {"speed": len(some) / seconds, "vectors": made[:200].float().tolist()}


def trained(folder: Path, collection: Path, model: str, rounds: int) -> Table:
    """Pairs learnt from, a second, in-batch negatives, 64 a step."""
    pairs = write_pairs(folder / "pairs.jsonl", collection)
    shared = {"model": model, "pairs": str(pairs), "precision": best_precision(), "size": 64}
    runs = _bench.rounds(
        {
            "Noria": lambda: noria_learns(folder / "run", **shared),
            "sentence-transformers": lambda: _bench.run_function(__file__, "peer_learns", folder=str(folder), **shared),
        },
        rounds,
    )
    rows = [
        {
            "trained by": name,
            "pairs/s": median(run.result["speed"] for run in each),
            "peak MiB": median(run.peak_rss for run in each) / 2**20,
        }
        for name, each in runs.items()
    ]
    lacking = None if shared["precision"] == "bf16" else NEEDS_BF16
    bars = [Bar("times as fast", rows[0]["pairs/s"] / rows[1]["pairs/s"], TRAINED, lacking=lacking)]
    return rows, [*bars, Bar("times the memory", rows[0]["peak MiB"] / rows[1]["peak MiB"], 1.0, at_most=True)]


def noria_learns(folder: Path, model: str, pairs: str, precision: str, size: int) -> _bench.Run:
    words = ["task=embedding", "data=pairs", f"data.path={pairs}", "model=hub", f"model.name={model}", "logger=csv"]
    words += [
        f"data.batch_size={size}",
        "data.val_fraction=0",
        "data.test_fraction=0",
        "callback=[]",
        "stage.test=false",
    ]
    words += ["trainer.max_epochs=1", f"precision={precision}", f"paths.run_dir={folder}", f"paths.runs={folder}/all"]
    _bench.run_command(["rm", "-rf", str(folder)])
    run = _bench.run_command([*RUN, *words])
    record = json.loads((folder / "record.json").read_text())
    return _bench.Run(run.seconds, run.peak_rss, {"speed": record["throughput"]["examples_per_second"]})


def peer_learns(folder: str, model: str, pairs: str, precision: str, size: int) -> dict[str, Any]:
    import _peer
    from datasets import Dataset
    from sentence_transformers import (
        SentenceTransformer,
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

    network = SentenceTransformer(model, device="cpu")
    network.max_seq_length = 256
    rows = [json.loads(line) for line in Path(pairs).read_text().splitlines()]
    data = Dataset.from_dict({name: [row[name] for row in rows] for name in ("query", "document")})
    clock = _peer._clock()
    arguments = SentenceTransformerTrainingArguments(
        output_dir=folder, num_train_epochs=1, per_device_train_batch_size=size, bf16=precision == "bf16", use_cpu=True,
        save_strategy="no", report_to="none", disable_tqdm=True,
    )  # fmt: skip
    run = SentenceTransformerTrainer(
        model=network, args=arguments, train_dataset=data, loss=MultipleNegativesRankingLoss(network), callbacks=[clock]
    )
    run.train()
    return {"speed": len(rows) / (clock.marks[-1] - clock.marks[0])}


def asked_of(folder: Path, collection: Path, model: str, rounds: int) -> Table:
    """How long one query takes among 100,000 passages, its encoding apart."""
    done = _bench.run_function(__file__, "latencies", rounds=rounds).result
    rows = [{"searched by": name, "p50 ms": 1000 * p50, "p95 ms": 1000 * p95} for name, (p50, p95) in done.items()]
    return rows, [Bar("fp32, p50 in seconds", done["Noria, fp32"][0], LATENCY, at_most=True)]


def latencies(rounds: int) -> dict[str, tuple[float, float]]:
    import faiss
    import numpy as np

    from noria.index.dense import Dense

    rng = np.random.default_rng(0)
    made = rng.normal(size=(PASSAGES, WIDTH)).astype(np.float32)
    made /= np.linalg.norm(made, axis=1, keepdims=True)
    flat = faiss.IndexFlatIP(WIDTH)
    flat.add(made)
    searches = {f"Noria, {form}": Dense.build(made, form).nearest for form in ("fp32", "int8", "binary")}
    searches["faiss, IndexFlatIP"] = flat.search
    times: dict[str, list[float]] = {name: [] for name in searches}
    for _ in range(30 * rounds):
        query = made[rng.integers(0, PASSAGES)][None] + 0.02 * rng.normal(size=(1, WIDTH)).astype(np.float32)
        for name, search in searches.items():
            started = time.perf_counter()
            search(query, 10)
            times[name].append(time.perf_counter() - started)
    return {name: (float(np.median(each)), float(np.quantile(each, 0.95))) for name, each in times.items()}


def make_index(index: Path, collection: Path, model: str, *words: str) -> None:
    given = [] if any(word.startswith("artifact=") for word in words) else ["model=hub", f"model.name={model}"]
    where = [f"stage.output={index}", f"paths.run_dir={index}_run", f"paths.runs={index}_all", "logger=csv"]
    task = [] if not given else ["task=embedding"]
    _bench.run_command([*RUN, "stage=index", *task, *given, f"stage.documents={collection}", *where, *words])


def searched(folder: Path, index: Path, collection: Path, mode: str) -> dict[str, Any]:
    words = ["stage=search", f"artifact={index}", f"stage.queries={collection}", f"stage.mode={mode}", "metric=[ndcg]"]
    words += ["metric.ndcg.graded=false", f"paths.run_dir={folder}", f"paths.runs={folder}_all", "logger=csv"]
    _bench.run_command([*RUN, *words])
    found: dict[str, Any] = json.loads((folder / "record.json").read_text())["metrics"]
    return found


def documents(collection: Path) -> list[str]:
    from noria.data.collection.read import read_collection

    return [document.content for document in read_collection(collection).documents]


def write_pairs(path: Path, collection: Path) -> Path:
    """Titles with their texts; a text that begins with its title goes on behind it."""
    from noria.data.collection.read import read_collection

    pairs = [(one.title.strip(), one.text.strip()) for one in read_collection(collection).documents]
    rows = [{"query": title, "document": text.removeprefix(title).lstrip(" .\n")} for title, text in pairs]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows if row["query"] and row["document"]))
    return path


def best_precision() -> str:
    from noria.trainer.precision import best_precision as best

    return "bf16" if best("auto")[0].startswith("bf16") else "fp32"


def shown(estimate: dict[str, float]) -> str:
    return f"{estimate['value']:.4f} [{estimate['low']:.4f}, {estimate['high']:.4f}]"


PARTS = {"found": found, "tuned": tuned, "encoded": encoded, "trained": trained, "asked": asked_of}


if __name__ == "__main__":
    sys.exit(main())
