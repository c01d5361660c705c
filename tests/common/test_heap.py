"""Memory that was freed is kept: its pages need not be made again."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource, sys
import torch
from noria.common.heap import keep_freed_memory
if sys.argv[1] == "kept":
    assert keep_freed_memory()
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        torch.ones(12_000_000)  # 48 MB, as the gradient of an embedding
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
for _ in range(4):
    faults()  # the heap settles
print(faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told")
def test_freed_memory_is_used_again() -> None:
    found = {}
    for how in ("kept", "given back"):
        run = subprocess.run([sys.executable, "-c", FAULTS, how], capture_output=True, text=True, check=True)
        found[how] = int(run.stdout)
    # where pages are of 2 MB, 48 MB are 23 of them
    assert found["kept"] < 20 and found["given back"] > 10 * found["kept"] + 100, found


HELD = """
import torch
from noria.common.heap import give_back_freed_memory, keep_freed_memory
keep_freed_memory()
def held():
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmRSS")).split()[1]) // 1024
before = held()
tensors = [torch.ones(12_000_000) for _ in range(4)]  # 183 MiB
del tensors
kept = held()
give_back_freed_memory()
print(kept - before, held() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told")
def test_what_was_kept_is_given_back() -> None:
    run = subprocess.run([sys.executable, "-c", HELD], capture_output=True, text=True, check=True)
    kept, after = (int(mebibytes) for mebibytes in run.stdout.split())
    assert kept > 150 and after < 30, (kept, after)
