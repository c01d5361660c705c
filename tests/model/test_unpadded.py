"""An unpadded encoder gives the padded one's logits and gradients, to the order of its sums."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    AutoModelForSequenceClassification,
    BertConfig,
    BertForMaskedLM,
    BertForQuestionAnswering,
    BertForSequenceClassification,
    BertForTokenClassification,
    CamembertConfig,
    CamembertForSequenceClassification,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    ElectraConfig,
    ElectraForQuestionAnswering,
    ElectraForSequenceClassification,
    RobertaConfig,
    RobertaForSequenceClassification,
    RobertaForTokenClassification,
    XLMRobertaConfig,
    XLMRobertaForSequenceClassification,
)

from noria.common.errors import UserError
from noria.model.execution import choose_execution
from noria.model.head import scores_of
from noria.model.packed_attention import LONG, TOKENS
from noria.model.peft import Lora
from noria.model.unpadded import FirstTokenLayer, UnpaddedEncoder, can_unpad, unpad

SIZES: dict[str, Any] = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 64}
SIZES |= {"vocab_size": 120, "max_position_embeddings": LONG + 10, "pad_token_id": 1, "num_labels": 3}
OFF = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
FAMILIES = [
    (BertConfig, BertForSequenceClassification),
    (CamembertConfig, CamembertForSequenceClassification),
    (ElectraConfig, ElectraForSequenceClassification),
    (RobertaConfig, RobertaForSequenceClassification),
    (XLMRobertaConfig, XLMRobertaForSequenceClassification),
]
OF_TOKENS = [
    (BertConfig, BertForTokenClassification),
    (BertConfig, BertForQuestionAnswering),
    (ElectraConfig, ElectraForQuestionAnswering),
    (RobertaConfig, RobertaForTokenClassification),
]
LENGTHS = {
    "all alike": [5, 5, 5],
    "in groups": [3, 9, 9, 4],
    "of many lengths": list(range(2, 12)),
    "that leave no room for a filler": [TOKENS - 9, 9],
    "one token": [1, 1],
    "one token each, as many as are packed": [1] * TOKENS,
    "one row": [7],
    "far apart": [1, 5, 60],
    "so long that another kernel is quicker": [3, LONG],
}


def make(config: Any = BertConfig, kind: Any = BertForSequenceClassification, **more: Any) -> Any:
    torch.manual_seed(0)
    labels = {"num_labels": 2} if kind.__name__.endswith("QuestionAnswering") else {}
    return kind(config(**{**SIZES, **OFF, **labels, **more})).train()


def batch(lengths: list[int], types: bool = False) -> dict[str, torch.Tensor]:
    there = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    ids = torch.randint(3, 120, there.shape, generator=torch.Generator().manual_seed(1)).where(there, 1)
    made = {"input_ids": ids, "attention_mask": there.long()}
    return made | ({"token_type_ids": (ids % 2) * there} if types else {})


def logits_and_gradients(network: Any, inputs: dict[str, torch.Tensor]) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    logits = scores_of(network(**inputs))
    if logits.ndim == 3 and "attention_mask" in inputs:  # what is said of padding is nothing
        logits = logits * inputs["attention_mask"][..., None]
    network.zero_grad()
    (logits**2).sum().backward()
    none = torch.zeros(())
    return logits.detach(), {name: none if p.grad is None else p.grad for name, p in network.named_parameters()}


def assert_equal_runs(padded: Any, packed: Any, inputs: dict[str, torch.Tensor]) -> None:
    (wanted, down), (found, up) = logits_and_gradients(padded, inputs), logits_and_gradients(packed, inputs)
    torch.testing.assert_close(found, wanted, atol=1e-6, rtol=1e-5)
    assert list(down) == list(up)
    for name in down:  # a pooler's query bias may have none in one of the two, and zero in the other
        torch.testing.assert_close(up[name] + 0 * down[name], down[name] + 0 * up[name], atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS.keys())
@pytest.mark.parametrize(("config", "kind"), [*FAMILIES, *OF_TOKENS])
def test_logits_and_gradients_are_those_of_the_padded_network(config: Any, kind: Any, lengths: list[int]) -> None:
    padded = make(config, kind)
    packed = deepcopy(padded)
    unpad(packed)
    assert list(packed.state_dict()) == list(padded.state_dict())
    assert_equal_runs(padded, packed, batch(lengths))


@pytest.mark.parametrize(("config", "kind"), [FAMILIES[0], *OF_TOKENS[:2]])
def test_pairs_and_rows_without_a_mask(config: Any, kind: Any) -> None:
    padded = make(config, kind)
    packed = deepcopy(padded)
    unpad(packed)
    assert_equal_runs(padded, packed, batch([4, 9, 9], types=True))
    assert_equal_runs(padded, packed, {"input_ids": batch([6, 6])["input_ids"]})


def test_in_double_precision_nothing_is_left_of_the_difference() -> None:
    padded = make().double().eval()
    packed = deepcopy(padded)
    unpad(packed)
    for lengths in LENGTHS.values():
        with torch.no_grad():
            found, wanted = packed(**batch(lengths)).logits, padded(**batch(lengths)).logits
        torch.testing.assert_close(found, wanted, atol=1e-14, rtol=1e-12)


def test_under_autocast_it_is_as_near_to_the_exact_network_as_the_padded_one() -> None:
    exact = make(num_hidden_layers=4)
    padded, packed, inputs = deepcopy(exact), deepcopy(exact), batch([4, 9, 30, 9], types=True)
    unpad(packed)
    wanted, _ = logits_and_gradients(exact.double(), inputs)
    off = {}
    for name, network in (("padded", padded), ("packed", packed)):
        with torch.autocast("cpu", torch.bfloat16):
            logits = network(**inputs).logits
        (logits.float() ** 2).sum().backward()
        pairs = zip(network.parameters(), exact.parameters(), strict=True)
        gaps = [
            (p.grad - q.grad).norm() / q.grad.norm() for p, q in pairs if p.grad is not None and q.grad.norm() > 1e-3
        ]
        off[name] = float((logits.detach() - wanted).norm() / wanted.norm()), float(torch.stack(gaps).median())
    assert off["packed"][0] <= 1.5 * off["padded"][0] and off["packed"][1] <= 1.5 * off["padded"][1], off


def test_the_attention_that_drops_is_the_same_function() -> None:
    padded = make()
    packed = deepcopy(padded)
    unpad(packed)
    for layer in packed.bert.encoder.layer:
        layer.attention.self.dropout.p = 1e-9  # rounds to no drop at all, on the path that would draw
    for lengths in LENGTHS.values():
        assert_equal_runs(padded, packed, batch(lengths))


def test_dropout_drops_in_training_only() -> None:
    network = make(attention_probs_dropout_prob=0.4, hidden_dropout_prob=0.3)
    choose_execution(network, "cpu")
    inputs = batch([4, 6, 6])
    assert not torch.equal(network(**inputs).logits, network(**inputs).logits)
    network.eval()
    assert torch.equal(network(**inputs).logits, network(**inputs).logits)


def test_with_an_adapter() -> None:
    padded = Lora(r=2, dropout=0.0).apply(make(), "SEQ_CLS", "made here", ["classifier"])
    for name, parameter in padded.named_parameters():
        if "lora_B" in name:  # zero at the start: it would change nothing
            torch.nn.init.normal_(parameter, std=0.1)
    packed = deepcopy(padded)
    assert can_unpad(packed)
    unpad(packed)
    assert list(packed.state_dict()) == list(padded.state_dict())
    assert_equal_runs(padded, packed, batch([3, 8, 5]))


def test_with_gradient_checkpointing() -> None:
    padded = make()
    packed = deepcopy(padded)
    packed.gradient_checkpointing_enable({"use_reentrant": False})
    unpad(packed)
    calls = []
    last = packed.bert.encoder.layer[-1]
    last.intermediate.register_forward_hook(lambda *_: calls.append(1))
    assert_equal_runs(padded, packed, batch([3, 8, 5]))
    assert len(calls) == 2  # once forward, once again in the backward pass


def test_only_known_networks_are_packed(tiny_model: Path) -> None:
    assert can_unpad(AutoModelForSequenceClassification.from_pretrained(tiny_model))
    others = [
        BertForMaskedLM(BertConfig(**SIZES)),
        DistilBertForSequenceClassification(DistilBertConfig(dim=32, hidden_dim=64, n_heads=2, n_layers=1)),
        make(is_decoder=True),
        torch.nn.Linear(2, 2),
    ]
    assert not any(can_unpad(network) for network in others)


def test_what_suits_which_device() -> None:
    network = make()
    assert choose_execution(network, "cuda") == "sdpa"
    assert not isinstance(network.bert.encoder, UnpaddedEncoder)
    assert choose_execution(network, "cpu", "sdpa") == "sdpa"
    assert choose_execution(network, "cpu") == "unpadded"
    assert isinstance(network.bert.encoder.layer[-1], FirstTokenLayer)
    assert choose_execution(network, "cpu") == "unpadded"  # a second time changes nothing
    assert sum(isinstance(module, FirstTokenLayer) for module in network.modules()) == 1
    with pytest.raises(UserError, match="packs encoders of bert"):
        choose_execution(BertForMaskedLM(BertConfig(**SIZES)), "cpu", "unpadded")


def test_a_saved_network_says_nothing_of_it(tmp_path: Path) -> None:
    network = make()
    unpad(network)
    network.save_pretrained(tmp_path)
    again = AutoModelForSequenceClassification.from_pretrained(tmp_path)
    assert again.config._attn_implementation == "sdpa"
    assert "unpadded" not in (tmp_path / "config.json").read_text()
    assert_equal_runs(again.train(), network, batch([3, 8, 5]))
