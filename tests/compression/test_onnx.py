"""An artifact as an ONNX file: run by ONNX Runtime alone, measured like any other, refused where it is none."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pyarrow.parquet as pq
import pytest
import torch
import yaml
from tests.serving.command import noria as other_process
from transformers import AutoConfig, AutoModelForSequenceClassification

from noria.artifact import bundle
from noria.common.errors import UserError
from noria.compression.eight_bits import quantize_onnx
from noria.compression.onnx import write_onnx
from noria.inference.runner import Runner
from noria.model.onnx import OnnxNetwork
from noria.serving.model import Model
from noria.serving.source import Named

ALONE = """
import sys
sys.modules["torch"] = sys.modules["transformers"] = None  # an import of either fails
import json, numpy, onnxruntime, yaml
from pathlib import Path
from tokenizers import Tokenizer
folder = Path(sys.argv[1])
session = onnxruntime.InferenceSession(folder / "model.onnx")
tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
made = []
for text in json.loads(sys.argv[2]):
    ids = numpy.array([tokenizer.encode(text).ids])
    given = {"input_ids": ids, "attention_mask": numpy.ones_like(ids), "token_type_ids": numpy.zeros_like(ids)}
    [logits] = session.run(["logits"], {one.name: given[one.name] for one in session.get_inputs()})
    made.append(yaml.safe_load((folder / "noria.yaml").read_text())["settings"]["labels"][int(logits.argmax())])
print(json.dumps(made))
"""


@pytest.fixture(scope="module")
def exported(fitted: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `fp32` and `int8`, the artifact of a small fit exported."""
    folder = tmp_path_factory.mktemp("exported")
    for name, more in (("fp32", ()), ("int8", ("stage.format=onnx_int8",))):
        words = ["stage=export", f"artifact={fitted}/artifact", f"stage.output={name}", f"paths.run_dir=runs/{name}"]
        assert other_process(folder, *words, *more, "logger=csv", "stage.split=null") == 0
    return folder


def test_it_is_smaller_and_says_so(exported: Path, fitted: Path) -> None:
    before = (fitted / "artifact/model.safetensors").stat().st_size
    for name, most in (("fp32", 1.5), ("int8", 0.6)):
        said = json.loads((exported / "runs" / name / "record.json").read_text())["export"]
        assert (
            said["bytes"]
            == (exported / name / "model.onnx").stat().st_size
            < most * before
            == most * said["bytes_before"]
        )
        assert 0 <= said["largest_difference"] < 1e-4
        assert not list((exported / name).glob("*.safetensors"))
        facts = bundle.read_facts(exported / name)
        assert facts["backend"] == "onnx"
        assert bundle.trainable(exported / name) == Path(facts["source"]) == (fitted / "artifact").resolve()


def test_onnx_runtime_opens_it_without_torch(exported: Path, noria: Callable[..., int]) -> None:
    texts = ["a warm and superb film", "dull", "stale pepper, all of it"]
    done = subprocess.run(
        [sys.executable, "-c", ALONE, str(exported / "fp32"), json.dumps(texts)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    Path("texts.txt").write_text("\n".join(texts) + "\n")
    words = [f"artifact={exported / 'fp32'}", "input=texts.txt", "stage.output=out.jsonl"]
    assert noria("stage=predict", *words) == 0
    answers = [json.loads(line) for line in Path("out.jsonl").read_text().splitlines()]
    assert json.loads(done.stdout) == [one["prediction"] for one in answers]


def test_eight_bits_answer_nearly_the_same(exported: Path, noria: Callable[..., int]) -> None:
    found = {}
    for name in ("fp32", "int8"):
        words = [f"artifact={exported / name}", "stage.split=val", f"paths.run_dir={name}", "logger=csv"]
        assert noria("stage=evaluate", *words) == 0
        table = pq.read_table(f"{name}/predictions.parquet")
        found[name] = np.array(table["probabilities"].to_pylist())
    apart = np.abs(found["fp32"] - found["int8"]).max()
    assert 0 < apart < 0.1


def test_it_is_served(exported: Path) -> None:
    model = Model(Named("it", exported / "int8"), "32-true", torch.device("cpu"), 4)
    service = model.description.service
    found = model.answer([service.request(text, "it") for text in ("warm", "dull")])
    assert [one["label"] in ("good", "bad") for one in found] == [True, True]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["artifact=it"], "is an ONNX file already"),
        (["artifact=fit", "stage.output=it"], "is there already"),
        (["artifact=fit", "stage.output=fit", "stage.overwrite=true"], "is the artifact itself"),
        ([], "needs a model to open"),
    ],
)
def test_what_cannot_be_exported_is_refused(
    words: list[str], said: str, exported: Path, fitted: Path, noria: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    for name, source in (("it", exported / "fp32"), ("fit", fitted / "artifact")):
        shutil.copytree(source, name)
    assert noria("stage=export", *words, "logger=csv", "paths.run_dir=run") == 2
    assert said in " ".join(capsys.readouterr().err.split())
    assert not Path("run/artifact").exists()


def test_it_is_not_trained_but_what_it_was_made_from(
    exported: Path, tiny: list[str], noria: Callable[..., int], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert noria(*tiny, f"model.name={exported / 'fp32'}", "logger=csv") == 2
    assert "holds an ONNX file (model.onnx), which cannot be trained" in " ".join(capsys.readouterr().err.split())
    moved = tmp_path / "moved"
    shutil.copytree(exported / "fp32", moved)
    facts = yaml.safe_load((moved / "noria.yaml").read_text())
    (moved / "noria.yaml").write_text(yaml.safe_dump({**facts, "source": str(tmp_path / "gone")}))
    with pytest.raises(UserError, match="the artifact it was made from is not at"):
        bundle.trainable(moved)


def test_an_index_is_made_with_it(exported: Path, tiny_model: Path, noria: Callable[..., int]) -> None:
    texts = [{"id": f"d{number}", "text": f"a film of number {number}"} for number in range(12)]
    Path("docs.jsonl").write_text("".join(json.dumps(one) + "\n" for one in texts))
    pairs = [{"query": f"number {number}", "document": f"a film of number {number}"} for number in range(40)]
    Path("pairs.jsonl").write_text("".join(json.dumps(one) + "\n" for one in pairs))
    fit = ["task=embedding", "data=pairs", "data.path=pairs.jsonl", "model=hub", f"model.name={tiny_model}"]
    fit += ["data.max_length=32", "trainer.max_epochs=1", "paths.run_dir=fit", "precision=fp32"]
    words = {
        "fit": fit,
        "export": ["stage=export", "artifact=fit/artifact", "stage.output=small", "stage.split=null"],
        "index": ["stage=index", "artifact=small", "stage.documents=docs.jsonl", "stage.output=index"],
        "plain": ["stage=index", "artifact=fit/artifact", "stage.documents=docs.jsonl", "stage.output=plain"],
    }
    for name, some in words.items():
        assert noria(*some, *(["logger=csv", f"paths.run_dir=runs/{name}"] if name != "fit" else ["logger=csv"])) == 0
    assert (Path("index") / "model.onnx").is_file() and not list(Path("index").glob("*.safetensors"))
    Path("queries.txt").write_text("number 7\n")
    found = {}
    for name in ("index", "plain"):
        words = ["stage=predict", f"artifact={name}", "input=queries.txt", f"stage.output={name}.jsonl"]
        assert noria(*words) == 0
        found[name] = [hit["id"] for hit in json.loads(Path(f"{name}.jsonl").read_text())["hits"]]
    assert found["index"] == found["plain"] and found["index"]


def test_a_file_that_is_none_is_refused(exported: Path, tmp_path: Path) -> None:
    folder = tmp_path / "it"
    shutil.copytree(exported / "fp32", folder)
    (folder / "model.onnx").write_bytes((folder / "model.onnx").read_bytes()[:1000])
    with pytest.raises(UserError, match="no ONNX file that ONNX Runtime can open"):
        bundle.open_artifact(folder)
    (folder / "model.onnx").unlink()
    with pytest.raises(UserError, match="is not there: copy the whole folder"):
        bundle.open_artifact(folder)
    facts = yaml.safe_load((folder / "noria.yaml").read_text())
    (folder / "noria.yaml").write_text(yaml.safe_dump({**facts, "backend": "tensorrt"}))
    with pytest.raises(UserError, match="its backend is not as Noria writes it"):
        bundle.open_artifact(folder)


def test_a_graph_that_says_something_else_is_refused(fitted: Path, tmp_path: Path) -> None:
    network = bundle.open_artifact(fitted / "artifact").network
    forward = type(network).forward

    class Wayward(type(network)):
        """Says something else from the second time on that it is asked the same."""

        def forward(self, *given, **more):
            made = forward(self, *given, **more)
            made["logits"] = made["logits"] + (0.0 if torch.compiler.is_exporting() else 1.0)
            return made

    network.__class__ = Wayward
    with pytest.raises(UserError, match="differ by 1 on 1 rows"):
        write_onnx(network, ["input_ids", "attention_mask"], tmp_path / "model.onnx")


SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
SIZES |= {"vocab_size": 120, "max_position_embeddings": 64, "pad_token_id": 1}
FAMILIES = ["distilbert", "modernbert", "mpnet", "roberta"]


@pytest.mark.parametrize("family", FAMILIES)
def test_attention_is_written_without_a_search_for_nan_and_says_the_same(family: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = AutoConfig.for_model(family, **SIZES)
    network = AutoModelForSequenceClassification.from_config(config).eval()
    before = network.config._attn_implementation
    path = tmp_path / "model.onnx"
    assert write_onnx(network, ["input_ids", "attention_mask"], path) < 1e-5
    assert network.config._attn_implementation == before
    assert not any(node.op_type == "IsNaN" for node in onnx.load(path).graph.node)
    quantize_onnx(path, tmp_path / "small.onnx")
    given = {"input_ids": torch.randint(5, 120, (3, 9)), "attention_mask": torch.ones(3, 9, dtype=torch.int64)}
    whole, small = (OnnxNetwork(tmp_path / name, config)(**given).logits for name in ("model.onnx", "small.onnx"))
    assert 0 < (whole - small).abs().max() < 0.1


def test_several_threads_answer_as_one(exported: Path) -> None:
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            runner = Runner(bundle.open_artifact(exported / "int8"), "32-true", torch.device("cpu"))
            encoded = runner.encoded([{"text": "warm " * (1 + number % 20)} for number in range(400)])
            counted: list[int] = []
            found.append(runner.outputs(encoded, 400, counted.append)["scores"])
            assert sum(counted) == 400 and max(counted) < 100, "a call takes no more tokens than are quick"
    finally:
        torch.set_num_threads(before)
    assert np.array_equal(found[0], found[1]) and len(found[0]) == 400
