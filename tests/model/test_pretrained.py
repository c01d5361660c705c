"""Pretrained models from folders: what is frozen, what is refused and why, decoders without a padding token."""

from __future__ import annotations

import json
import re
import shutil
import textwrap
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    BertLMHeadModel,
    DistilBertConfig,
    DistilBertModel,
    GPT2Config,
    GPT2Model,
    LlamaConfig,
    LlamaModel,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    T5Config,
    T5ForConditionalGeneration,
    ViTConfig,
    ViTModel,
)

from noria.common.errors import UserError
from noria.data.batch.encoded import encode_texts
from noria.model.pretrained import Pretrained, freeze

TWO = ["bad", "good"]


def classifier(
    folder: Path, labels: list[str] = TWO, problem_type: str = "single_label_classification", **options: Any
) -> PreTrainedModel:
    return Pretrained(name=str(folder), **options).classifier(labels, problem_type, 0)


@pytest.fixture
def copy(tiny_model: Path, tmp_path: Path) -> Path:
    """A copy of the tiny model that a test may damage."""
    return shutil.copytree(tiny_model, tmp_path / "copy")


@pytest.fixture
def with_head(tiny_model: Path, tmp_path: Path) -> Path:
    """The tiny model with a head for two labels."""
    classifier(tiny_model).save_pretrained(tmp_path / "with_head")
    return tmp_path / "with_head"


class TestClassifier:
    def test_the_head_fits_the_labels_and_the_network_trains(self, tiny_model: Path) -> None:
        network = classifier(tiny_model, ["a", "b", "c"], "multi_label_classification")
        assert network.config.id2label == {0: "a", 1: "b", 2: "c"} and network.config.label2id["c"] == 2
        assert network.config.problem_type == "multi_label_classification"
        assert network.training and all(module.training for module in network.modules())
        assert network(input_ids=torch.tensor([[101, 102]])).logits.shape == (1, 3)

    def test_a_regression_has_one_logit(self, tiny_model: Path) -> None:
        network = classifier(tiny_model, [], "regression")
        assert network.config.problem_type == "regression" and network.config.num_labels == 1
        assert network(input_ids=torch.tensor([[101, 102]])).logits.shape == (1, 1)

    def test_weights_kept_in_half_precision_come_in_fp32(self, tmp_path: Path) -> None:
        sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
        BertForSequenceClassification(BertConfig(vocab_size=50, **sizes)).bfloat16().save_pretrained(tmp_path)
        assert {parameter.dtype for parameter in classifier(tmp_path).parameters()} == {torch.float32}

    def test_a_local_folder_has_no_revision(self, tiny_model: Path) -> None:
        assert Pretrained(name=str(tiny_model)).revision is None


class TestCausalLm:
    def test_every_token_is_predicted_from_those_before(self, tiny_decoder: Path) -> None:
        network = Pretrained(name=str(tiny_decoder), architecture="decoder").language_model()
        assert network.training and all(module.training for module in network.modules())
        assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}
        one, two = torch.tensor([[5, 6, 7, 8]]), torch.tensor([[5, 6, 7, 9]])
        mask = torch.ones_like(one)
        with torch.inference_mode():
            first, second = (network(input_ids=ids, attention_mask=mask).logits for ids in (one, two))
        assert first.shape == (1, 4, network.config.vocab_size)
        assert torch.equal(first[:, :3], second[:, :3]) and not torch.equal(first[:, 3], second[:, 3])

    def test_a_tied_output_embedding_is_not_missing(self, tiny_decoder: Path) -> None:
        assert "lm_head.weight" not in load_file(tiny_decoder / "model.safetensors")
        network = Pretrained(name=str(tiny_decoder)).language_model()
        assert network.lm_head.weight is network.model.embed_tokens.weight

    def test_freezing(self, tiny_decoder: Path) -> None:
        network = Pretrained(name=str(tiny_decoder), freeze=1).language_model()
        frozen = {name.split(".")[2] for name, p in network.named_parameters() if not p.requires_grad}
        assert frozen == {"weight", "0"}  # model.embed_tokens.weight and model.layers.0

    def test_an_encoder_is_refused(self, tiny_model: Path, tmp_path: Path) -> None:
        with pytest.raises(UserError, match=r"a 'bert' model has an encoder.*model=smollm2"):
            Pretrained(name=str(tiny_model)).language_model()
        sizes = {"d_model": 8, "d_ff": 8, "num_layers": 1, "num_heads": 2, "d_kv": 4, "decoder_start_token_id": 0}
        T5ForConditionalGeneration(T5Config(vocab_size=20, **sizes)).save_pretrained(tmp_path)
        with pytest.raises(UserError, match="a 't5' model has an encoder"):
            Pretrained(name=str(tmp_path)).language_model()

    def test_a_bert_that_is_a_decoder_is_none(self, tmp_path: Path) -> None:
        sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
        BertLMHeadModel(BertConfig(vocab_size=20, is_decoder=True, **sizes)).save_pretrained(tmp_path)
        assert Pretrained(name=str(tmp_path)).language_model().config.is_decoder

    def test_a_model_without_such_a_head(self, tmp_path: Path) -> None:
        sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
        ViTModel(ViTConfig(**sizes)).save_pretrained(tmp_path)
        with pytest.raises(UserError, match="no language modelling head for a 'vit' model"):
            Pretrained(name=str(tmp_path)).language_model()

    def test_a_missing_output_embedding_is_refused(self, tmp_path: Path) -> None:
        sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
        LlamaModel(LlamaConfig(vocab_size=20, **sizes)).save_pretrained(tmp_path)
        with pytest.raises(UserError, match=r"1 of its weights are missing \(lm_head\.weight"):
            Pretrained(name=str(tmp_path)).language_model()

    @pytest.mark.parametrize(("change", "words"), [
        ({"intermediate_size": 48}, r"another shape than the config says: model\.layers\.0\.mlp"),
        ({"num_hidden_layers": 3}, r"of its weights are missing \(model\.layers\.2"),
    ])  # fmt: skip
    def test_weights_that_do_not_fit(
        self, tiny_decoder: Path, tmp_path: Path, change: dict[str, int], words: str
    ) -> None:
        folder = shutil.copytree(tiny_decoder, tmp_path / "copy")
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | change))
        with pytest.raises(UserError, match=words):
            Pretrained(name=str(folder)).language_model()


class TestFreeze:
    @pytest.mark.parametrize(
        ("what", "frozen"),
        [
            ("none", set()),
            ("embeddings", {"embeddings"}),
            (0, {"embeddings"}),
            (1, {"embeddings", "layer.0"}),
            (2, {"embeddings", "layer.0", "layer.1"}),
            ("backbone", {"embeddings", "layer.0", "layer.1", "pooler"}),
        ],
    )
    def test_bert(self, tiny_model: Path, what: str | int, frozen: set[str]) -> None:
        network = classifier(tiny_model, freeze=what)
        names = {"embeddings": "bert.embeddings.", "layer.0": "bert.encoder.layer.0.",
                 "layer.1": "bert.encoder.layer.1.", "pooler": "bert.pooler.", "head": "classifier."}  # fmt: skip
        for part, prefix in names.items():
            trains = {p.requires_grad for name, p in network.named_parameters() if name.startswith(prefix)}
            assert trains == {part not in frozen}, part
        assert sum(name.startswith(tuple(names.values())) for name, _ in network.named_parameters()) == len(
            list(network.parameters())
        )

    def test_gpt2_and_t5_embeddings(self) -> None:
        small = GPT2Model(GPT2Config(vocab_size=20, n_positions=16, n_embd=8, n_layer=2, n_head=2))
        holder = torch.nn.Module()  # a classifier holds the body under the prefix
        holder.transformer, holder.score = small, torch.nn.Linear(8, 2)
        holder.base_model_prefix = "transformer"
        freeze(holder, 1)
        frozen = {name.split(".")[1] for name, p in holder.named_parameters() if not p.requires_grad}
        assert frozen == {"wte", "wpe", "h"}
        blocks = {n.split(".")[2] for n, p in holder.named_parameters() if ".h." in n and not p.requires_grad}
        assert blocks == {"0"} and holder.score.weight.requires_grad

        t5 = T5ForConditionalGeneration(
            T5Config(vocab_size=20, d_model=8, d_ff=8, num_layers=2, num_heads=2, d_kv=4, decoder_start_token_id=0)
        )
        holder = torch.nn.Module()
        holder.transformer, holder.base_model_prefix = t5, "transformer"
        freeze(holder, "embeddings")
        assert [name for name, p in holder.named_parameters() if not p.requires_grad] == ["transformer.shared.weight"]


class TestNewHead:
    def test_a_head_for_other_labels_is_refused(self, with_head: Path) -> None:
        with pytest.raises(UserError, match=r"head for other labels than these 3 .*model\.new_head=true") as error:
            classifier(with_head, ["a", "b", "c"])
        assert str(with_head) in str(error.value) and "classifier" in str(error.value)

    def test_it_is_replaced_when_asked_for_and_the_body_is_kept(self, with_head: Path) -> None:
        kept, new = classifier(with_head), classifier(with_head, ["a", "b", "c"], new_head=True)
        assert new.classifier.weight.shape == (3, 32)
        for (name, before), after in zip(kept.bert.named_parameters(), new.bert.parameters(), strict=True):
            assert torch.equal(before, after), name

    def test_a_head_that_fits_is_kept(self, with_head: Path) -> None:
        one, two = classifier(with_head), classifier(with_head)
        assert torch.equal(one.classifier.weight, two.classifier.weight)


class TestRefusals:
    @pytest.mark.parametrize("name", ["./nowhere", "../nowhere/at_all", "/nowhere", "some/where/else"])
    def test_a_folder_that_is_not_there(self, name: str) -> None:
        with pytest.raises(UserError, match=f"model.name={re.escape(name)}: there is no such folder"):
            Pretrained(name=name).tokenizer()

    def test_a_hub_name_without_a_way_to_the_hub(self) -> None:
        with pytest.raises(UserError, match=r"nobody/nothing .*could not be had from the hub.*name a folder"):
            Pretrained(name="nobody/nothing").tokenizer()

    def test_a_package_that_is_not_installed(self) -> None:
        with pytest.raises(UserError, match="pip install no-such-package"):
            Pretrained(name="package:no_such_package/model")

    def test_weights_of_another_shape(self, copy: Path) -> None:
        config = json.loads((copy / "config.json").read_text())
        (copy / "config.json").write_text(json.dumps(config | {"intermediate_size": 48}))
        with pytest.raises(UserError, match=r"another shape than the config says: bert\.encoder\.layer\.0\.interm"):
            classifier(copy)
        with pytest.raises(UserError, match="another shape"):  # a new head does not mend a body
            classifier(copy, new_head=True)

    def test_weights_of_another_architecture(self, copy: Path) -> None:
        DistilBertModel(DistilBertConfig(dim=32, n_layers=2, n_heads=2, hidden_dim=64)).save_pretrained(copy / "other")
        shutil.copy(copy / "other/model.safetensors", copy / "model.safetensors")
        with pytest.raises(UserError, match=r"of its weights are missing .*not a checkpoint of that"):
            classifier(copy)

    def test_fewer_layers_than_the_config_says(self, copy: Path) -> None:
        config = json.loads((copy / "config.json").read_text())
        (copy / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 3}))
        with pytest.raises(UserError, match=r"16 of its weights are missing \(bert\.encoder\.layer\.2"):
            classifier(copy)

    def test_no_weights(self, copy: Path) -> None:
        (copy / "model.safetensors").unlink()
        with pytest.raises(UserError, match=r"cannot open this folder: .*model\.safetensors"):
            classifier(copy)

    def test_a_broken_config(self, copy: Path) -> None:
        (copy / "config.json").write_text("{")
        with pytest.raises(UserError, match=r"model\.name=.*cannot open this folder"):
            classifier(copy)

    def test_a_model_without_a_head_for_sequences(self, tmp_path: Path) -> None:
        sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
        ViTModel(ViTConfig(**sizes)).save_pretrained(tmp_path)
        with pytest.raises(UserError, match="no sequence classification head for a 'vit' model"):
            classifier(tmp_path)


class TestCustomCode:
    @pytest.fixture
    def stranger(self, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """A folder whose Python leaves a file behind when it runs."""
        monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules"))
        folder = shutil.copytree(tiny_model, tmp_path / "stranger")
        code = f"""
            from pathlib import Path
            from transformers import BertConfig, BertForSequenceClassification

            Path({str(tmp_path / "ran")!r}).touch()

            class OwnConfig(BertConfig):
                model_type = "stranger"

            class OwnClassifier(BertForSequenceClassification):
                config_class = OwnConfig
        """
        (folder / "own.py").write_text(textwrap.dedent(code))
        config = json.loads((folder / "config.json").read_text())
        own = {"AutoConfig": "own.OwnConfig", "AutoModelForSequenceClassification": "own.OwnClassifier"}
        (folder / "config.json").write_text(json.dumps(config | {"model_type": "stranger", "auto_map": own}))
        return folder

    def test_it_is_refused_and_does_not_run(self, stranger: Path, tmp_path: Path) -> None:
        with pytest.raises(UserError, match=r"run Python of its own.*model\.trust_remote_code=true"):
            classifier(stranger)
        assert not (tmp_path / "ran").exists()

    def test_it_runs_when_it_is_trusted(self, stranger: Path, tmp_path: Path) -> None:
        network = classifier(stranger, trust_remote_code=True)
        assert type(network).__name__ == "OwnClassifier" and (tmp_path / "ran").exists()


class TestDecoders:
    """GPT-2 and Llama have no padding token: their head reads the last token that is none."""

    TEXTS = ("a good film", "bad", "a film so good that it is bad and a bad film so good")

    @pytest.fixture(params=["gpt2", "llama"])
    def folder(self, request: pytest.FixtureRequest, tmp_path: Path) -> Path:
        words = ["<eos>", *sorted({word for text in self.TEXTS for word in text.split()})]
        torch.manual_seed(0)
        if request.param == "gpt2":
            sizes = {"n_positions": 64, "n_embd": 16, "n_layer": 2, "n_head": 2}
            config = GPT2Config(vocab_size=len(words), bos_token_id=0, eos_token_id=0, **sizes)
            network: PreTrainedModel = GPT2Model(config)
        else:
            sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
            network = LlamaModel(LlamaConfig(vocab_size=len(words), bos_token_id=0, eos_token_id=0, **sizes))
        network.save_pretrained(tmp_path)
        save_tokenizer(words, tmp_path)
        return tmp_path

    def test_padding_changes_no_logit_and_it_learns(self, folder: Path) -> None:
        pretrained = Pretrained(name=str(folder), architecture="decoder")
        tokenizer = pretrained.tokenizer()
        assert tokenizer.pad_token == "<eos>"
        network = pretrained.classifier(TWO, "single_label_classification", tokenizer.pad_token_id)
        assert network.config.pad_token_id == 0

        encoded = encode_texts(tokenizer, self.TEXTS, None, 32)

        def inputs(rows: list[int]) -> dict[str, torch.Tensor]:
            return {name: encoded[rows][name] for name in ("input_ids", "attention_mask")}

        network.eval()
        with torch.no_grad():
            together = network(**inputs([0, 1, 2])).logits
            alone = torch.cat([network(**inputs([row])).logits for row in range(3)])
        torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)
        assert len({tuple(row) for row in together.tolist()}) == 3

        network.train()
        optimizer = torch.optim.AdamW(network.parameters(), lr=1e-2)
        losses = []
        for _ in range(15):
            loss = network(**inputs([0, 1, 2]), labels=torch.tensor([1, 0, 1])).loss
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        assert losses[-1] < losses[0] / 2


def save_tokenizer(words: list[str], folder: Path) -> None:
    """A fast tokenizer of whole words with an end of sequence and no padding token."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace

    tokenizer = Tokenizer(WordLevel({word: number for number, word in enumerate(words)}, unk_token="<eos>"))
    tokenizer.pre_tokenizer = Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<eos>").save_pretrained(folder)
