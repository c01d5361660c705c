"""No padding changes an answer: one row at a time and all at once, whatever the architecture looks at."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from tests.artifacts import artifact_of, generator, save, scores
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    PretrainedConfig,
    PreTrainedTokenizerFast,
    RobertaForSequenceClassification,
    XLNetForSequenceClassification,
)

from noria.artifact.bundle import Artifact, open_artifact
from noria.common.errors import UserError
from noria.data.batch.encoded import encode_texts
from noria.model.execution import choose_execution
from noria.model.padding import generates_beside, refuse_unfit_decoder, settle_padding
from noria.model.peft import Lora
from noria.model.pretrained import Pretrained
from noria.model.shard import shard
from noria.model.unpadded import can_unpad
from noria.task.generation.sampling import Sampling

CPU = torch.device("cpu")
SENTENCE = "a good film and a bad film with acting that nobody had thought of before it was made"
WORDS = SENTENCE.split(" ")
TEXTS = [" ".join(WORDS[start % 7 :][: 1 + start % 13]) for start in range(20)]
LABELS = ["bad", "good"]
PAD = 4  # the tokenizer's; none of the families has it
ALIKE = ["albert", "bart", "bert", "bloom", "deberta", "electra", "gpt2", "llama", "mpnet", "opt", "roberta", "t5"]
MENDED = {"xlnet": "left", "fnet": "lengths", "convbert": "lengths"}


@pytest.fixture(scope="module")
def tokenizer(made: ModuleType) -> PreTrainedTokenizerFast:
    return made.make_tokenizer()


def tiny(made: ModuleType, family: str, auto: Any = AutoModelForSequenceClassification, **own: Any) -> Any:
    torch.manual_seed(0)
    return auto.from_config(made.tiny_config(family, 320, **own))


def folder_of(path: Path, network: Any, tokenizer: PreTrainedTokenizerFast) -> str:
    network.save_pretrained(path)
    tokenizer.save_pretrained(path)
    return str(path)


def logits(artifact: Artifact, size: int) -> torch.Tensor:
    encoded = encode_texts(artifact.tokenizer, TEXTS, None, 64)
    return scores(artifact, encoded, size).log()  # logits less what makes them probabilities


def facts(kind: str = "single_label", labels: list[str] = LABELS) -> dict[str, Any]:
    return {"kind": kind, "labels": labels, "max_length": 64, "precision": "32-true", "config": {}, "data": {}}


@pytest.mark.parametrize("family", [*ALIKE, *MENDED])
def test_a_text_has_one_answer_in_any_batch_here_and_in_the_artifact(
    made: ModuleType, tokenizer: PreTrainedTokenizerFast, family: str, tmp_path: Path
) -> None:
    base = folder_of(tmp_path / "base", tiny(made, family), tokenizer)
    pretrained = Pretrained(name=base, new_head=True)
    network = pretrained.classifier(LABELS, "single_label_classification", PAD).eval()
    save(tmp_path / "artifact", network, pretrained.tokenizer(), facts())
    artifact = open_artifact(tmp_path / "artifact")
    alone, together = logits(artifact, 1), logits(artifact, 64)
    torch.testing.assert_close(together, alone, atol=1e-6, rtol=1e-4)
    assert len({tuple(row) for row in alone.tolist()}) > 10

    elsewhere = AutoModelForSequenceClassification.from_pretrained(tmp_path / "artifact").eval()
    for text, answer in zip(TEXTS[:3], alone, strict=False):
        with torch.no_grad():
            found = elsewhere(
                **{k: v for k, v in tokenizer(text, return_tensors="pt").items() if k != "token_type_ids"}
            )
        torch.testing.assert_close(found.logits[0].log_softmax(-1), answer, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("own", [0, 1, -1, 50_000, None])
def test_a_decoder_learns_the_padding_of_its_rows(
    made: ModuleType, tokenizer: PreTrainedTokenizerFast, own: int | None, tmp_path: Path
) -> None:
    network = tiny(made, "llama")
    network.config.pad_token_id = own
    base = folder_of(tmp_path / "base", network, tokenizer)
    found = Pretrained(name=base, new_head=True).classifier(LABELS, "single_label_classification", PAD).eval()
    assert found.config.pad_token_id == PAD
    artifact = artifact_of(tmp_path, facts(), found, tokenizer)
    torch.testing.assert_close(logits(artifact, 64), logits(artifact, 1), atol=1e-6, rtol=1e-4)


def test_positions_that_are_counted_from_a_models_own_padding_stay_where_they_are(
    made: ModuleType, tokenizer: PreTrainedTokenizerFast
) -> None:
    network = tiny(made, "roberta").eval()
    inputs = tokenizer("a good film", return_tensors="pt")
    inputs.pop("token_type_ids", None)
    before = network(**inputs).logits
    assert settle_padding(network, PAD) == "right" and network.config.pad_token_id == 1
    again = RobertaForSequenceClassification(network.config).eval()  # as the artifact is opened
    again.load_state_dict(network.state_dict())
    assert torch.equal(again(**inputs).logits, before)


class TestRearranged:
    def test_training_and_copies_go_the_same_way(self, made: ModuleType) -> None:
        for family, way in MENDED.items():
            network = tiny(made, family, hidden_dropout_prob=0.0, dropout=0.0)
            assert settle_padding(network, PAD) == way and network.training
            rows, copy = padded([5, 9, 7, 5]), deepcopy(network)
            assert copy.forward.network is copy
            whole = network.eval()(**rows).logits
            parts = [
                network(**{k: v[row : row + 1, :n] for k, v in rows.items()}).logits
                for row, n in enumerate([5, 9, 7, 5])
            ]
            torch.testing.assert_close(whole, torch.cat(parts), atol=1e-6, rtol=1e-4)
            (whole**2).sum().backward()
            for part in parts:
                (part**2).sum().backward() if part.grad_fn else None
            assert all(p.grad is not None for n, p in network.named_parameters() if "classif" in n or "proj" in n)

    def test_with_an_adapter(self, made: ModuleType) -> None:
        network = tiny(made, "fnet")
        settle_padding(network, PAD)
        adapted = Lora(r=2, dropout=0.0).apply(network, "SEQ_CLS", "made here", ["classifier"]).eval()
        rows = padded([5, 9])
        first = adapted(**{k: v[:1, :5] for k, v in rows.items()}).logits
        torch.testing.assert_close(adapted(**rows).logits[:1], first, atol=1e-6, rtol=1e-4)

    def test_it_is_neither_packed_nor_cut_up(self, made: ModuleType) -> None:
        network = tiny(made, "fnet")
        settle_padding(network, PAD)
        with pytest.raises(UserError, match=r"strategy=fsdp cannot cut up"):
            shard(network, None)  # type: ignore[arg-type]
        bert = tiny(made, "bert")
        assert can_unpad(bert)
        bert.forward = network.forward
        assert not can_unpad(bert) and choose_execution(bert, "cpu") != "unpadded"


class TestDecoders:
    def test_what_sees_the_words_to_come_is_refused(self, made: ModuleType) -> None:
        for family in ("xlnet", "roformer"):
            with pytest.raises(UserError, match="sees the words that it is to predict"):
                refuse_unfit_decoder(tiny(made, family, AutoModelForCausalLM), PAD)

    def test_one_whose_padding_stands_between_the_words_is_refused(self, made: ModuleType) -> None:
        network = tiny(made, "llama", AutoModelForCausalLM)

        def counts_padding(input_ids: torch.Tensor, **more: Any) -> Any:
            found = type(network).forward(network, input_ids=input_ids, **more)
            found.logits = found.logits + (input_ids == PAD).sum()
            return found

        network.forward = counts_padding
        with pytest.raises(UserError, match="takes padding for tokens"):
            refuse_unfit_decoder(network, PAD)

    @pytest.mark.parametrize(
        ("family", "beside"), [("gpt2", "all"), ("opt", "all"), ("bart", "one length"), ("rwkv", "none")]
    )
    def test_an_answer_is_the_same_beside_longer_prompts(
        self, made: ModuleType, tokenizer: PreTrainedTokenizerFast, family: str, beside: str
    ) -> None:
        network = tiny(made, family, AutoModelForCausalLM, init_std=0.5, initializer_range=0.5).eval()
        assert generates_beside(network, PAD) == beside
        artifact = artifact_of(Path(), facts("causal_lm", []), network, tokenizer)
        answerer = generator(artifact, Sampling(max_new_tokens=8))
        assert answerer.generate(TEXTS, 64) == answerer.generate(TEXTS, 1)

    def test_a_model_that_wants_more_than_texts_is_named(self, made: ModuleType) -> None:
        network = tiny(made, "bert")
        network.forward = lambda **_: [][0]
        with pytest.raises(UserError, match="A 'bert' model cannot read plain texts: list index out of range"):
            refuse_unfit_decoder(network, PAD)


def test_one_that_answers_at_random_is_refused(made: ModuleType) -> None:
    class Random(XLNetForSequenceClassification):
        def forward(self, *args: Any, **kwargs: Any) -> Any:
            found = super().forward(*args, **kwargs)
            found.logits = found.logits + torch.rand(())
            return found

    with pytest.raises(UserError, match="another answer each time"):
        settle_padding(Random(made.tiny_config("xlnet", 320)), PAD)


def test_measuring_leaves_torchs_generator_and_the_weights_alone(made: ModuleType) -> None:
    network = tiny(made, "convbert")  # measured in fp64 as well
    weights, state = deepcopy(network.state_dict()), torch.get_rng_state()
    settle_padding(network, PAD)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, weights[name]) for name, value in network.state_dict().items())


def padded(lengths: list[int]) -> dict[str, torch.Tensor]:
    there = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    ids = torch.randint(5, 320, there.shape, generator=torch.Generator().manual_seed(1)).where(there, PAD)
    return {"input_ids": ids, "attention_mask": there.long()}


def test_configs_name_no_padding_without_an_embedding() -> None:
    from noria.model.padding import drop_unknown_padding

    for given, kept in ((-1, None), (320, None), (319, 319), (None, None)):
        config = PretrainedConfig(pad_token_id=given, vocab_size=320)
        drop_unknown_padding(config)
        assert config.pad_token_id == kept
