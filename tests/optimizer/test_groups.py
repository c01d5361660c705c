"""Parameter groups: nothing lost or doubled, the right ones decay, and each depth learns at its rate."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertForSequenceClassification,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    T5Config,
    T5ForConditionalGeneration,
)

from noria.common.errors import UserError
from noria.optimizer.groups import parameter_groups

BERT = {"vocab_size": 20, "hidden_size": 8, "num_hidden_layers": 3, "num_attention_heads": 2}
BERT |= {"intermediate_size": 16, "max_position_embeddings": 16}


def bert() -> PreTrainedModel:
    return BertForSequenceClassification(BertConfig(**BERT))


def bert_tied() -> PreTrainedModel:
    return BertForMaskedLM(BertConfig(**BERT))


def llama() -> PreTrainedModel:
    config = LlamaConfig(vocab_size=20, hidden_size=8, num_hidden_layers=3, num_attention_heads=2, intermediate_size=16)
    return LlamaForCausalLM(config)


def gpt2() -> PreTrainedModel:
    return GPT2LMHeadModel(GPT2Config(vocab_size=20, n_embd=8, n_layer=3, n_head=2, n_positions=16))


def t5() -> PreTrainedModel:
    config = T5Config(vocab_size=20, d_model=8, num_layers=2, num_decoder_layers=2, num_heads=2, d_ff=16, d_kv=4)
    return T5ForConditionalGeneration(config)


FAMILIES = [bert, bert_tied, llama, gpt2, t5]


def names_of(network: nn.Module, groups: list[dict[str, Any]]) -> dict[str, str]:
    """Parameter name -> group name."""
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    return {names[id(p)]: group["name"] for group in groups for p in group["params"]}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("layer_decay", [1.0, 0.5])
def test_every_trainable_parameter_is_in_one_group(family: Any, layer_decay: float) -> None:
    network = family()
    groups = parameter_groups(network, 1e-3, 0.01, layer_decay)
    grouped = [id(p) for group in groups for p in group["params"]]
    assert len(grouped) == len(set(grouped))
    assert set(grouped) == {id(p) for p in network.parameters()}
    names = [group["name"] for group in groups]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("family", FAMILIES)
def test_vectors_do_not_decay_and_matrices_do(family: Any) -> None:
    network = family()
    groups = parameter_groups(network, 1e-3, 0.01, 1.0)
    assert [(g["name"], g["weight_decay"], g["lr"]) for g in groups] == [
        ("decay", 0.01, 1e-3),
        ("no_decay", 0.0, 1e-3),
    ]
    assert all(p.ndim == 2 for p in groups[0]["params"])
    assert all(p.ndim == 1 for p in groups[1]["params"])


def test_norms_and_biases_do_not_decay_whatever_their_shape() -> None:
    class OddNorm(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gain = nn.Parameter(torch.ones(2, 2))

    network = nn.Module()
    network.flat = nn.LayerNorm((3, 3))
    network.odd = OddNorm()
    network.scale = nn.Parameter(torch.tensor(1.0))
    network.bias = nn.Parameter(torch.zeros(2, 2))
    network.linear = nn.Linear(2, 2)
    groups = names_of(network, parameter_groups(network, 1.0, 0.1, 1.0))
    assert [name for name, group in groups.items() if group == "decay"] == ["linear.weight"]
    assert len(groups) == 7


@pytest.mark.parametrize(
    ("family", "expected"),
    [
        (
            bert,
            {
                "bert.embeddings.word_embeddings.weight": "embeddings.decay",
                "bert.embeddings.LayerNorm.weight": "embeddings.no_decay",
                "bert.encoder.layer.0.attention.self.query.weight": "block_0.decay",
                "bert.encoder.layer.2.output.dense.bias": "block_2.no_decay",
                "bert.pooler.dense.weight": "head.decay",
                "classifier.bias": "head.no_decay",
            },
        ),
        (
            llama,
            {
                "model.embed_tokens.weight": "embeddings.decay",
                "model.layers.1.mlp.up_proj.weight": "block_1.decay",
                "model.layers.1.input_layernorm.weight": "block_1.no_decay",
                "model.norm.weight": "head.no_decay",
                "lm_head.weight": "head.decay",
            },
        ),
        (
            gpt2,
            {
                "transformer.wte.weight": "embeddings.decay",
                "transformer.wpe.weight": "embeddings.decay",
                "transformer.h.2.attn.c_attn.weight": "block_2.decay",
                "transformer.ln_f.bias": "head.no_decay",
            },
        ),
        (
            t5,
            {
                "shared.weight": "embeddings.decay",
                "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight": "block_0.decay",
                "encoder.block.1.layer.1.DenseReluDense.wi.weight": "block_1.decay",
                "decoder.block.0.layer.2.DenseReluDense.wi.weight": "block_2.decay",
                "decoder.block.1.layer.0.layer_norm.weight": "block_3.no_decay",
                "decoder.final_layer_norm.weight": "head.no_decay",
            },
        ),
    ],
)
def test_each_family_is_cut_into_its_layers(family: Any, expected: dict[str, str]) -> None:
    network = family()
    names = names_of(network, parameter_groups(network, 1.0, 0.1, 0.5))
    assert {name: names[name] for name in expected} == expected


def test_the_rate_falls_with_each_layer_below_the_head() -> None:
    groups = parameter_groups(bert(), 1e-3, 0.01, 0.5)
    rates = {group["name"]: group["lr"] for group in groups}
    # Three blocks: the head is at depth 4, the embeddings at 0.
    for name, power in {"embeddings": 4, "block_0": 3, "block_1": 2, "block_2": 1, "head": 0}.items():
        assert rates[f"{name}.decay"] == rates[f"{name}.no_decay"] == pytest.approx(1e-3 * 0.5**power)
    assert list(rates) == [
        f"{layer}.{kind}"
        for layer in ("embeddings", "block_0", "block_1", "block_2", "head")
        for kind in ("decay", "no_decay")
    ]


def test_tied_weights_count_as_embeddings() -> None:
    network = bert_tied()
    assert network.cls.predictions.decoder.weight is network.bert.embeddings.word_embeddings.weight
    groups = parameter_groups(network, 1.0, 0.1, 0.5)
    assert any(p is network.cls.predictions.decoder.weight for p in groups[0]["params"])
    assert groups[0]["name"] == "embeddings.decay"


def test_frozen_parameters_are_left_out_and_change_no_rate() -> None:
    network = bert()
    free = {g["name"]: g["lr"] for g in parameter_groups(network, 1e-3, 0.01, 0.5)}
    network.bert.embeddings.requires_grad_(False)
    network.bert.encoder.layer[2].requires_grad_(False)
    groups = parameter_groups(network, 1e-3, 0.01, 0.5)
    names = {group["name"] for group in groups}
    assert names == {n for n in free if not n.startswith(("embeddings", "block_2"))}
    assert all(group["lr"] == free[group["name"]] for group in groups)
    assert all(p.requires_grad for group in groups for p in group["params"])


def test_order_is_the_same_every_time() -> None:
    first, second = bert(), bert()
    order = list(names_of(first, parameter_groups(first, 1.0, 0.1, 0.5)).items())
    assert list(names_of(second, parameter_groups(second, 1.0, 0.1, 0.5)).items()) == order


def test_nothing_trainable_is_the_users_mistake() -> None:
    with pytest.raises(UserError, match="no trainable parameter"):
        parameter_groups(bert().requires_grad_(False), 1.0, 0.1, 1.0)


def test_layer_decay_without_layers_is_the_users_mistake() -> None:
    with pytest.raises(UserError, match=r"layer_decay .* Linear has no numbered blocks"):
        parameter_groups(nn.Linear(2, 2), 1.0, 0.1, 0.9)
    assert len(parameter_groups(nn.Linear(2, 2), 1.0, 0.1, 1.0)) == 2
