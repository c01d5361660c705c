"""Every precision YAML: those that a CPU can do in a whole fit, the other is refused before anything is loaded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

GROUP = "precision"

# Lightning's name of it; None where a CPU cannot.
SPECIAL = {"bf16": "bf16-mixed", "bf16_true": "bf16-true", "fp16": None, "fp32": "32-true"}


def test_the_yamls_are_found(found: list[str]) -> None:
    assert len(found) >= 5


def test_a_fit_in_it(
    life: Callable[..., dict[str, Any]],
    noria: Callable[..., int],
    tiny: list[str],
    choice: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["trainer.accelerator=cpu", f"precision={choice}", "stage.test=false"]
    if SPECIAL.get(choice, "") is None:
        assert noria(*tiny, *words) == 2
        assert "trainer.precision" in capsys.readouterr().err
        return
    # 8 bits of mantissa: probabilities near 0.5 are known to about 0.002
    record = life(*words, tolerance=1e-5 if choice == "fp32" else 1e-2)
    assert record["precision"] == SPECIAL.get(choice, record["precision"])
    assert record["precision"] in ("32-true", "bf16-mixed", "bf16-true")
