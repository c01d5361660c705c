"""Neurons, heads and layers go, the least important ones; any library opens what is left, and it says the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.compression.conftest import did, logits, record, weights
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

from noria.artifact import bundle
from noria.artifact.bundle import Artifact
from noria.common.errors import UserError
from noria.compression import units
from noria.compression.importance import Importance
from noria.compression.prune_structured import PruneStructured
from noria.data.batch.encoded import Encoded, encode_texts
from noria.data.batch.encoded_text import EncodedText
from noria.data.batch.tokens import tokenise

Compressed = Callable[..., Path]
TEXTS = ["a warm and superb film", "dull", "stale pepper, all of it", "great fun", "no fun at all", "odd"]


def classified(artifact: Artifact) -> Encoded:
    encoded = encode_texts(artifact.tokenizer, TEXTS, None, 32)
    encoded.labels = np.arange(len(TEXTS)) % 2
    return encoded


def of_text(artifact: Artifact) -> Encoded:
    return EncodedText(tokenise(artifact.tokenizer, TEXTS, None, 32), 0, 32)


def loss(artifact: Artifact, encoded: Encoded, row: int) -> Tensor:
    batch = encoded[[row]]
    losses, weigh = artifact.kind.losses(artifact.kind.forward(artifact.network, batch), batch)
    return (losses * weigh).sum()


def by_hand(artifact: Artifact, encoded: Encoded, linear: nn.Linear, count: int) -> Tensor:
    """The sum over rows of |dL/dg|, where a gate g stands before each of the units that a linear map reads."""
    found = torch.zeros(count)
    for row in range(len(encoded)):
        gates = torch.ones(count, requires_grad=True)
        hook = linear.register_forward_pre_hook(
            lambda module, given, gates=gates: (given[0] * gates.repeat_interleave(linear.in_features // count),)
        )
        found += torch.autograd.grad(loss(artifact, encoded, row), gates)[0].abs()
        hook.remove()
    return found


def layer_by_hand(artifact: Artifact, encoded: Encoded, layer: nn.Module) -> Tensor:
    """The same with a gate before what a layer adds."""
    found = torch.zeros(())
    for row in range(len(encoded)):
        gate = torch.ones((), requires_grad=True)
        hook = layer.register_forward_hook(lambda module, given, made, gate=gate: given[0] + gate * (made - given[0]))
        found = found + torch.autograd.grad(loss(artifact, encoded, row), gate)[0].abs()
        hook.remove()
    return found


@pytest.mark.parametrize("name", ["artifact", "decoder"])
def test_importance_is_what_gates_say(name: str, request: pytest.FixtureRequest) -> None:
    opened = bundle.open_artifact(request.getfixturevalue(name).folder)
    encoded = classified(opened) if name == "artifact" else of_text(opened)
    network = opened.network
    cut = units.neurons(network) + (units.heads(network) if name == "decoder" else [])
    layers = list(units.stack(network))
    found = Importance({number: (each.reads, each.count) for number, each in enumerate(cut)}, layers)
    found.measure(network, opened.kind, [encoded[[0, 1, 2]], encoded[[3, 4, 5]]])
    for number, each in enumerate(cut):
        wanted = by_hand(opened, encoded, each.reads, each.count)
        assert wanted.max() > 0 and torch.allclose(found.of_units[number], wanted, rtol=1e-3, atol=1e-6)
    for number, layer in enumerate(layers):
        wanted = layer_by_hand(opened, encoded, layer)
        assert torch.allclose(found.of_layers[number], wanted, rtol=1e-3, atol=1e-6)
    assert [each.count for each in cut] == [64, 64] + [2, 2] * (name == "decoder"), "two heads share keys and values"


def test_the_least_important_neurons_go(artifact: Artifact, tmp_path: Path) -> None:
    opened = bundle.open_artifact(artifact.folder)
    encoded = classified(opened)
    scores = [by_hand(opened, encoded, each.reads, 64) for each in units.neurons(opened.network)]
    before = weights(artifact.folder)
    said = PruneStructured(neurons=0.25).apply(opened, tmp_path / "left", lambda: encoded)
    assert said["parameters_before"] - said["parameters"] == 2 * 16 * (32 + 1 + 32)
    after = weights(tmp_path / "left")
    for number, each in enumerate(scores):
        kept = sorted(each.argsort(descending=True)[:48].tolist())
        name = f"bert.encoder.layer.{number}"
        assert torch.equal(
            after[f"{name}.intermediate.dense.weight"], before[f"{name}.intermediate.dense.weight"][kept]
        )
        assert torch.equal(after[f"{name}.intermediate.dense.bias"], before[f"{name}.intermediate.dense.bias"][kept])
        assert torch.equal(after[f"{name}.output.dense.weight"], before[f"{name}.output.dense.weight"][:, kept])


def test_plain_transformers_opens_what_is_left(artifact: Artifact, decoder: Artifact, tmp_path: Path) -> None:
    shares: dict[str, dict[str, Any]] = {"artifact": {"layers": 0.5}, "decoder": {"heads": 0.5, "layers": 0.5}}
    made = {"artifact": AutoModelForSequenceClassification, "decoder": AutoModelForCausalLM}
    for name, one, encoded in (("artifact", artifact, classified), ("decoder", decoder, of_text)):
        opened = bundle.open_artifact(one.folder)
        PruneStructured(neurons=0.5, **shares[name]).apply(opened, tmp_path / name, lambda f=encoded, o=opened: f(o))
        plain = made[name].from_pretrained(tmp_path / name).eval()
        assert plain.config.intermediate_size == 32 and plain.config.num_hidden_layers == 1
        assert name == "artifact" or (plain.config.num_attention_heads, plain.config.num_key_value_heads) == (2, 1)
        ids = torch.randint(5, 300, (3, 7), generator=torch.Generator().manual_seed(0))
        with torch.inference_mode():
            said = plain(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
            ours = bundle.open_artifact(tmp_path / name).network(input_ids=ids, attention_mask=torch.ones_like(ids))
        assert torch.equal(said, ours.logits)


def test_strength_0_changes_no_bit(compressed: Compressed, fitted: Path) -> None:
    found = compressed("[prune_structured]")
    before = weights(fitted / "artifact")
    assert all(torch.equal(x, before[name]) for name, x in weights(found).items())
    assert torch.equal(logits(found), logits(fitted / "artifact"))


@pytest.mark.parametrize("name", ["neurons", "heads", "layers"])
def test_strength_1_is_refused(
    name: str, fitted: Path, noria: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["stage=compress", f"artifact={fitted}/artifact", "stage.steps=[prune_structured]", "logger=csv"]
    assert noria(*words, f"compression.prune_structured.{name}=1.0") == 2
    assert f"compression.prune_structured.{name}" in capsys.readouterr().err


def test_heads_of_a_bert_cannot_go(fitted: Path, noria: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    words = ["stage=compress", f"artifact={fitted}/artifact", "stage.steps=[prune_structured]", "logger=csv"]
    assert noria(*words, "compression.prune_structured.heads=0.5", "paths.run_dir=run") == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "the config of a 'bert' model cannot say that it has fewer attention heads" in said and "heads=0" in said
    assert not Path("run/artifact").exists()


def test_a_config_that_forbids_what_is_left_is_refused(tmp_path: Path, tiny_decoder: Path) -> None:
    from tests.artifacts import save
    from tests.conftest import make_tiny_decoder

    from noria.model.pretrained import Pretrained

    pretrained = Pretrained(
        name=str(make_tiny_decoder(tmp_path / "four", num_key_value_heads=4)), architecture="decoder"
    )
    facts = {"kind": "causal_lm", "labels": [], "max_length": 64, "precision": "32-true", "config": {}, "data": {}}
    save(tmp_path / "it", pretrained.language_model(), pretrained.tokenizer(), facts)
    opened = bundle.open_artifact(tmp_path / "it")
    with pytest.raises(UserError, match=r"its config cannot say what is left: .* not a multiple of the number of"):
        PruneStructured(heads=0.25).apply(opened, tmp_path / "left", lambda: of_text(opened))


def test_it_learns_from_what_it_was_cut_from(compressed: Compressed, fitted: Path) -> None:
    step = "{prune_structured: {neurons: 0.5, rows: 16, recover_epochs: 1}}"
    taught = compressed(f"[{step}]", "stage.teacher=true", run="taught")
    said = record("taught/fit-1-1")
    assert said["teacher"]["folder"] == str(fitted / "artifact") and said["status"] == "done"
    alone = compressed(f"[{step}]", run="alone")
    assert any(not torch.equal(x, weights(alone)[name]) for name, x in weights(taught).items())


def test_it_recovers_and_is_then_rounded(compressed: Compressed, fitted: Path) -> None:
    step = "{prune_structured: {neurons: 0.5, layers: 0.5, rows: 16, recover_epochs: 1}}"
    found = compressed(f"[{step},quantize_int8]", "optimizer.lr=1e-2")
    assert [one["name"] for one in did(found)] == ["prune_structured", "quantize_int8"]
    source = bundle.trainable(found)
    assert source == Path("run/fit-1-1/artifact").resolve()
    left = bundle.open_artifact(source).network.config
    assert (left.intermediate_size, left.num_hidden_layers) == (32, 1) and did(source)[0]["layers"] in ([0], [1])
    assert logits(found).shape == logits(fitted / "artifact").shape


@pytest.mark.parametrize("family", ["distilbert", "modernbert", "gpt2", "t5"])
def test_it_is_not_bound_to_a_family(family: str, made: Any, tmp_path: Path) -> None:
    from tests.artifacts import save

    from noria.model.pretrained import Pretrained

    torch.manual_seed(0)
    network = AutoModelForSequenceClassification.from_config(made.tiny_config(family, len(made.make_tokenizer())))
    network.save_pretrained(tmp_path / "base")
    made.make_tokenizer().save_pretrained(tmp_path / "base")
    pretrained = Pretrained(name=str(tmp_path / "base"), architecture="both", new_head=True)
    tokenizer = pretrained.tokenizer()
    facts = {"kind": "single_label", "labels": ["bad", "good"], "max_length": 32, "precision": "32-true"}
    classifier = pretrained.classifier(["bad", "good"], "single_label_classification", None, tokenizer)
    save(tmp_path / "it", classifier, tokenizer, {**facts, "config": {}, "data": {}})
    opened = bundle.open_artifact(tmp_path / "it")
    said = PruneStructured(neurons=0.25).apply(opened, tmp_path / "left", lambda: classified(opened))
    assert said["parameters"] < said["parameters_before"]
    if family == "t5":
        opened = bundle.open_artifact(tmp_path / "it")
        with pytest.raises(UserError, match="a 't5' model has no single list of layers"):
            PruneStructured(layers=0.5).apply(opened, tmp_path / "left", lambda: classified(opened))
