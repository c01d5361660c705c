"""Every model YAML through one suite: train a little, save the artifact, open it, same outputs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hydra.utils import instantiate
from tests.artifacts import save
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

from noria.artifact import bundle
from noria.task.text_classification.kind import PROBLEM_TYPES

GROUP = "model"
TEXTS = ["a wonderful film", "dreadful", "it is neither here nor there, and far too long"]

# Those whose weights are not at hand: the code path is tried on a tiny model.
SPECIAL = {"bert_base": ["model.name={tiny}"], "hub": ["model.name={tiny}"], "smollm2": ["model.name={gguf}"]}
DECODERS = {"hub": ["model.name={decoder}", "model.architecture=decoder"], "smollm2": ["model.name={gguf}"]}
ELSEWHERE = {"transformer"}  # tests/model/transformer: its tokenizer is trained, and it is no network of the library's
CHAT = [{"role": "user", "content": "What is the capital of France?"}]


def test_the_yamls_are_found(found: list[str]) -> None:
    assert len(found) >= 4
    assert set(found) - set(SPECIAL), "not one model is tried with its own weights"


@pytest.mark.parametrize("kind", ["single_label", "regression"])
def test_what_is_saved_gives_the_same_outputs(
    compose: Callable, choice: str, kind: str, tiny_model: Path, tiny_gguf: Path, tmp_path: Path
) -> None:
    if choice in ELSEWHERE or (kind == "regression" and choice not in SPECIAL):
        pytest.skip("the same code; once is enough for a large model")
    cfg = compose(
        f"model={choice}", *(word.format(tiny=tiny_model, gguf=tiny_gguf) for word in SPECIAL.get(choice, []))
    )
    pretrained = instantiate(cfg.model)
    tokenizer = pretrained.tokenizer()
    labels = ["bad", "good", "odd"] if kind == "single_label" else []
    network = pretrained.classifier(labels, PROBLEM_TYPES[kind], tokenizer.pad_token_id)
    assert network.training and all(p.dtype == torch.float32 for p in network.parameters())

    batch = tokenizer(TEXTS, padding=True, truncation=True, max_length=16, return_tensors="pt")
    before = {name: parameter.clone() for name, parameter in network.named_parameters()}
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01)
    target = torch.tensor([1, 0, 2]) if kind == "single_label" else torch.tensor([1.0, 0.0, 0.5])
    for _ in range(2):
        optimizer.zero_grad()
        network(**batch, labels=target).loss.backward()
        optimizer.step()
    still = [name for name, parameter in network.named_parameters() if torch.equal(parameter, before[name])]
    # of the embeddings not every row is read; the softmax of attention does not see the keys' bias
    assert not [name for name in still if "embed" not in name and not name.endswith("key.bias")]

    facts = {"kind": kind, "labels": labels, "max_length": 16, "precision": "32-true", "config": {}, "data": {}}
    save(tmp_path / "artifact", network, tokenizer, facts)
    opened = bundle.open_artifact(tmp_path / "artifact")
    alone = AutoModelForSequenceClassification.from_pretrained(tmp_path / "artifact").eval()
    with torch.inference_mode():
        wanted = network.eval()(**batch).logits
        assert wanted.shape == (3, max(len(labels), 1))
        for network in (opened.network, alone):
            torch.testing.assert_close(network(**batch).logits, wanted, atol=1e-6, rtol=1e-6)
    assert opened.tokenizer(TEXTS)["input_ids"] == tokenizer(TEXTS)["input_ids"]
    assert list(alone.config.id2label.values()) == (labels or ["value"])


def test_a_decoder_is_saved_with_its_chat_template(
    compose: Callable, choice: str, tiny_decoder: Path, tiny_gguf: Path, tmp_path: Path
) -> None:
    if choice not in DECODERS:
        cfg = compose(f"model={choice}")
        assert choice in ELSEWHERE or cfg.model.architecture == "encoder", (
            f"{choice} is a decoder: give it a line in DECODERS"
        )
        pytest.skip("an encoder")
    words = [word.format(decoder=tiny_decoder, gguf=tiny_gguf) for word in DECODERS[choice]]
    cfg = compose(f"model={choice}", *words)
    pretrained = instantiate(cfg.model)
    tokenizer = pretrained.tokenizer()
    network = pretrained.language_model()
    assert network.training and all(p.dtype == torch.float32 and p.requires_grad for p in network.parameters())

    batch = tokenizer(TEXTS, padding=True, truncation=True, max_length=16, return_tensors="pt")
    before = {name: parameter.clone() for name, parameter in network.named_parameters()}
    targets = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, -100)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    network(**batch, labels=targets).loss.backward()
    optimizer.step()
    assert not [name for name, parameter in network.named_parameters() if torch.equal(parameter, before[name])]

    facts = {"kind": "causal_lm", "labels": [], "max_length": 16, "precision": "32-true", "config": {}, "data": {}}
    save(tmp_path / "artifact", network, tokenizer, facts)
    opened = bundle.open_artifact(tmp_path / "artifact")
    alone = AutoModelForCausalLM.from_pretrained(tmp_path / "artifact").eval()
    with torch.inference_mode():
        wanted = network.eval()(**batch).logits
        assert wanted.shape == (*batch["input_ids"].shape, len(tokenizer))
        for one in (opened.network, alone):
            torch.testing.assert_close(one(**batch).logits, wanted, atol=1e-6, rtol=1e-6)
    assert opened.tokenizer.apply_chat_template(CHAT, tokenize=False, add_generation_prompt=True) == (
        "<|im_start|>user\nWhat is the capital of France?<|im_end|>\n<|im_start|>assistant\n"
    )
