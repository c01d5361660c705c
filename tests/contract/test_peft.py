"""Every adapter YAML through one suite: train a little, save, open: the merged weights give the same outputs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra.utils import instantiate
from peft import PeftModel
from safetensors.torch import load_file
from tests.artifacts import save
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

from noria.artifact import bundle
from noria.optimizer.groups import parameter_groups
from noria.task.text_classification.kind import PROBLEM_TYPES

GROUP = "model/peft"
TEXTS = ["a wonderful film", "dreadful", "it is neither here nor there, and far too long"]
TOLERANCE = 1e-4  # between the network with its adapter and the artifact with the adapter merged in: logits, fp32
RATES = {"ia3": 3e-2}  # its few factors move slowly


def test_the_yamls_are_found(found: list[str]) -> None:
    assert {"none", "lora", "dora", "ia3"} <= set(found)


@pytest.mark.parametrize("kind", ["single_label", "causal_lm"])
def test_train_save_open_same_outputs(
    compose: Callable, choice: str, kind: str, tiny_model: Path, tiny_decoder: Path, tmp_path: Path
) -> None:
    decoder = kind == "causal_lm"
    model = [f"model.name={tiny_decoder}", "model.architecture=decoder"] if decoder else [f"model.name={tiny_model}"]
    cfg = compose("model=hub", f"model/peft={choice}", *model)
    pretrained = instantiate(cfg.model)
    tokenizer = pretrained.tokenizer()
    labels = [] if decoder else ["bad", "good", "odd"]

    def fresh() -> Any:
        return (
            pretrained.language_model()
            if decoder
            else pretrained.classifier(labels, PROBLEM_TYPES[kind], tokenizer.pad_token_id)
        )

    network = fresh()
    batch = tokenizer(TEXTS, padding=True, return_tensors="pt")
    targets = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, -100) if decoder else torch.tensor([1, 0, 2])
    trained = train(network, batch, targets, RATES.get(choice, 1e-2))
    assert (choice == "none") == (trained == len(list(network.parameters())))

    with torch.inference_mode():
        wanted = network.eval()(**batch).logits
    state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    facts = {"kind": kind, "labels": labels, "max_length": 16, "precision": "32-true", "config": {}, "data": {}}
    save(tmp_path / "artifact", network, tokenizer, facts)
    assert list(network.state_dict()) == list(state)
    assert all(torch.equal(tensor, state[name]) for name, tensor in network.state_dict().items())

    auto = AutoModelForCausalLM if decoder else AutoModelForSequenceClassification
    alone = auto.from_pretrained(tmp_path / "artifact").eval()
    with torch.inference_mode():
        for merged in (bundle.open_artifact(tmp_path / "artifact").network, alone):
            assert not isinstance(merged, PeftModel)
            assert (merged(**batch).logits - wanted).abs().max() < TOLERANCE
        # what the end of a fit does: a fresh network takes the weights of a checkpoint
        again = fresh().eval()
        again.load_state_dict(state)
        assert torch.equal(again(**batch).logits, wanted)
    folder = tmp_path / "artifact/adapter"
    if choice == "none":
        assert not folder.exists()
        return
    # the adapter alone, on the model that it was trained on
    base = auto.from_pretrained(tiny_decoder if decoder else tiny_model, **({} if decoder else {"num_labels": 3}))
    with torch.inference_mode():
        alone = PeftModel.from_pretrained(base, folder).eval()
        assert (alone(**batch).logits - wanted).abs().max() < TOLERANCE
    settings = json.loads((folder / "adapter_config.json").read_text())
    assert settings["base_model_name_or_path"] == pretrained.name
    assert sorted(path.name for path in folder.iterdir()) == ["adapter_config.json", "adapter_model.safetensors"]


def train(network: Any, batch: Any, targets: torch.Tensor, lr: float) -> int:
    """A few steps, in which every trainable parameter changes and no other; how many those are."""
    before = {name: parameter.detach().clone() for name, parameter in network.named_parameters()}
    optimizer = torch.optim.AdamW(parameter_groups(network, lr, 0.01, 0.9))
    losses = []
    for _ in range(10):
        optimizer.zero_grad()
        loss = network(**batch, labels=targets).loss
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert min(losses[1:]) < losses[0]
    changed = {name for name, parameter in network.named_parameters() if not torch.equal(parameter, before[name])}
    trainable = {name for name, parameter in network.named_parameters() if parameter.requires_grad}
    # the softmax of attention does not see the keys' bias
    assert changed <= trainable and not {name for name in trainable - changed if not name.endswith("key.bias")}
    optimised = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    assert optimised == {id(parameter) for parameter in network.parameters() if parameter.requires_grad}
    return len(trainable)


def test_from_the_command_line(noria: Callable[..., int], tiny: list[str], choice: str, tiny_model: Path) -> None:
    """A fit leaves an artifact that evaluates and predicts as it did at the end of the fit."""
    if choice == "none":
        pytest.skip("what every other suite does")
    assert noria(*tiny, f"model/peft={choice}", "optimizer.lr=1e-2", "stage.test=false") == 0
    run = Path("runs/latest").resolve()
    record = json.loads((run / "record.json").read_text())
    assert record["choices"]["model/peft"] == choice
    before, after = load_file(tiny_model / "model.safetensors"), load_file(run / "artifact/model.safetensors")
    same = {name for name in before if torch.equal(before[name], after[f"bert.{name}"])}
    frozen = {name for name in before if "embeddings" in name}
    assert frozen < same < set(before)

    assert noria("stage=evaluate", f"artifact={run / 'artifact'}", "stage.split=val") == 0
    folder = max(Path("runs/evaluate").iterdir())
    measured = json.loads((folder / "record.json").read_text())["metrics"]
    assert measured["val/loss"] == pytest.approx(record["metrics"]["val/loss"])
    Path("texts.txt").write_text("a delight\ndreadful\n")
    assert noria("stage=predict", f"artifact={run / 'artifact'}", "input=texts.txt") == 0


def test_a_run_with_an_adapter_is_resumed(noria: Callable[..., int], tiny: list[str], capsys: Any) -> None:
    options = [*tiny, "model/peft=lora", "optimizer.lr=1e-2", "stage.test=false", "trainer.max_epochs=2"]
    assert noria(*options) == 0
    run = Path("runs/latest").resolve()
    record = json.loads((run / "record.json").read_text())
    assert record["status"] == "done"
    (run / "record.json").write_text(json.dumps(record | {"status": "failed"}))
    assert noria(f"resume={run}", "model/peft=ia3") == 2
    assert "model.peft.r: was 16, would be (not set)" in capsys.readouterr().err
    assert noria(f"resume={run}", "stage.test=false") == 0
    assert json.loads((run / "record.json").read_text())["metrics"] == record["metrics"]
