"""`stage=compress`: an artifact in, an artifact out, by steps in an order; what cannot work is refused before torch."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tests.compression.conftest import did, logits, record, weights

from noria.artifact import bundle

Compressed = Callable[..., Path]


def test_half_the_size_and_it_says_its_type(compressed: Compressed, fitted: Path) -> None:
    before = weights(fitted / "artifact")
    for name in ("float16", "bfloat16"):
        after = compressed(f"[{name}]", run=name)
        found = weights(after)
        assert {str(x.dtype) for x in found.values() if x.is_floating_point()} == {f"torch.{name}"}
        kind = getattr(torch, name)
        assert all(torch.equal(x, before[key].to(kind)) for key, x in found.items() if x.is_floating_point())
        facts = bundle.read_facts(after)
        assert facts["dtype"] == name and Path(facts["source"]) == (fitted / "artifact").resolve()
        assert did(after)[0]["bytes"] < 0.52 * (fitted / "artifact/model.safetensors").stat().st_size
        assert torch.allclose(logits(after), logits(fitted / "artifact"), atol=0.02)


def test_a_number_that_the_type_does_not_hold_is_refused(
    artifact: bundle.Artifact, compressed: Compressed, noria: Callable[..., int], fitted: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    opened = bundle.open_artifact(fitted / "artifact")
    opened.network.classifier.weight.data[0, 0] = 1e5
    bundle.save(tmp_path / "large", opened.network, opened.tokenizer, opened.kind, opened.facts)
    words = ["stage=compress", "artifact=large", "stage.split=null", "logger=csv", "paths.run_dir=run"]
    assert noria(*words, "stage.steps=[float16]") == 2
    assert "classifier.weight holds numbers of up to 1e+05, and float16 ends at 6.55e+04" in " ".join(
        capsys.readouterr().err.split()
    )
    assert not Path("run/artifact").exists()
    compressed("[bfloat16]", artifact="large", run="other")


def test_it_is_measured_and_marked_as_an_export_is(fitted: Path, noria: Callable[..., int]) -> None:
    words = ["stage=compress", f"artifact={fitted}/artifact", "stage.steps=[prune_magnitude]", "logger=csv"]
    assert noria(*words, "stage.margin=0", "paths.run_dir=run") == 0
    gate = record()["gate"]
    assert "accuracy" in gate["metrics"] and gate["pace"]["before"]["p50_ms"] > 0
    assert any("not shown to be no worse within 0" in one for one in gate["against"])
    assert bundle.read_facts(Path("run/artifact"))["gate"]["against"] == gate["against"]
    assert record()["compress"][0]["zeros"] and sorted(path.name for path in Path("run").glob("step-*")) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["stage.steps=[]"], "stage.steps names no step"),
        (["stage.steps=[prune]"], "'prune' is no step"),
        (["stage.steps=[[float16]]"], "is neither a name nor one name with its settings"),
        (["stage.steps=[quantize_int8,float16]"], "'float16' comes after 'quantize_int8'"),
        (["stage.steps=[quantize_int8,quantize_int8]"], "put 'quantize_int8' last"),
        (["stage.steps=[prune_magnitude]", "compression.prune_magnitude.ratio=1"], "ratio"),
        (["stage.steps=[{prune_magnitude: {ratio: 1.0}}]"], "stage.steps[0].prune_magnitude.ratio"),
        (["stage.steps=[{prune_magnitude: {share: 0.1}}]"], "share is not a key of PruneMagnitude"),
        (["stage.steps=[float16]", "artifact=null"], "needs a model to open"),
    ],
)
def test_what_cannot_work_is_refused_before_torch(words: list[str], said: str, fitted: Path) -> None:
    run = Path(__file__).resolve().parents[2] / "scripts/run.py"
    artifact = [] if "artifact=null" in words else [f"artifact={fitted}/artifact"]
    words = ["stage=compress", *artifact, *words]
    hidden = (
        f"import sys, runpy; sys.modules['torch'] = None; sys.argv = ['run.py', *{words!r}]; "
        f"runpy.run_path({str(run)!r}, run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", hidden], capture_output=True, text=True)
    assert done.returncode == 2 and said in " ".join(done.stderr.split()), done.stderr


def test_the_wrong_kind_is_refused(
    decoder_folder: Path, noria: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["stage=compress", f"artifact={decoder_folder}", "stage.split=null", "logger=csv", "paths.run_dir=run"]
    task = ["task=causal_lm", "data=text", "data.path=x.txt", "model=smollm2", "optimizer=adamw", "metric=[]"]
    assert noria(*words, *task, "stage.steps=[quantize_int8]") == 2
    assert "'quantize_int8' is for what reads whole texts" in " ".join(capsys.readouterr().err.split())


def test_what_is_an_onnx_file_cannot_be_cut(
    compressed: Compressed, noria: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    small = compressed("[prune_magnitude,quantize_int8]")
    source = bundle.trainable(small)
    assert source.parent == Path("run").resolve(), "what the file was made of is kept"
    assert any((x == 0).float().mean() > 0.3 for name, x in weights(source).items() if "query.weight" in name)
    assert [one["name"] for one in did(small)] == ["prune_magnitude", "quantize_int8"]
    words = ["stage=compress", f"artifact={small}", "stage.steps=[float16]", "logger=csv", "paths.run_dir=again"]
    assert noria(*words) == 2
    assert "is an ONNX file, of which nothing can be cut" in " ".join(capsys.readouterr().err.split())


def test_a_full_disk_leaves_nothing_that_is_taken_for_an_artifact(
    fitted: Path, noria: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["stage=compress", f"artifact={fitted}/artifact", "stage.steps=[float16,prune_magnitude]", "logger=csv"]
    words += ["stage.split=null", "paths.run_dir=run"]
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    for largest in (1 << 20, 1 << 20):  # a step in float16 has 2 MB
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest, before[1]))
        try:
            assert noria(*words, "compression.prune_magnitude.ratio=0.1") == 1
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        said = " ".join(capsys.readouterr().err.split())
        assert "There is no room in" in said and "resume=run" in said
        assert not Path("run/artifact").exists()
        words = ["resume=run"]
    assert noria("resume=run") == 0
    assert len(did(Path("run/artifact"))) == 2


def test_a_step_may_come_twice(compressed: Compressed, fitted: Path) -> None:
    twice = "[{prune_magnitude: {ratio: 0.2, scope: layer}},{prune_magnitude: {ratio: 0.6, scope: layer}}]"
    found = compressed(twice)
    assert [one["zeros"] for one in did(found)] == pytest.approx([0.2 * 16384, 0.6 * 16384], abs=16)
    once = compressed("[{prune_magnitude: {ratio: 0.6, scope: layer}}]", run="once")
    assert all(torch.equal(x, weights(once)[name]) for name, x in weights(found).items())
