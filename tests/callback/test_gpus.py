"""The peak of a GPU by the name that its driver gives it."""

from __future__ import annotations

import pytest

from noria.callback.gpus import GPUS, stated_peak


@pytest.mark.parametrize(
    ("gpu", "precision", "peak"),
    [
        ("NVIDIA H100 80GB HBM3", "bf16", 989.4),
        ("NVIDIA H100 80GB HBM3", "tf32", 494.7),
        ("NVIDIA H100 80GB HBM3", "fp32", 67),
        ("NVIDIA H100 PCIe", "bf16", 756),
        ("NVIDIA H100 NVL", "bf16", 835.5),
        ("NVIDIA H200", "bf16", 989.4),
        ("NVIDIA B200", "bf16", 2250),
        ("NVIDIA A100-SXM4-40GB", "bf16", 312),
        ("NVIDIA A100-SXM4-80GB", "tf32", 156),
        ("NVIDIA A100-PCIE-40GB", "bf16", 312),
        ("NVIDIA A100 80GB PCIe", "fp16", 312),
        ("A100-SXM4-40GB", "fp32", 19.5),
        ("NVIDIA A10", "bf16", 125),
        ("NVIDIA A40", "bf16", 149.7),
        ("NVIDIA RTX A6000", "bf16", 154.8),
        ("NVIDIA L4", "bf16", 121),
        ("NVIDIA L40S", "bf16", 362),
        ("NVIDIA RTX 6000 Ada Generation", "bf16", 364.2),
        ("NVIDIA GeForce RTX 3090", "bf16", 71),
        ("NVIDIA GeForce RTX 4090", "bf16", 165.2),
        ("NVIDIA GeForce RTX 5090", "bf16", 209.5),
        ("Tesla V100-SXM2-16GB", "fp16", 125),
        ("Tesla V100S-PCIE-32GB", "fp32", 16.4),
        ("Tesla T4", "fp16", 65),
        ("Tesla T4", "bf16", None),  # it has no such tensor cores
        ("NVIDIA A100-SXM4-40GB MIG 1g.5gb", "bf16", None),  # a seventh of one
        ("NVIDIA GeForce RTX 4090 Laptop GPU", "bf16", None),
        ("NVIDIA A10G", "bf16", None),
        ("NVIDIA H100 80GB HBM3", "fp64", None),
        ("AMD Instinct MI300X", "bf16", None),
    ],
)
def test_a_gpu_is_looked_up(gpu: str, precision: str, peak: float | None) -> None:
    found = stated_peak(gpu, precision)
    assert (found and found[0]) == (peak and pytest.approx(peak * 1e12))
    assert found is None or (found[1].startswith("NVIDIA ") and found[1].endswith(f", {precision} dense"))


def test_the_table_holds_no_number_with_sparsity() -> None:
    for name, (_, fp32, tf32, bf16, fp16) in GPUS.items():
        assert fp32 < fp16, name
        if tf32 and bf16:
            assert fp32 <= tf32 and bf16 == fp16 and 1.9 < bf16 / tf32 < 2.1, name
