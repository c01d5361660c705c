"""A decoder is held against what it was made of by how it writes: tokens are counted, one after the other."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.conftest import make_tiny_decoder


def test_a_decoder_in_8_bits_is_timed_by_its_tokens(
    tmp_path: Path, noria: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    base = make_tiny_decoder(tmp_path / "base", hidden_size=64, intermediate_size=128)
    for number in range(8):
        (tmp_path / "texts").mkdir(exist_ok=True)
        lines = [f"The stream {number} turns the wheel, and wheel {line} lifts the water." for line in range(12)]
        (tmp_path / "texts" / f"{number}.txt").write_text("\n".join(lines), encoding="utf-8")
    words = ["task=causal_lm", "data=text", f"data.path={tmp_path}/texts", "data.max_length=64", "logger=csv"]
    words += ["model=hub", "model.architecture=decoder", f"model.name={base}", "trainer.max_steps=2", "precision=fp32"]
    assert noria(*words, "paths.run_dir=fit", "data.val_fraction=0.3", "data.test_fraction=0") == 0
    words = ["stage=compress", "artifact=fit/artifact", "stage.steps=[quantize_weights]", "stage.margin=2"]
    assert noria(*words, "paths.run_dir=small", "logger=csv", "precision=fp32") == 0
    record = json.loads(Path("small/record.json").read_text())
    for name in ("before", "after"):
        cost = record["costs"][name]
        assert cost["of"] == "token" and 0 < cost["p50_ms"] <= cost["p99_ms"] and cost["examples_per_second"] > 0
    assert record["costs"]["after"]["bytes"] < record["costs"]["before"]["bytes"]
    assert set(record["gate"]["metrics"]) and record["paths"]["source"] == str(Path("fit/artifact").resolve())
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
