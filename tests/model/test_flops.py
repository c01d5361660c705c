"""The operations of a training step, held against those that torch counts while it makes one."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from transformers import (
    AlbertConfig,
    AlbertForSequenceClassification,
    BertConfig,
    BertForSequenceClassification,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    ElectraConfig,
    ElectraForSequenceClassification,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MixtralConfig,
    MixtralForCausalLM,
    T5Config,
    T5ForSequenceClassification,
)

from noria.model.flops import training_flops
from noria.model.peft import Lora
from noria.model.unpadded import unpad

ROWS, TOKENS = 4, 24
SIZES: dict[str, Any] = {"hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 256}
SIZES |= {"vocab_size": 100, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
EAGER = {"attn_implementation": "eager"}  # torch's other kernels compute parts of it again in the backward pass


def counted(network: nn.Module) -> int:
    """What torch counts, forward and backward, over rows without padding."""
    ids = torch.randint(3, 100, (ROWS, TOKENS))
    labels = ids if "CausalLM" in type(network).__name__ or "LMHead" in type(network).__name__ else ids[:, 0] % 2
    with FlopCounterMode(display=False) as counter:
        network(input_ids=ids, attention_mask=torch.ones_like(ids), labels=labels).loss.backward()
    return counter.get_total_flops()


def reckoned(network: nn.Module) -> int:
    flops = training_flops(network)
    assert flops is not None
    return flops.of(ROWS, ROWS * TOKENS, ROWS * TOKENS**2)


def bert(**options: Any) -> BertForSequenceClassification:
    return BertForSequenceClassification(BertConfig(**SIZES, **{**EAGER, **options}))


def llama(**options: Any) -> LlamaForCausalLM:
    return LlamaForCausalLM(LlamaConfig(**SIZES, num_key_value_heads=2, **{**EAGER, **options}))


@pytest.mark.parametrize(
    "network",
    [
        bert(),
        bert(attn_implementation="sdpa"),
        ElectraForSequenceClassification(ElectraConfig(**SIZES, **EAGER, embedding_size=32)),
        DistilBertForSequenceClassification(
            DistilBertConfig(dim=64, n_layers=3, n_heads=4, hidden_dim=256, vocab_size=100, **EAGER)
        ),
        llama(tie_word_embeddings=True),
        llama(tie_word_embeddings=False, head_dim=32),
        GPT2LMHeadModel(GPT2Config(n_embd=64, n_layer=3, n_head=4, vocab_size=100, bos_token_id=1, eos_token_id=2)),
    ],
    ids=["bert", "bert, sdpa", "electra", "distilbert", "llama, tied", "llama, wide heads", "gpt2"],
)
def test_all_trained(network: nn.Module) -> None:
    assert reckoned(network) == counted(network)


def test_a_frozen_backbone_has_no_backward() -> None:
    network = bert()
    network.bert.requires_grad_(False)
    assert reckoned(network) == counted(network)


def test_frozen_first_layers_have_none_either() -> None:
    network = bert()
    whole = reckoned(network)
    network.bert.embeddings.requires_grad_(False)
    network.bert.encoder.layer[0].requires_grad_(False)
    # torch also spares what the first trained layer's queries, keys and values would hand back to frozen ones
    assert reckoned(network) == pytest.approx(counted(network), rel=0.03) and reckoned(network) < 0.8 * whole


@pytest.mark.parametrize("kind", ["SEQ_CLS", "CAUSAL_LM"])
def test_under_an_adapter_frozen_weights_count_less(kind: Any) -> None:
    network, whole = (bert(), ["classifier"]) if kind == "SEQ_CLS" else (llama(), [])
    before = reckoned(network)
    adapted = Lora(r=2).apply(network, kind, "tiny", whole)
    assert reckoned(adapted) == pytest.approx(counted(adapted), rel=0.03) and reckoned(adapted) < 0.8 * before


def test_how_it_is_executed_does_not_matter() -> None:
    network = bert()
    before = training_flops(network)
    unpad(network)
    assert training_flops(network) == before


@pytest.mark.parametrize(
    "network",
    [
        AlbertForSequenceClassification(AlbertConfig(**SIZES, embedding_size=32)),  # one layer, used three times
        T5ForSequenceClassification(T5Config(vocab_size=100, d_model=32, d_ff=64, num_layers=2, num_heads=2)),
        MixtralForCausalLM(MixtralConfig(**SIZES, num_key_value_heads=2, num_local_experts=4)),  # some of the experts
        nn.Linear(2, 2),
    ],
    ids=["albert", "t5", "mixtral", "no transformer"],
)
def test_where_the_layout_is_not_known_nothing_is_said(network: nn.Module) -> None:
    assert training_flops(network) is None
