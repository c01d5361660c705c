from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from tests.artifacts import save

from noria.artifact import bundle
from noria.common import swap
from noria.common.errors import UserError
from noria.model.peft import Lora
from noria.model.pretrained import Pretrained
from noria.task.causal_lm.kind import CausalLM

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
    save(folder, pretrained.classifier(["bad", "good"], "single_label_classification"), pretrained.tokenizer(), FACTS)
    return folder


def test_saved_and_opened_it_gives_the_same_outputs(tiny_model: Path, tmp_path: Path) -> None:
    pretrained = Pretrained(name=str(tiny_model))
    network = pretrained.classifier(["bad", "good"], "single_label_classification").eval()
    save(tmp_path / "artifact", network, pretrained.tokenizer(), FACTS)
    opened = bundle.open_artifact(tmp_path / "artifact")
    inputs = opened.tokenizer(["a film", "another one"], return_tensors="pt", padding=True)
    with torch.no_grad():
        assert torch.equal(opened.network(**inputs).logits, network(**inputs).logits)
    assert (opened.form.settings()["kind"], opened.labels) == ("single_label", ["bad", "good"])
    assert not opened.network.training


def test_saving_again_replaces_the_folder_whole(artifact: Path, tiny_model: Path) -> None:
    (artifact / "left_over.txt").write_text("from before")
    pretrained = Pretrained(name=str(tiny_model))
    network = pretrained.classifier(["bad", "good"], "single_label_classification")
    save(artifact, network, pretrained.tokenizer(), {**FACTS, "max_length": 64})
    assert bundle.read_facts(artifact)["max_length"] == 64
    assert not (artifact / "left_over.txt").exists()
    assert [path.name for path in artifact.parent.iterdir() if path.name.startswith(".artifact")] == []


@pytest.mark.parametrize("exchanges", [True, False])
def test_a_kill_at_any_moment_leaves_the_artifact_of_before_or_the_new_one(
    exchanges: bool, artifact: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed before it makes, moves or removes its first file or folder, its second, and so on, until one save ends."""
    if not exchanges:  # as on a file system that cannot exchange two folders
        monkeypatch.setattr(swap, "_exchanged", lambda *_: False)
    pretrained = Pretrained(name=str(tiny_model))
    parts = pretrained.classifier(["bad", "good"], "single_label_classification"), pretrained.tokenizer()
    whole = {path.name: path.stat().st_size for path in artifact.iterdir()}
    places = [artifact] if exchanges else [artifact, artifact.with_name("artifact.old")]
    left, status, step = [], signal.SIGKILL, 0
    while status == signal.SIGKILL:
        step += 1
        child = os.fork()
        if not child:
            _die_at(step)
            save(artifact, *parts, {**FACTS, "max_length": 10 + step % 80})
            os._exit(0)
        status = os.waitpid(child, 0)[1]
        found = next(place for place in places if place.is_dir())
        assert {path.name: path.stat().st_size for path in found.iterdir()} == whole, step
        left.append(bundle.read_facts(found)["max_length"] == 10 + step % 80)
    assert status == 0 and step > 10 and left[-1] and not left[0]
    assert True in left[:-1], "killed after the change, the new one is there"
    assert [path.name for path in artifact.parent.iterdir()] == ["artifact"], "what the kills have left is gone"


def _die_at(step: int) -> None:
    """Kills this process before it makes, moves or removes its nth file or folder."""
    changes = ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "shutil.rmtree")
    count = 0

    def look(event: str, given: tuple[Any, ...]) -> None:
        nonlocal count
        if event in changes:
            count += 1
            if count == step:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(look)


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
        (lambda folder: rewrite(folder, lambda facts: facts.pop("settings")), "it lacks settings"),
        (lambda folder: rewrite(folder, lambda facts: facts.update(format=99)), "has format 99"),
        (
            lambda folder: rewrite(folder, lambda facts: facts["settings"].update(labels=[*"abc"])),
            "head for other labels",
        ),
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
    network = pretrained.language_model()
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.requires_grad:
                parameter.add_(0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(0)))
    facts = {**FACTS, "kind": "causal_lm", "labels": []}
    save(tmp_path / "chat", network, pretrained.tokenizer(), facts)
    return tmp_path / "chat"


def test_a_decoders_artifact_opens_as_one(chat: Path, tiny_decoder: Path) -> None:
    opened = bundle.open_artifact(chat)
    assert (type(opened.kind), opened.labels) == (CausalLM, []) and not opened.network.training
    batch = opened.tokenizer(["a wonderful film"], return_tensors="pt")
    base = Pretrained(name=str(tiny_decoder)).language_model().eval()
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
