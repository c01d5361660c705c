"""The peak of a CPU, which is measured once and leaves no trace."""

from __future__ import annotations

import time

import pytest
import torch

from noria.callback import peak
from noria.callback.peak import matmul_rate, peak_flops

CPU = torch.device("cpu")


@pytest.mark.parametrize(("precision", "said"), [("32-true", "fp32"), ("bf16-mixed", "bf16"), ("16-true", "fp16")])
def test_a_cpu_is_measured(precision: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    state = torch.get_rng_state()
    found = peak_flops(CPU, precision)
    assert found is not None and found[0] > 1e7
    assert found[1].startswith(f"measured: {said} matrix product of ") and "thread" in found[1]
    assert torch.equal(torch.get_rng_state(), state), "a run draws the same numbers with and without it"
    monkeypatch.setattr(peak, "matmul_rate", lambda *_: pytest.fail("it is measured once in a process"))
    assert peak_flops(CPU, precision) == found


def test_the_rate_is_that_of_the_fastest_product(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock on which the three products take 2, 0.5 and 1 seconds."""
    clock = iter([0.0, 2.0, 3.0, 3.5, 4.0, 5.0])
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    assert matmul_rate(8, torch.float32, CPU, seconds=3.5) == 2 * 8**3 / 0.5


@pytest.mark.parametrize(("device", "precision"), [("meta", "32-true"), ("xla", "bf16-true"), ("cpu", "transformer")])
def test_what_cannot_be_measured_has_no_peak(device: str, precision: str) -> None:
    assert peak_flops(torch.device(device), precision) is None
