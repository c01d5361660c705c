"""How many floating-point operations a second a device can do at most. Knows nothing of what is trained on it."""

from __future__ import annotations

import re
import time
from functools import cache

import torch

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
TYPES = {"fp64": torch.float64, "fp32": torch.float32, "tf32": torch.float32}
TYPES |= {"bf16": torch.bfloat16, "fp16": torch.float16}

SIZES = {"cpu": (256, 512, 1024, 2048), "cuda": (1024, 2048, 4096), "mps": (512, 1024, 2048)}  # of square matrices
SECONDS = 0.2  # for all of them


def peak_flops(device: torch.device, precision: str) -> tuple[float, str] | None:
    """The dense peak in FLOP/s of a device, and where it is from: a data sheet, or a measured matrix product.

    Args:
        precision: as Lightning names it, such as `bf16-mixed`.

    Returns:
        None where there is neither: another kind of device, or one that cannot multiply this type.
    """
    name = {"32": "fp32", "64": "fp64", "16": "fp16"}.get(precision.partition("-")[0], precision.partition("-")[0])
    if device.type == "cuda":
        if name == "fp32" and torch.cuda.get_device_capability(device)[0] >= 8:
            name = "fp32" if torch.get_float32_matmul_precision() == "highest" else "tf32"
        if found := stated_peak(torch.cuda.get_device_name(device), name):
            return found
    if device.type not in SIZES or name not in TYPES:
        return None
    try:
        return _measured(device, name, torch.get_num_threads())
    except RuntimeError:  # no memory for it, or no product of this type
        return None


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


def matmul_rate(size: int, dtype: torch.dtype, device: torch.device, seconds: float) -> float:
    """FLOP/s of the fastest of the products of two square matrices that fit into the seconds, at least three."""
    generator = torch.Generator(device).manual_seed(0)  # its own: the run's numbers stay those of its seed
    a, b = (torch.empty(size, size, device=device).uniform_(-1, 1, generator=generator).to(dtype) for _ in range(2))
    out = a @ b
    _wait(device)
    taken: list[float] = []
    while sum(taken) < seconds or len(taken) < 3:
        started = time.perf_counter()
        torch.matmul(a, b, out=out)
        _wait(device)
        taken.append(time.perf_counter() - started)
    return 2 * size**3 / min(taken)


@cache
def _measured(device: torch.device, name: str, threads: int) -> tuple[float, str]:
    """The best of growing sizes, as far as the time goes: small ones fill no device, large ones take long."""
    ends = time.perf_counter() + SECONDS
    best, at = 0.0, 0
    for size in SIZES[device.type]:
        left = ends - time.perf_counter()
        if best and 5 * 2 * size**3 / best > left:  # three products, one before them, and making the matrices
            break
        rate = matmul_rate(size, TYPES[name], device, left / 4)
        best, at = max((best, at), (rate, size))
    where = f"{threads} thread{'s' if threads > 1 else ''}" if device.type == "cpu" else _name(device)
    return best, f"measured: {name} matrix product of {at} on {where}"


def _name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
