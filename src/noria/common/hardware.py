"""What this machine offers: GPUs, bf16, threads. Asks the operating system and never imports torch,
so it knows nothing of what an installed torch could do with it."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True)
class Machine:
    """The facts that decide whether a config can run here."""

    gpu_count: int  # CUDA devices this process may use
    has_mps: bool  # Apple's GPU
    cpu_has_bf16: bool  # the CPU multiplies bf16 in hardware
    cpu_threads: int  # that this process may run on


@cache
def machine() -> Machine:
    """This machine, asked once per process."""
    return Machine(gpu_count(), has_mps(), cpu_has_bf16(), cpu_threads())


def device_type(accelerator: str, has_cuda: bool, has_mps: bool) -> str:
    """What an accelerator's name, one of Lightning's, means here: cuda, mps, or cpu where nothing that it names is."""
    meant = {"auto": ("cuda", "mps"), "gpu": ("cuda", "mps"), "cuda": ("cuda",), "mps": ("mps",)}.get(accelerator, ())
    here = {"cuda": has_cuda, "mps": has_mps}
    return next((name for name in meant if here[name]), "cpu")


def gpu_count() -> int:
    """How many CUDA devices this process may use, by the driver's list and `CUDA_VISIBLE_DEVICES`."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None and not visible.strip():
        return 0
    names = _installed_gpus()
    return len(names) if visible is None else _count_visible(visible, names)


def has_mps() -> bool:
    """Whether this is a Mac with Apple's own processor."""
    return platform.system() == "Darwin" and platform.machine() == "arm64"


def cpu_has_bf16(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether the CPU has bf16 instructions (AVX512-BF16 or AMX-BF16; `bf16` on Arm)."""
    return bool({"avx512_bf16", "amx_bf16", "bf16"} & {*cpu_flags(cpuinfo)})


X86 = ("avx2", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "amx_int8", "amx_bf16")
ARM = ("asimddp", "i8mm", "bf16", "sve")


def cpu_flags(cpuinfo: Path = Path("/proc/cpuinfo")) -> list[str]:
    """Those of the CPU's instructions that decide how quick numbers of 8 and 16 bits are; empty where none are told."""
    found = re.search(r"^(?:flags|Features)\s*:(.*)$", _read(cpuinfo), re.MULTILINE)
    flags = {*found[1].split()} if found else set()
    return [name for name in (*X86, *ARM) if name in flags]


def cpu_name(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """As its maker calls it, where the system tells."""
    found = re.search(r"^model name\s*:(.*)$", _read(cpuinfo), re.MULTILINE)
    return found[1].strip() if found else platform.processor() or platform.machine()


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def cpu_threads() -> int:
    """How many logical CPUs this process may run on, by its affinity mask where there is one."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _installed_gpus() -> list[str]:
    """One line per GPU: as the driver's tool lists it (it names the UUID), else the device file."""
    if tool := shutil.which("nvidia-smi"):
        try:
            listed = subprocess.run([tool, "-L"], capture_output=True, text=True, timeout=10, check=True)
        except (OSError, subprocess.SubprocessError):
            pass  # a tool without a working driver: the device files may still tell
        else:
            return [line for line in listed.stdout.splitlines() if line.startswith("GPU ")]
    found = (re.fullmatch(r"nvidia(\d+)", path.name) for path in Path("/dev").glob("nvidia[0-9]*"))
    return sorted(match[0] for match in found if match)


def _count_visible(visible: str, names: list[str]) -> int:
    """CUDA's own reading of the variable: entries up to the first that names no device.

    One given twice makes it none at all. Entries are indices, or beginnings of a UUID (`GPU-…`, `MIG-…`).
    """
    count = 0
    seen: set[str] = set()
    for entry in (part.strip() for part in visible.split(",")):
        is_index = entry.isdecimal() and int(entry) < len(names)
        is_uuid = entry.startswith(("GPU-", "MIG-")) and bool(names)
        if not is_index and not is_uuid:
            break
        if entry in seen:
            return 0
        seen.add(entry)
        count += 1
    return count
