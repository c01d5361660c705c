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
from noria.model.peft import Lora
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


@pytest.fixture
def chat(tiny_decoder: Path, tmp_path: Path) -> Path:
    """The artifact of a decoder with an adapter that has moved a little."""
    pretrained = Pretrained(name=str(tiny_decoder), architecture="decoder", peft=Lora())
    network = pretrained.causal_lm()
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.requires_grad:
                parameter.add_(0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(0)))
    facts = {**FACTS, "kind": "causal_lm", "labels": []}
    bundle.save(tmp_path / "chat", network, pretrained.tokenizer(), facts)
    return tmp_path / "chat"


def test_a_decoders_artifact_opens_as_one(chat: Path, tiny_decoder: Path) -> None:
    opened = bundle.open_artifact(chat)
    assert (opened.kind, opened.labels) == ("causal_lm", []) and not opened.network.training
    batch = opened.tokenizer(["a wonderful film"], return_tensors="pt")
    base = Pretrained(name=str(tiny_decoder)).causal_lm().eval()
    with torch.no_grad():
        logits = opened.network(**batch).logits
        assert logits.shape == (*batch["input_ids"].shape, len(opened.tokenizer))
        assert (logits - base(**batch).logits).abs().max() > 1e-2  # the adapter is in it
    assert opened.tokenizer.chat_template == Pretrained(name=str(tiny_decoder)).tokenizer().chat_template
    assert sorted(path.name for path in (chat / "adapter").iterdir()) == [
        "adapter_config.json",
        "adapter_model.safetensors",
    ]


def test_an_adapter_put_into_an_artifact_is_not_opened(chat: Path, tmp_path: Path) -> None:
    """What it names as its model would be opened too, wherever that lies."""
    for path in (chat / "adapter").iterdir():
        shutil.copy(path, chat)
    with pytest.raises(UserError, match="this folder holds an adapter"):
        bundle.open_artifact(chat)


def test_it_can_be_moved(artifact: Path, tmp_path: Path) -> None:
    shutil.move(artifact, tmp_path / "elsewhere")
    assert bundle.open_artifact(tmp_path / "elsewhere").labels == ["bad", "good"]
