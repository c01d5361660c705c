"""The peaks that NVIDIA states of its GPUs. Measures nothing."""

from __future__ import annotations

import re

# Dense peaks in TFLOP/s, as NVIDIA states them: fp32 without tensor cores; tf32, bf16 and fp16 by tensor cores with
# sums in fp32, as torch multiplies, and without sparsity (half, where only the number with sparsity is printed).
# The name is the driver's, less "NVIDIA" and "Tesla", and must fit whole: a part of a GPU (MIG), a laptop's, and others
# of like names are other devices. The sheets could not be opened where this was written: check a number against its
# sheet before a claim rests on it.
GPUS: dict[str, tuple[str, float, float | None, float | None, float]] = {
    # DGX B200 data sheet (2024), an eighth: https://resources.nvidia.com/en-us-dgx-systems/dgx-b200-datasheet
    r"B200": ("NVIDIA B200 data sheet", 75, 1125, 2250, 2250),
    # H200 data sheet (2024): https://nvdam.widen.net/s/nb5zzzsjdf/hpc-datasheet-sc23-h200-datasheet-3002446
    r"H200": ("NVIDIA H200 SXM data sheet", 67, 494.7, 989.4, 989.4),
    r"H200 NVL": ("NVIDIA H200 NVL data sheet", 60, 417.5, 835.5, 835.5),
    # H100 data sheet (2022, NVL 2024): https://resources.nvidia.com/en-us-tensor-core/nvidia-tensor-core-gpu-datasheet
    r"H100 80GB HBM3": ("NVIDIA H100 SXM data sheet", 67, 494.7, 989.4, 989.4),
    r"H100 PCIe": ("NVIDIA H100 PCIe data sheet", 51, 378, 756, 756),
    r"H100 NVL": ("NVIDIA H100 NVL data sheet", 60, 417.5, 835.5, 835.5),
    # A100 data sheet (2021): https://www.nvidia.com/content/dam/en-zz/Solutions/Data-Center/a100/pdf/
    # nvidia-a100-datasheet-us-nvidia-1758950-r4-web.pdf
    r"A100-(SXM4?|PCI[Ee])-\d+GB|A100 80GB PCIe": ("NVIDIA A100 data sheet", 19.5, 156, 312, 312),
    # A10 data sheet (2021): https://www.nvidia.com/content/dam/en-zz/Solutions/Data-Center/a10/pdf/a10-datasheet.pdf
    r"A10": ("NVIDIA A10 data sheet", 31.2, 62.5, 125, 125),
    # GA102 white paper 2.0 (2021): https://www.nvidia.com/content/PDF/nvidia-ampere-ga-102-gpu-architecture-whitepaper-v2.pdf
    r"A40": ("NVIDIA GA102 white paper", 37.4, 74.8, 149.7, 149.7),
    r"RTX A6000": ("NVIDIA GA102 white paper", 38.7, 77.4, 154.8, 154.8),
    r"GeForce RTX 3090": ("NVIDIA GA102 white paper", 35.6, 35.6, 71, 71),
    # Ada white paper 2.1 (2023): https://images.nvidia.com/aem-dam/Solutions/Data-Center/l4/
    # nvidia-ada-gpu-architecture-whitepaper-v2.1.pdf
    r"L4": ("NVIDIA Ada white paper", 30.3, 60, 121, 121),
    r"GeForce RTX 4090": ("NVIDIA Ada white paper", 82.6, 82.6, 165.2, 165.2),
    # professional Ada white paper 1.1 (2023): https://images.nvidia.com/aem-dam/en-zz/Solutions/technologies/
    # NVIDIA-ADA-GPU-PROVIZ-Architecture-Whitepaper_1.1.pdf
    r"RTX 6000 Ada Generation": ("NVIDIA professional Ada white paper", 91.1, 182.1, 364.2, 364.2),
    # L40S data sheet (2023): https://www.nvidia.com/en-us/data-center/l40s/
    r"L40S": ("NVIDIA L40S data sheet", 91.6, 183, 362, 362),
    # RTX Blackwell white paper 1.1 (2025): https://images.nvidia.com/aem-dam/Solutions/geforce/blackwell/
    # nvidia-rtx-blackwell-gpu-architecture.pdf
    r"GeForce RTX 5090": ("NVIDIA RTX Blackwell white paper", 104.8, 104.8, 209.5, 209.5),
    # V100 data sheet (2020): https://images.nvidia.com/content/technologies/volta/pdf/
    # volta-v100-datasheet-update-us-1165301-r5.pdf
    r"V100-SXM2-(16|32)GB": ("NVIDIA V100 data sheet", 15.7, None, None, 125),
    r"V100-PCIE-(16|32)GB": ("NVIDIA V100 data sheet", 14, None, None, 112),
    r"V100S-PCIE-32GB": ("NVIDIA V100 data sheet", 16.4, None, None, 130),
    # T4 data sheet (2019): https://www.nvidia.com/content/dam/en-zz/Solutions/Data-Center/tesla-t4/
    # t4-tensor-core-datasheet-951643.pdf
    r"T4": ("NVIDIA T4 data sheet", 8.1, None, None, 65),
}
COLUMNS = ("fp32", "tf32", "bf16", "fp16")


def stated_peak(gpu: str, name: str) -> tuple[float, str] | None:
    """The peak of a GPU by the name that its driver gives it, and the source; None for one that is not in the table.

    Args:
        name: fp32, tf32, bf16 or fp16.
    """
    gpu = re.sub("^(NVIDIA |Tesla )*", "", gpu)
    for pattern, (source, *peaks) in GPUS.items():
        if re.fullmatch(pattern, gpu) and name in COLUMNS:
            peak = peaks[COLUMNS.index(name)]
            return (peak * 1e12, f"{source}, {name} dense") if peak else None
    return None
