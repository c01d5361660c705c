"""Adapters: what they train, what they leave alone, and what is refused."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    BertConfig,
    BertModel,
    DistilBertConfig,
    DistilBertModel,
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedModel,
    RobertaConfig,
    RobertaModel,
)

from noria.common.errors import UserError
from noria.model.peft import IA3, Adapter, Lora, is_adapted
from noria.model.pretrained import Pretrained
from noria.optimizer.groups import parameter_groups

TWO = ["bad", "good"]
SMALL = {"vocab_size": 40, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}


def trainable(network: Any) -> set[str]:
    return {name.removeprefix("base_model.model.") for name, p in network.named_parameters() if p.requires_grad}


def classifier(folder: Path, adapter: Adapter) -> Any:
    return Pretrained(name=str(folder), peft=adapter).classifier(TWO, "single_label_classification", 0)


def saved(network: PreTrainedModel, folder: Path) -> Path:
    network.save_pretrained(folder)
    return folder


class TestLora:
    def test_a_classifier_trains_its_adapter_and_its_head(self, tiny_model: Path) -> None:
        network = classifier(tiny_model, Lora(r=4))
        names = trainable(network)
        adapter = {name for name in names if ".lora_A." in name or ".lora_B." in name}
        assert names - adapter == {f"classifier.modules_to_save.default.{kind}" for kind in ("weight", "bias")}
        assert len(adapter) == 2 * (2 * 6 + 1)  # six linear layers a block, and the pooler's
        assert is_adapted(network) and network.training

    def test_it_starts_where_the_model_stands(self, tiny_decoder: Path) -> None:
        plain, adapted = Pretrained(name=str(tiny_decoder)), Pretrained(name=str(tiny_decoder), peft=Lora())
        batch = plain.tokenizer()(["a wonderful film"], return_tensors="pt")
        with torch.inference_mode():
            assert torch.equal(
                adapted.language_model().eval()(**batch).logits, plain.language_model().eval()(**batch).logits
            )

    def test_a_decoder_leaves_its_output_embedding_alone(self, tiny_decoder: Path) -> None:
        names = trainable(Pretrained(name=str(tiny_decoder), peft=Lora()).language_model())
        assert names and all(".layers." in name and ".lora_" in name for name in names)

    def test_named_modules_rank_and_scale(self, tiny_decoder: Path) -> None:
        network = Pretrained(
            name=str(tiny_decoder), peft=Lora(r=2, alpha=3, target_modules=["q_proj"])
        ).language_model()
        assert {name.split(".")[4] for name in trainable(network)} == {"q_proj"}
        layer = network.base_model.model.model.layers[0].self_attn.q_proj
        assert layer.lora_A["default"].weight.shape == (2, 32) and layer.scaling["default"] == 1.5

    def test_a_pooler_that_starts_at_random_is_trained_whole(self, tmp_path: Path) -> None:
        without = saved(BertModel(BertConfig(**SMALL), add_pooling_layer=False), tmp_path)
        whole = {name for name in trainable(classifier(without, Lora())) if "lora" not in name}
        assert {name.partition(".modules_to_save")[0] for name in whole} == {"bert.pooler", "classifier"}

    @pytest.mark.parametrize("family", ["roberta", "distilbert"])
    def test_heads_of_several_layers(self, family: str, tmp_path: Path) -> None:
        if family == "roberta":
            body: PreTrainedModel = RobertaModel(RobertaConfig(**SMALL, pad_token_id=0), add_pooling_layer=False)
        else:
            body = DistilBertModel(DistilBertConfig(vocab_size=40, dim=16, n_layers=2, n_heads=2, hidden_dim=16))
        names = trainable(classifier(saved(body, tmp_path), Lora()))
        heads = {name for name in names if "lora" not in name}
        assert len(heads) == 4 and all("modules_to_save" in name for name in heads)
        assert all(".layer." in name for name in names - heads)

    def test_gpt2s_turned_layers(self, tmp_path: Path) -> None:
        gpt2 = GPT2LMHeadModel(GPT2Config(vocab_size=20, n_embd=8, n_layer=2, n_head=2, n_positions=16))
        network = Pretrained(name=str(saved(gpt2, tmp_path)), peft=Lora()).language_model()
        assert {name.split(".")[4] for name in trainable(network)} == {"c_attn", "c_proj", "c_fc"}

    def test_modules_that_are_not_there_are_refused(self, tiny_model: Path) -> None:
        with pytest.raises(UserError, match=r"does not fit model\.name=.*model\.peft\.target_modules"):
            classifier(tiny_model, Lora(target_modules=["q_proj"]))

    @pytest.mark.parametrize("module", ["lm_head", "embed_tokens"])
    def test_a_tied_embedding_is_refused(self, tiny_decoder: Path, module: str) -> None:
        with pytest.raises(UserError, match=rf"takes in .*{module}, which shares its weights with"):
            Pretrained(name=str(tiny_decoder), peft=Lora(target_modules=["q_proj", module])).language_model()


class TestDora:
    def test_it_learns_lengths_too(self, tiny_decoder: Path) -> None:
        names = trainable(Pretrained(name=str(tiny_decoder), peft=Lora(use_dora=True)).language_model())
        assert sum("lora_magnitude_vector" in name for name in names) == len(names) / 3 > 0


class TestIA3:
    def test_it_takes_what_peft_knows(self, tiny_decoder: Path) -> None:
        names = trainable(Pretrained(name=str(tiny_decoder), peft=IA3()).language_model())
        assert {name.split(".")[4] for name in names} == {"k_proj", "v_proj", "down_proj"}
        assert len(names) == 6 and all(".ia3_l." in name for name in names)

    def test_its_factors_do_not_decay(self, tiny_model: Path) -> None:
        network = classifier(tiny_model, IA3())
        names = {id(parameter): name for name, parameter in network.named_parameters()}
        groups = parameter_groups(network, 1e-3, 0.1, 0.9)
        decays = {names[id(p)] for group in groups if group["weight_decay"] for p in group["params"]}
        assert decays == {"base_model.model.classifier.modules_to_save.default.weight"}
        assert {group["name"] for group in groups} == {
            *(f"block_{block}.no_decay" for block in (0, 1)),
            "head.decay",
            "head.no_decay",
        }

    def test_named_modules(self, tiny_decoder: Path) -> None:
        adapter = IA3(target_modules=["v_proj", "down_proj"], feedforward_modules=["down_proj"])
        network = Pretrained(name=str(tiny_decoder), peft=adapter).language_model()
        shapes = [tuple(p.shape) for p in network.parameters() if p.requires_grad]
        assert sorted(shapes) == [(1, 64), (1, 64), (16, 1), (16, 1)]  # what goes into down_proj, what v_proj gives

    def test_feedforward_modules_that_are_no_targets(self) -> None:
        with pytest.raises(UserError, match="must be among"):
            IA3(target_modules=["v_proj"], feedforward_modules=["down_proj"])
        with pytest.raises(UserError, match="must be among"):
            IA3(feedforward_modules=["down_proj"])

    def test_an_architecture_that_peft_does_not_know(self, tmp_path: Path) -> None:
        body = DistilBertModel(DistilBertConfig(vocab_size=40, dim=16, n_layers=2, n_heads=2, hidden_dim=16))
        with pytest.raises(UserError, match=r"knows no modules .* Name them in model\.peft\.target_modules"):
            classifier(saved(body, tmp_path), IA3())


def test_a_layers_rate_goes_by_its_block(tiny_decoder: Path) -> None:
    network = Pretrained(name=str(tiny_decoder), peft=Lora(use_dora=True)).language_model()
    rates = {group["name"]: group["lr"] for group in parameter_groups(network, 1.0, 0.1, 0.5)}
    assert rates == {"block_0.decay": 0.25, "block_0.no_decay": 0.25, "block_1.decay": 0.5, "block_1.no_decay": 0.5}


def test_the_folder_of_an_adapter_is_no_model(tiny_decoder: Path, tmp_path: Path) -> None:
    network = Pretrained(name=str(tiny_decoder), peft=Lora()).language_model()
    network.save_pretrained(tmp_path / "adapter", save_embedding_layers=False)
    with pytest.raises(UserError, match="this folder holds an adapter"):
        Pretrained(name=str(tmp_path / "adapter")).language_model()
    beside = shutil.copytree(tiny_decoder, tmp_path / "beside")  # a model with an adapter put beside it
    shutil.copytree(tmp_path / "adapter", beside, dirs_exist_ok=True)
    with pytest.raises(UserError, match="this folder holds an adapter"):
        Pretrained(name=str(beside)).language_model()
