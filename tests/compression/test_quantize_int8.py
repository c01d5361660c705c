"""Weights and activations in 8 bits: by ranges as they come or from rows, with what is sensitive left in float."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
import torch
from tests.compression.conftest import did, logits

from noria.artifact import bundle

Compressed = Callable[..., Path]


def in_float(folder: Path) -> set[str]:
    """The weights of the graph that are still in fp32 and multiply."""
    graph = onnx.load(folder / "model.onnx").graph
    weights = {one.name for one in graph.initializer if one.data_type == onnx.TensorProto.FLOAT}
    return {node.input[1] for node in graph.node if node.op_type in ("MatMul", "Gemm")} & weights


@pytest.mark.parametrize("calibration", ["dynamic", "static"])
def test_both_calibrations_answer_nearly_the_same(calibration: str, compressed: Compressed, fitted: Path) -> None:
    found = compressed("[quantize_int8]", f"compression.quantize_int8.calibration={calibration}")
    assert did(found)[0]["bytes"] < 0.5 * did(found)[0]["bytes_before"] and not in_float(found)
    wanted = torch.softmax(logits(fitted / "artifact"), -1)
    assert 0 < (torch.softmax(logits(found), -1) - wanted).abs().max() < 0.1


def test_the_most_sensitive_and_the_excluded_stay_in_float(
    compressed: Compressed, fitted: Path, tmp_path: Path
) -> None:
    """A number that is far larger than the others, and counts for nothing, takes all steps of an 8-bit range."""
    opened = bundle.open_artifact(fitted / "artifact")
    layer = opened.network.bert.encoder.layer[1]
    layer.intermediate.dense.bias.data[0], layer.output.dense.weight.data[:, 0] = 1000, 0
    bundle.save(tmp_path / "odd", opened.network, opened.tokenizer, opened.kind, opened.facts)
    settings = ["keep_float=2", "exclude=[classifier]", "rows=32"]
    words = [f"compression.quantize_int8.{one}" for one in settings]
    found = compressed("[quantize_int8]", *words, artifact="odd")
    said = did(found)[0]
    measured = list(said["sensitivity"])
    assert len(measured) == 13 and "bert.encoder.layer.1.output.dense" in measured[:2] and "classifier" not in measured
    assert list(said["sensitivity"].values()) == sorted(said["sensitivity"].values(), reverse=True)
    assert said["in_float"] == sorted([*measured[:2], "classifier"]) and len(in_float(found)) == 3
    apart = [
        (logits(folder) - logits(tmp_path / "odd")).abs().max()
        for folder in (found, compressed("[quantize_int8]", run="plain", artifact="odd"))
    ]
    assert apart[0] < 0.7 * apart[1]


def test_a_name_that_no_layer_has_is_refused(
    fitted: Path, noria: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["stage=compress", f"artifact={fitted}/artifact", "stage.steps=[quantize_int8]", "logger=csv"]
    assert noria(*words, "compression.quantize_int8.exclude=[clasifier]", "paths.run_dir=run") == 2
    assert "no layer has that in its name" in " ".join(capsys.readouterr().err.split())
    assert not Path("run/artifact").exists() and not list(Path("run").glob("step-*"))


def test_calibration_without_rows_is_refused(
    fitted: Path, noria: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("empty.csv").write_text("text,label\n")
    words = ["stage=compress", f"artifact={fitted}/artifact", "logger=csv", "paths.run_dir=run", "data.path=empty.csv"]
    words += ["stage.steps=[{quantize_int8: {calibration: static}}]", "stage.split=null"]
    assert noria(*words) == 2
    assert "empty.csv holds no rows" in capsys.readouterr().err
    assert not Path("run/artifact").exists()
