"""The search against the transformers library's own, with the same weights."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    GenerationConfig,
    MarianConfig,
    MarianMTModel,
    PegasusConfig,
    PegasusForConditionalGeneration,
    T5Config,
    T5ForConditionalGeneration,
)

from noria.model.transformer.network import EncoderDecoder
from noria.task.generation.sampling import Penalties, Sampling
from noria.task.generation.search import Found, Settings, highest, search
from noria.task.generation.steps import decoder_of, fast_form

SIZE, PAD, END = 90, 89, 0
SOURCES = torch.randint(1, PAD, (6, 8), generator=torch.Generator().manual_seed(0))
LENGTHS = [8, 7, 5, 3, 2, 1]
MASK = (torch.arange(8) < torch.tensor(LENGTHS)[:, None]).long()
LIKE_BART = {
    "vocab_size": SIZE, "d_model": 16, "encoder_layers": 1, "decoder_layers": 2, "encoder_attention_heads": 2,
    "decoder_attention_heads": 2, "encoder_ffn_dim": 24, "decoder_ffn_dim": 24, "max_position_embeddings": 40,
    "scale_embedding": True,
}  # fmt: skip
LIKE_T5 = {"vocab_size": SIZE, "d_model": 16, "d_kv": 8, "d_ff": 24, "num_layers": 1, "num_heads": 2}
MADE: dict[str, Any] = {
    "marian": (MarianMTModel, MarianConfig, LIKE_BART),
    "pegasus": (PegasusForConditionalGeneration, PegasusConfig, LIKE_BART),
    "bart": (BartForConditionalGeneration, BartConfig, LIKE_BART),
    "t5": (T5ForConditionalGeneration, T5Config, LIKE_T5),
}
WAYS = [(1, 1.0, 0, 12), (4, 1.0, 0, 12), (5, 0.6, 0, 14), (5, 2.0, 2, 16), (3, 0.0, 0, 9)]


def network(family: str) -> Any:
    """One whose scores differ a good deal, and that ends some of its answers."""
    torch.manual_seed(1)
    kind, config, sizes = MADE[family]
    named = {"pad_token_id": PAD, "eos_token_id": END, "decoder_start_token_id": PAD}
    made = kind(config(**sizes, **named, forced_eos_token_id=None)).eval()
    with torch.no_grad():
        for weight in made.parameters():
            if weight.ndim == 2 and weight.requires_grad:
                weight.mul_(2 if family == "t5" else 6)
    made.generation_config = GenerationConfig(**named)
    return made


@pytest.fixture(scope="module", params=MADE)
def theirs(request: pytest.FixtureRequest) -> Any:
    return network(request.param)


def found_by(decoder: Any, rows: slice, beams: int, penalty: float, ngram: int, most: int) -> list[list[Found]]:
    own = Penalties(Sampling(no_repeat_ngram_size=ngram))
    settings = Settings(PAD, [END], beams, penalty, never=[PAD], penalties=own)
    width = int(MASK[rows].sum(1).max())
    ids, mask = SOURCES[rows, :width].where(MASK[rows, :width] > 0, PAD), MASK[rows, :width]
    with torch.inference_mode():
        return search(decoder_of(decoder, ids, mask, beams), torch.full((len(ids),), most), settings)


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_it_finds_what_the_library_finds(theirs: Any, way: tuple[int, float, int, int]) -> None:
    beams, penalty, ngram, most = way
    expected = theirs.generate(
        input_ids=SOURCES.where(MASK > 0, PAD), attention_mask=MASK, num_beams=beams, num_return_sequences=beams,
        length_penalty=penalty, no_repeat_ngram_size=ngram, max_new_tokens=most, bad_words_ids=[[PAD]],
        do_sample=False, return_dict_in_generate=True, output_scores=True,
    )  # fmt: skip
    sequences = [[token for token in row[1:] if token != PAD] for row in expected.sequences.tolist()]
    sequences = [row[: row.index(END)] if END in row else row for row in sequences]
    fast = fast_form(theirs)
    assert isinstance(fast, EncoderDecoder) == (theirs.config.model_type != "t5")
    for decoder in (theirs, fast):
        found = found_by(decoder, slice(0, 6), *way)
        assert [one.tokens for each in found for one in each] == sequences
        if beams > 1:
            scores = [one.score for each in found for one in each]
            assert scores == pytest.approx(expected.sequences_scores.tolist(), abs=1e-4)
        for row in range(6):  # alone as among others
            (alone,) = found_by(decoder, slice(row, row + 1), *way)
            assert [one.tokens for one in alone] == [one.tokens for one in found[row]]
            assert [one.score for one in alone] == pytest.approx([one.score for one in found[row]], abs=1e-4)


class Told:
    """A decoder whose scores are given: the same at every step."""

    def __init__(self, scores: list[float], sources: int, beams: int) -> None:
        self._scores, self._shape = torch.tensor(scores), (sources, beams)
        self.rows: list[int] = []

    def scores(self, tokens: torch.Tensor, parents: torch.Tensor | None = None) -> torch.Tensor:
        self.rows.append(len(tokens))
        return self._scores.expand(*tokens.shape, -1).clone()

    def keep(self, sources: torch.Tensor) -> None:
        self.kept = sources


def test_more_beams_than_there_are_tokens() -> None:
    found = search(Told([0.0, 1.0, 0.5], 1, 8), torch.tensor([3]), Settings(2, [0], beams=8))
    assert 1 <= len(found[0]) <= 8 and found[0][0].score == max(one.score for one in found[0])
    assert len({tuple(one.tokens) for one in found[0]}) == len(found[0])  # none twice, none made up
    assert all(one.score > -20 for one in found[0])


def test_each_source_has_a_limit_of_its_own_and_leaves_when_it_is_done() -> None:
    decoder = Told([-9.0, 5.0, 0.0], 3, 2)
    found = search(decoder, torch.tensor([2, 4, 1]), Settings(2, [0], beams=2))
    assert [len(one[0].tokens) for one in found] == [2, 4, 1]
    assert decoder.rows == [3, 2, 1, 1]


def test_scores_that_are_no_numbers_end_their_source_alone() -> None:
    class Broken(Told):
        def scores(self, tokens: torch.Tensor, parents: torch.Tensor | None = None) -> torch.Tensor:
            made = super().scores(tokens, parents)
            if len(self.rows) == 1:
                made[0] = torch.nan
            return made

    found = search(Broken([-9.0, 5.0, 0.0], 2, 2), torch.tensor([3, 3]), Settings(2, [0], beams=2))
    assert found[0] == [] and found[1][0].tokens == [1, 1, 1]


def test_a_forced_beginning() -> None:
    found = search(Told([0.0, 5.0, 1.0, 0.5], 1, 2), torch.tensor([3]), Settings(3, [0], beams=2, forced=[2, 3]))
    assert found[0][0].tokens == [2, 3, 1]


def test_the_highest_of_many_are_those_of_a_plain_sort() -> None:
    generator = torch.Generator().manual_seed(0)
    for size in (130, 1000):
        raw, offset = torch.randn(3, 4, size, generator=generator), torch.randn(3, 4, 1, generator=generator)
        best, beam, token = highest(raw, offset, 8)
        expected = (raw + offset).flatten(1).topk(8, 1)
        assert torch.equal(best, expected.values)
        assert torch.equal(beam * size + token, expected.indices)
