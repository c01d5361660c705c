"""Texts longer than a table of positions, and tokens without an embedding: known before anything is trained."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from tests.artifacts import artifact_of, generator, losses, save, scores
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, PreTrainedTokenizerFast

from noria.artifact.bundle import open_artifact
from noria.common.console import say_once
from noria.common.errors import UserError
from noria.data.batch.encoded import encode_texts
from noria.data.batch.encoded_text import EncodedText
from noria.data.batch.tokens import tokenise
from noria.model.limits import embeddings, limit_length, readable_length
from noria.model.pretrained import Pretrained
from noria.task.generation.generator import BadPrompt
from noria.task.generation.sampling import Sampling

CPU = torch.device("cpu")
TWO = ["bad", "good"]
FACTS = {"kind": "single_label", "labels": TWO, "max_length": 64, "precision": "32-true", "config": {}, "data": {}}


@pytest.fixture(autouse=True)
def unsaid() -> None:
    say_once.cache_clear()


def tiny(made: ModuleType, family: str, auto: Any = AutoModelForSequenceClassification, **own: Any) -> Any:
    torch.manual_seed(0)
    return auto.from_config(made.tiny_config(family, own.pop("vocabulary", 320), **own)).train()


def folder_of(path: Path, network: Any, tokenizer: PreTrainedTokenizerFast) -> str:
    network.save_pretrained(path)
    tokenizer.save_pretrained(path)
    return str(path)


@pytest.mark.parametrize(
    ("family", "usable"),
    [("bert", 64), ("roberta", 62), ("mpnet", 62), ("gpt2", 64), ("opt", 64), ("gpt_neo", 64), ("bart", 64),
     ("deberta", 64), ("t5", 200), ("llama", 200), ("bloom", 200), ("xlnet", 200)],
)  # fmt: skip
def test_a_table_of_positions_says_how_long_a_text_may_be(made: ModuleType, family: str, usable: int) -> None:
    table = {} if family == "xlnet" else {"max_position_embeddings": 64}
    network = tiny(made, family, **table)
    assert readable_length(network, 200) == usable
    assert readable_length(network, 40) == 40 and network.training


def test_the_tokenizer_cuts_there_and_that_is_said_once(made: ModuleType, caplog: pytest.LogCaptureFixture) -> None:
    tokenizer, network = made.make_tokenizer(), tiny(made, "roberta")
    for _ in range(2):
        limit_length(network, tokenizer, 200)
    assert tokenizer.model_max_length == 126
    assert caplog.messages == [
        "data.max_length=200, but this model reads 126 tokens at most: longer texts are cut there."
    ]
    limit_length(tiny(made, "roberta", max_position_embeddings=66), tokenizer, 200)
    assert tokenizer.model_max_length == 64  # a lower one than the tokenizer's own


class TestATokenizerLargerThanTheEmbedding:
    @pytest.fixture
    def tokenizer(self, made: ModuleType) -> PreTrainedTokenizerFast:
        tokenizer = made.make_tokenizer()
        tokenizer.add_tokens(["covid", "wombat"])
        return tokenizer

    def test_a_classifier_gets_the_mean_for_them(
        self, made: ModuleType, tokenizer: PreTrainedTokenizerFast, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        rows = len(tokenizer) - 2
        base = folder_of(tmp_path / "base", tiny(made, "bert", vocabulary=rows), tokenizer)
        pretrained, state = Pretrained(name=base), torch.get_rng_state()
        for _ in range(2):
            network = pretrained.classifier(TWO, "single_label_classification", 4, tokenizer)
            weight = network.bert.embeddings.word_embeddings.weight
            assert weight.shape[0] == len(tokenizer) == network.config.vocab_size
            torch.testing.assert_close(weight[-1], weight[:rows].mean(0))
        assert torch.equal(torch.get_rng_state(), state)
        assert "had no embedding (covid, wombat): each begins as the mean of all others" in caplog.text

        save(tmp_path / "artifact", network, tokenizer, FACTS)
        artifact = open_artifact(tmp_path / "artifact")
        encoded = encode_texts(tokenizer, ["a wombat", "a film"], None, 64)
        assert encoded.tokens.highest == rows + 1
        assert scores(artifact, encoded, 2).isfinite().all()

    def test_a_decoder_is_never_given_them(self, made: ModuleType, tokenizer: PreTrainedTokenizerFast) -> None:
        network = tiny(made, "llama", AutoModelForCausalLM, vocabulary=len(tokenizer) - 2)
        artifact = artifact_of(Path(), {**FACTS, "kind": "causal_lm", "labels": []}, network, tokenizer)
        with pytest.raises(UserError, match=r"tokens for which the model has no embedding \(covid, wombat\)"):
            losses(artifact, EncodedText(tokenise(tokenizer, ["a covid film"], None, 64), 4, 64), 2)
        answerer = generator(artifact, Sampling(max_new_tokens=2))
        assert answerer.encode("a film")
        with pytest.raises(BadPrompt, match="no embedding for 'wombat', which the prompt holds"):
            answerer.encode("a wombat")

    def test_padding_without_an_embedding_is_not_used(self, made: ModuleType, tmp_path: Path) -> None:
        tokenizer = made.make_tokenizer()
        tokenizer.add_special_tokens({"pad_token": "[PAD]"})
        rows = len(tokenizer) - 1
        network = tiny(made, "llama", AutoModelForCausalLM, vocabulary=rows)
        pretrained = Pretrained(name=folder_of(tmp_path, network, tokenizer))
        assert pretrained.tokenizer().pad_token == "</s>" and embeddings(network) == rows


class TestATokenizerWithoutPadding:
    @pytest.mark.parametrize(
        ("kept", "pad"), [(["eos_token", "cls_token"], "</s>"), (["bos_token"], "<s>"), ([], None)]
    )
    def test_another_token_pads_and_the_head_knows(
        self,
        made: ModuleType,
        tmp_path: Path,
        kept: list[str],
        pad: str | None,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        whole = made.make_tokenizer()
        named = {name: getattr(whole, name) for name in kept}
        bare = PreTrainedTokenizerFast(tokenizer_object=whole.backend_tokenizer, **named)
        base = folder_of(tmp_path / "base", tiny(made, "llama"), bare)
        pretrained = Pretrained(name=base, new_head=True)
        tokenizer = pretrained.tokenizer()
        assert tokenizer.pad_token == pad
        by = "token 0" if pad is None else f"'{pad}'"
        assert (f"no padding and no end of sequence: {by} pads rows" in caplog.text) == (pad != "</s>")

        encoded = encode_texts(tokenizer, ["a film", "a good film and a bad one", "bad"], None, 64)
        network = pretrained.classifier(TWO, "single_label_classification", encoded.pad_id, tokenizer)
        assert network.config.pad_token_id == encoded.pad_id == (0 if pad is None else whole.convert_tokens_to_ids(pad))
        artifact = artifact_of(Path(), FACTS, network, tokenizer)
        torch.testing.assert_close(scores(artifact, encoded, 3), scores(artifact, encoded, 1), atol=1e-6, rtol=1e-4)


def test_a_model_with_one_type_of_tokens_is_given_no_types(made: ModuleType, tmp_path: Path, tiny_model: Path) -> None:
    """As the Korean RoBERTa, which came with a BERT's tokenizer: the second text of a pair was out of its table."""
    bert = Pretrained(name=str(tiny_model)).tokenizer()
    base = folder_of(tmp_path, tiny(made, "roberta", vocabulary=len(bert), type_vocab_size=1), bert)
    pretrained = Pretrained(name=base, new_head=True)
    tokenizer = pretrained.tokenizer()
    encoded = encode_texts(tokenizer, ["a film"], ["is good"], 64)
    assert not encoded.tokens.has_types and encode_texts(bert, ["a film"], ["is good"], 64).tokens.has_types
    network = pretrained.classifier(TWO, "single_label_classification", encoded.pad_id, tokenizer)
    assert scores(artifact_of(Path(), FACTS, network, tokenizer), encoded, 1).isfinite().all()
