"""What the proofs of training share: tiny models and data, fits in processes of their own, what a run has left."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import torch
from safetensors.torch import load_file

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from conftest import make_reviews, make_tiny, make_tiny_decoder, make_tiny_encoder_decoder  # noqa: E402

TASKS = ("text_classification", "causal_lm", "seq2seq")
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if name not in ("LOCAL_RANK", "WORLD_SIZE", "MASTER_PORT")},
    "OMP_NUM_THREADS": "1",  # the networks are tiny, and the ranks share the cores
    "WANDB_MODE": "offline",
    "HF_HUB_OFFLINE": "1",
}


def make_chats(path: Path, rows: int = 120) -> Path:
    """Questions and answers of uneven length."""
    with path.open("w") as file:
        for number in range(rows):
            answer = f"Film {number} is " + "very " * (number % 7) + ("good." if number % 2 else "bad.")
            file.write(json.dumps({"prompt": f"How is film {number}?", "response": answer}) + "\n")
    return path


def make_pairs(path: Path, rows: int = 120) -> Path:
    """Texts and what they should become, of uneven length."""
    with path.open("w") as file:
        for number in range(rows):
            pair = {"source": f"film {number}" + " again" * (number % 7), "target": "fine " * (number % 5) + "film"}
            file.write(json.dumps(pair) + "\n")
    return path


def prepare(folder: Path, dropout: float) -> dict[str, list[str]]:
    """The overrides of a tiny fit of each task."""
    folder.mkdir(parents=True, exist_ok=True)
    bert = make_tiny(folder / "bert", hidden_dropout_prob=dropout, attention_probs_dropout_prob=dropout)
    decoder = make_tiny_decoder(folder / "decoder", attention_dropout=dropout)
    shared = ["precision=fp32", "logger=csv", "trainer.accelerator=cpu", "trainer.log_every_n_steps=1"]
    new = ["model=transformer", "model.d_model=16", "model.num_heads=2", "model.d_ff=32", "model.num_encoder_layers=1"]
    new += ["model.num_decoder_layers=1", "model.vocabulary.size=330", f"model.dropout={dropout}"]
    write = ["task=seq2seq", "task.generation.max_new_tokens=12", "data=parallel", "data.max_length=32"]
    classify = [f"model.name={bert}", "data=table", f"data.path={make_reviews(folder / 'reviews.csv')}"]
    answer = ["task=causal_lm", "model.architecture=decoder", f"model.name={decoder}", "data=instructions"]
    chats = make_chats(folder / "chats.jsonl")
    pairs = make_pairs(folder / "pairs.jsonl")
    hub = ["model=hub", "model.architecture=both", f"model.name={make_tiny_encoder_decoder(folder / 't5')}"]
    return {
        "text_classification": [*shared, "model=hub", *classify, "metric=[accuracy]", "data.max_length=32"],
        "causal_lm": [*shared, "model=hub", *answer, f"data.path={chats}", "data.max_length=128"],
        "seq2seq": [*shared, *new, *write, f"data.path={pairs}"],
        "seq2seq, pretrained": [*shared, *hub, *write, f"data.path={pairs}"],  # what an adapter can stand beside
    }


def command(words: list[str], run_dir: Path) -> list[str]:
    return [sys.executable, str(ROOT / "scripts/run.py"), *words, f"paths.run_dir={run_dir}"]


def fit(words: list[str], run_dir: Path) -> Path:
    """Runs a fit to its end; ends the proof with what it said if it fails."""
    done = subprocess.run(
        command(words, run_dir), cwd=run_dir.parent, env=ENVIRONMENT, capture_output=True, text=True, timeout=600
    )
    if done.returncode:
        sys.exit(f"{' '.join(words)}\nended with {done.returncode}:\n{done.stdout[-1500:]}\n{done.stderr[-3000:]}")
    return run_dir


def rows(run: Path) -> list[dict[str, str]]:
    """`metrics.csv`, less the speeds."""
    path = run / "metrics.csv"
    if not path.is_file():
        return []
    with path.open(newline="") as file:
        return [{k: v for k, v in row.items() if k and not k.startswith("throughput/")} for row in csv.DictReader(file)]


def left(run: Path) -> dict[str, Any]:
    """All that a run has left but for times and names."""
    record = json.loads((run / "record.json").read_text())
    return {
        "status": record["status"],
        "weights": torch.load(run / "checkpoints/last.ckpt", weights_only=True)["state_dict"],
        "artifact": load_file(run / "artifact/model.safetensors"),
        "history": [{k: v for k, v in row.items() if k != "seconds"} for row in record["history"]],
        "steps": rows(run),
        "metrics": record["metrics"],
        "predictions": pq.read_table(run / "predictions.parquet").to_pylist(),
    }


def differences(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """The names of what is not the same, bit for bit."""
    unlike = []
    for name in one:
        if name in ("weights", "artifact"):
            same = one[name].keys() == other[name].keys()
            same = same and all(torch.equal(one[name][key], other[name][key]) for key in one[name])
        else:
            same = one[name] == other[name]
        unlike += [] if same else [name]
    return unlike
