from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import noria
from noria.common.hardware import Machine, cpu_flags, cpu_has_bf16, cpu_name, cpu_threads, gpu_count, has_mps, machine

UUIDS = ["GPU-11111111-aaaa", "GPU-22222222-bbbb", "GPU-33333333-cccc"]


def driver(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Puts a program of the driver tool's name first on PATH."""
    tool = folder / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\n{script}\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


@pytest.fixture
def three_gpus(tmp_path, monkeypatch):
    lines = [f"GPU {i}: NVIDIA H100 (UUID: {uuid})" for i, uuid in enumerate(UUIDS)]
    lines.insert(1, "  MIG 1g.10gb     Device  0: (UUID: MIG-4444)")
    driver(tmp_path, monkeypatch, "\n".join(f"echo '{line}'" for line in lines))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def test_counts_what_the_driver_lists(three_gpus):
    assert gpu_count() == 3


@pytest.mark.parametrize(
    ("visible", "count"),
    [
        ("", 0),
        (" ", 0),
        ("-1", 0),
        ("0", 1),
        ("2,0", 2),
        ("0, 1", 2),
        ("0,7,1", 1),  # CUDA stops at the first that is not there
        ("0,-1,1", 1),
        ("1,1", 0),
        ("nonsense", 0),
        ("GPU-22222222-bbbb", 1),
        ("GPU-11111111-aaaa,GPU-3333", 2),
        ("MIG-4444", 1),
    ],
)
def test_honours_what_is_made_visible(three_gpus, monkeypatch, visible, count):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert gpu_count() == count


def test_a_driver_tool_without_a_driver(tmp_path, monkeypatch):
    driver(tmp_path, monkeypatch, "echo 'NVIDIA-SMI has failed' >&2; exit 9")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert gpu_count() == len([path for path in Path("/dev").glob("nvidia[0-9]*") if path.name[6:].isdigit()])


def test_no_tool_and_no_device(tmp_path, monkeypatch):
    if list(Path("/dev").glob("nvidia[0-9]*")):
        pytest.skip("this machine has a GPU")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert gpu_count() == 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("processor\t: 0\nflags\t\t: fpu avx512f avx512_bf16 sse\n", True),
        ("flags\t\t: fpu amx_tile amx_bf16\n", True),
        ("Features\t: fp asimd bf16 i8mm\n", True),
        ("flags\t\t: fpu avx512f avx512_bf16x\n", False),
        ("model name\t: avx512_bf16\nflags\t\t: fpu\n", False),
        ("", False),
    ],
)
def test_bf16_of_the_cpu(tmp_path, text, expected):
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(text)
    assert cpu_has_bf16(cpuinfo) is expected
    assert cpu_has_bf16(tmp_path / "nothing") is False


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no affinity masks")
def test_threads_follow_the_affinity():
    program = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))});"
        "from noria.common.hardware import cpu_threads; print(cpu_threads())"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(noria.__file__).parents[1])}
    run = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "1"


def test_the_machine_is_asked_once():
    assert machine() is machine()
    assert machine() == Machine(
        machine().gpu_count, has_mps=has_mps(), cpu_has_bf16=cpu_has_bf16(), cpu_threads=cpu_threads()
    )
    assert machine().cpu_threads >= 1


def test_the_cpu_is_named_with_the_flags_that_matter(tmp_path):
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("model name\t: Some CPU 3\nflags\t\t: fpu avx512_vnni avx2 sse\nmodel name\t: Other\n")
    assert cpu_name(cpuinfo) == "Some CPU 3" and cpu_flags(cpuinfo) == ["avx2", "avx512_vnni"]
    assert cpu_name(tmp_path / "none") and cpu_flags(tmp_path / "none") == []
