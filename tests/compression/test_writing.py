"""A decoder is held against what it was made of by how it writes: tokens are counted, one after the other."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest


def test_a_decoder_in_8_bits_is_timed_by_its_tokens(
    fitted_decoder: Path, noria: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    words = [
        "stage=compress",
        f"artifact={fitted_decoder}/artifact",
        "stage.steps=[quantize_weights]",
        "stage.margin=2",
    ]
    assert noria(*words, "paths.run_dir=small", "logger=csv", "precision=fp32") == 0
    record = json.loads(Path("small/record.json").read_text())
    for name in ("before", "after"):
        cost = record["costs"][name]
        assert cost["of"] == "token" and 0 < cost["p50_ms"] <= cost["p99_ms"] and cost["examples_per_second"] > 0
    assert record["costs"]["after"]["bytes"] < record["costs"]["before"]["bytes"]
    assert set(record["gate"]["metrics"]) and record["paths"]["source"] == str((fitted_decoder / "artifact").resolve())
    said = capsys.readouterr().out
    assert "one token, p50, ms" in said and "tokens/s" in said
    assert (
        noria(
            "stage=evaluate",
            "artifact=small/artifact",
            "stage.split=val",
            "logger=csv",
            "precision=fp32",
            "paths.run_dir=again",
        )
        == 0
    )
    again = json.loads(Path("again/record.json").read_text())["metrics"]
    assert again["val/perplexity"]["value"] == pytest.approx(record["metrics"]["val/perplexity"]["value"], rel=1e-6)
