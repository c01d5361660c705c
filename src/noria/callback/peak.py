"""How many floating-point operations a second a device can do at most. Knows nothing of what is trained on it."""

from __future__ import annotations

import time
from functools import cache

import torch

from noria.callback.gpus import stated_peak
from noria.common.precision import number_type

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
    name = number_type(precision)
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
