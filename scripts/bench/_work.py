"""What a child measures or counts of the machine and of the work: the matmul peak, floating-point operations.

Knows no contestant.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from _bench import Run, read_rows

SIZES = {"cpu": (1024, 1536, 2048, 3072), "cuda": (4096, 8192, 12288, 16384)}  # of the square matrices multiplied


# The machine


def machine(sizes: Sequence[int] | None = None) -> dict[str, Any]:
    """For a child: the device, its threads, and the matmul peak in FLOP/s.

    The peak is the best of several sizes of square matrices, in fp32 and, where the hardware multiplies it, in bf16,
    with the threads that torch gives every contestant.
    """
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    types = {"fp32": torch.float32} | ({"bf16": torch.bfloat16} if precision() == "bf16" else {})
    sizes = sizes or SIZES[device]
    return {
        "device": torch.cuda.get_device_name() if device == "cuda" else _processor(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "peak": {name: max(_matmul_rate(size, dtype, device) for size in sizes) for name, dtype in types.items()},
    }


def precision() -> str:
    """For a child: bf16 where the hardware multiplies it, else fp32; what precision=auto says."""
    from noria.trainer.precision import best_precision

    return {"bf16-mixed": "bf16", "32-true": "fp32"}[best_precision("auto")[0]]


def measured_machine(runs: Iterable[Run]) -> dict[str, Any]:
    """The machine, with the best peak of all rounds."""
    found = [run.result for run in runs]
    return {**found[0], "peak": {name: max(one["peak"][name] for one in found) for name in found[0]["peak"]}}


def _matmul_rate(size: int, dtype: Any, device: str, seconds: float = 0.5) -> float:
    """FLOP/s of the fastest of the products of two square matrices that fit into the seconds, at least three."""
    import torch

    a, b = torch.randn(2, size, size, device=device).to(dtype)
    wait = torch.cuda.synchronize if device == "cuda" else lambda: None
    out = a @ b
    wait()
    taken: list[float] = []
    while sum(taken) < seconds or len(taken) < 3:
        started = time.perf_counter()
        torch.matmul(a, b, out=out)
        wait()
        taken.append(time.perf_counter() - started)
    return 2 * size**3 / min(taken)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "CPU")


# Useful work


@dataclass(frozen=True)
class Shape:
    """What of a network costs floating-point operations.

    Args:
        per_token: weights of the matrices that every token passes (those of the blocks).
        per_sequence: weights of the matrices that one token of a sequence passes (pooler, head).
        layers, hidden: blocks, and the width of attention.
    """

    per_token: int
    per_sequence: int
    layers: int
    hidden: int


def shape_of(network: Any) -> Shape:
    """The shape of a Transformer of the transformers library. Embeddings are looked up: they cost nothing."""
    from torch import nn

    from noria.model.layers import BLOCK

    inside = outside = 0
    for name, module in network.named_modules():
        if isinstance(module, nn.Linear):
            if BLOCK.search(f"{name}."):
                inside += module.weight.numel()
            else:
                outside += module.weight.numel()
    return Shape(inside, outside, network.config.num_hidden_layers, network.config.hidden_size)


def training_flops(shape: Shape, lengths: Iterable[int]) -> int:
    """Floating-point operations of a training step, forward and backward, over sequences of these lengths.

    6 for each token and weight of a matrix it passes (Kaplan et al. 2020, section 2.1), and 12 · layers · width · s²
    for the attention of a sequence of s tokens (PaLM, Chowdhery et al. 2022, appendix B). The multiplications of
    padding are not among them: a trainer that computes less padding has a larger share of the peak.
    """
    return sum(
        6 * (shape.per_token * s + shape.per_sequence) + 12 * shape.layers * shape.hidden * s * s for s in lengths
    )


def useful_work(model: str, table: str, max_length: int) -> dict[str, Any]:
    """For a child: examples, tokens and training FLOPs of a table of texts, padding left out; and the precision."""
    import torch
    from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

    with torch.device("meta"):
        network = AutoModelForSequenceClassification.from_config(AutoConfig.from_pretrained(model, num_labels=2))
    texts = [row["text"] for row in read_rows(table)]
    tokens = AutoTokenizer.from_pretrained(model)(texts, truncation=True, max_length=max_length)["input_ids"]
    lengths = [len(row) for row in tokens]
    flops = training_flops(shape_of(network), lengths)
    return {"examples": len(texts), "tokens": sum(lengths), "flops": flops, "precision": precision()}
