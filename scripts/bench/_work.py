"""What a child measures or counts of the machine and of the work: the matmul peak, floating-point operations.

Knows no contestant.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from _bench import Run, read_rows

SIZES = {"cpu": (1024, 1536, 2048, 3072), "cuda": (4096, 8192, 12288, 16384)}  # of the square matrices multiplied
SECONDS = 0.5  # for each of them


# The machine


def machine(sizes: Sequence[int] | None = None) -> dict[str, Any]:
    """For a child: the device, its threads, and the matmul peak in FLOP/s.

    The peak is the best of several sizes of square matrices, in fp32 and, where the hardware multiplies it, in bf16,
    with the threads that torch gives every contestant.
    """
    import torch

    from noria.callback.peak import matmul_rate

    device = "cuda" if torch.cuda.is_available() else "cpu"
    types = {"fp32": torch.float32} | ({"bf16": torch.bfloat16} if precision() == "bf16" else {})
    sizes = sizes or SIZES[device]
    return {
        "device": torch.cuda.get_device_name() if device == "cuda" else _processor(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "peak": {
            name: max(matmul_rate(size, dtype, torch.device(device), SECONDS) for size in sizes)
            for name, dtype in types.items()
        },
    }


def precision() -> str:
    """For a child: bf16 where the hardware multiplies it, else fp32; what precision=auto says."""
    from noria.trainer.precision import best_precision

    return {"bf16-mixed": "bf16", "32-true": "fp32"}[best_precision("auto")[0]]


def measured_machine(runs: Iterable[Run]) -> dict[str, Any]:
    """The machine, with the best peak of all rounds."""
    found = [run.result for run in runs]
    return {**found[0], "peak": {name: max(one["peak"][name] for one in found) for name in found[0]["peak"]}}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "CPU")


# Useful work


def useful_work(model: str, table: str, max_length: int) -> dict[str, Any]:
    """For a child: examples, tokens and training FLOPs of a table of texts, padding left out; and the precision.

    `executed` is the part of those operations that an unpadded encoder executes: the last layer leaves some out.
    """
    import torch
    from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

    from noria.model.flops import training_flops

    with torch.device("meta"):
        network = AutoModelForSequenceClassification.from_config(AutoConfig.from_pretrained(model, num_labels=2))
    texts = [row["text"] for row in read_rows(table)]
    tokens = AutoTokenizer.from_pretrained(model)(texts, truncation=True, max_length=max_length)["input_ids"]
    lengths = [len(row) for row in tokens]
    count = training_flops(network)
    assert count is not None, f"what the network of {model} computes cannot be counted"
    flops = count.of(len(texts), sum(lengths), sum(length**2 for length in lengths))
    found = {"examples": len(texts), "tokens": sum(lengths), "flops": flops, "precision": precision()}
    return {**found, "executed": _executed(model, round(sum(lengths) / len(lengths)))}


def _executed(model: str, length: int) -> float:
    """Counted by torch, over rows of that length."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode
    from transformers import AutoModelForSequenceClassification

    from noria.model.execution import choose_execution

    network = AutoModelForSequenceClassification.from_pretrained(model, num_labels=2, dtype=torch.float32)
    counts = []
    for _ in range(2):
        with FlopCounterMode(display=False) as counter:
            network(input_ids=torch.ones(32, length, dtype=torch.int64)).logits.sum().backward()
        counts.append(counter.get_total_flops())
        choose_execution(network, "cpu")
    return counts[1] / counts[0]
