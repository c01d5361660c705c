from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from noria.artifact import bundle
from noria.common.errors import UserError
from noria.model.pretrained import Pretrained

FACTS: dict[str, Any] = {
    "kind": "single_label",
    "labels": ["bad", "good"],
    "max_length": 32,
    "precision": "32-true",
    "config": {"seed": 0},
    "data": {"fingerprint": "x", "fingerprints": {}},
}


@pytest.fixture
def artifact(tiny_model: Path, tmp_path: Path) -> Path:
    pretrained = Pretrained(name=str(tiny_model))
    folder = tmp_path / "artifact"
    bundle.save(folder, pretrained.classifier(["bad", "good"], "single_label"), pretrained.tokenizer(), FACTS)
    return folder


def test_saved_and_opened_it_gives_the_same_outputs(tiny_model: Path, tmp_path: Path) -> None:
    pretrained = Pretrained(name=str(tiny_model))
    network = pretrained.classifier(["bad", "good"], "single_label").eval()
    bundle.save(tmp_path / "artifact", network, pretrained.tokenizer(), FACTS)
    opened = bundle.open_artifact(tmp_path / "artifact")
    inputs = opened.tokenizer(["a film", "another one"], return_tensors="pt", padding=True)
    with torch.no_grad():
        assert torch.equal(opened.network(**inputs).logits, network(**inputs).logits)
    assert (opened.kind, opened.labels) == ("single_label", ["bad", "good"])
    assert not opened.network.training


def test_saving_again_replaces_the_folder_whole(artifact: Path, tiny_model: Path) -> None:
    (artifact / "left_over.txt").write_text("from before")
    pretrained = Pretrained(name=str(tiny_model))
    network = pretrained.classifier(["bad", "good"], "single_label")
    bundle.save(artifact, network, pretrained.tokenizer(), {**FACTS, "max_length": 64})
    assert bundle.read_facts(artifact)["max_length"] == 64
    assert not (artifact / "left_over.txt").exists()
    assert [path.name for path in artifact.parent.iterdir() if path.name.startswith(".artifact")] == []


def rewrite(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    facts = yaml.safe_load((folder / "noria.yaml").read_text())
    change(facts)
    (folder / "noria.yaml").write_text(yaml.safe_dump(facts))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda folder: (folder / "noria.yaml").unlink(), "holds no noria.yaml"),
        (lambda folder: (folder / "noria.yaml").write_text("a: [1"), "cannot be read"),
        (lambda folder: (folder / "noria.yaml").write_text("- 1"), "it is no mapping"),
        (lambda folder: rewrite(folder, lambda facts: facts.pop("labels")), "it lacks labels"),
        (lambda folder: rewrite(folder, lambda facts: facts.update(format=99)), "has format 99"),
        (lambda folder: rewrite(folder, lambda facts: facts.update(labels=["a", "b", "c"])), "head for other labels"),
        (lambda folder: (folder / "tokenizer.json").unlink(), "tokenizer"),
        (lambda folder: (folder / "config.json").unlink(), "config.json"),
        (
            lambda folder: (folder / "model.safetensors").write_bytes(
                (folder / "model.safetensors").read_bytes()[:-1000]
            ),
            "damaged or cut short",
        ),
    ],
)
def test_a_spoilt_artifact_is_refused(artifact: Path, spoil: Callable[[Path], object], words: str) -> None:
    spoil(artifact)
    with pytest.raises(UserError, match=words):
        bundle.open_artifact(artifact)


def test_opening_runs_no_pickle(artifact: Path, tmp_path: Path) -> None:
    """Weights in a pickle that would run code when it is loaded are refused, and the code does not run."""
    flag = tmp_path / "ran"

    class Evil:
        def __reduce__(self) -> tuple[Any, tuple[str]]:
            return (exec, (f"open({str(flag)!r}, 'w').close()",))

    (artifact / "model.safetensors").unlink()
    torch.save({"classifier.weight": Evil()}, artifact / "pytorch_model.bin")
    with pytest.raises(UserError):
        bundle.open_artifact(artifact)
    assert not flag.exists()


def test_custom_code_in_the_folder_is_not_run(artifact: Path, tmp_path: Path) -> None:
    config = (artifact / "config.json").read_text()
    flag = tmp_path / "ran"
    (artifact / "evil.py").write_text(f"open({str(flag)!r}, 'w').close()\nclass C: pass\n")
    changed = config.replace('"model_type": "bert"', '"model_type": "evil", "auto_map": {"AutoConfig": "evil.C"}')
    assert changed != config
    (artifact / "config.json").write_text(changed)
    with pytest.raises(UserError):
        bundle.open_artifact(artifact)
    assert not flag.exists()


def test_it_can_be_moved(artifact: Path, tmp_path: Path) -> None:
    shutil.move(artifact, tmp_path / "elsewhere")
    assert bundle.open_artifact(tmp_path / "elsewhere").labels == ["bad", "good"]
