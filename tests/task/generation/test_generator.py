from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.artifacts import generator
from transformers import GenerationConfig

from noria.artifact.bundle import Artifact, open_artifact
from noria.common.errors import UserError
from noria.task.generation.generator import BadPrompt, Generator
from noria.task.generation.prompts import Prompt
from noria.task.generation.sampling import Sampling, Typed, settled
from noria.task.requests import NO_NUMBER

CPU = torch.device("cpu")
PROMPTS: list[Prompt] = [
    *(" ".join(["great fun"] * (1 + 5 * number % 7)) + f" {number}" for number in range(6)),
    [{"role": "user", "content": "What is the capital of France?"}],
    [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"}],
]


def make(artifact: Artifact, **settings: Any) -> Generator:
    return generator(artifact, Sampling(**{"max_new_tokens": 24, **settings}))


def stopping(folder: Path, **settings: Any) -> Generator:
    """One that also stops at its most frequent token, so that answers are of many lengths."""
    artifact = open_artifact(folder)
    tokens = [token for answer in by_hand(artifact, PROMPTS, 24) for token in answer[3:]]
    stops = [artifact.tokenizer.eos_token_id, max(set(tokens), key=tokens.count)]
    artifact.network.generation_config.eos_token_id = stops  # type: ignore[union-attr]
    return make(artifact, **settings)


@torch.no_grad()
def by_hand(artifact: Artifact, prompts: list[Prompt], count: int) -> list[list[int]]:
    """Greedy tokens without a cache, one prompt and one token at a time."""
    answers = []
    for prompt in prompts:
        if isinstance(prompt, str):
            ids = artifact.tokenizer(prompt)["input_ids"]
        else:
            ids = artifact.tokenizer.apply_chat_template(prompt, add_generation_prompt=True)["input_ids"]
        answer: list[int] = []
        while len(answer) < count:
            token = artifact.network(input_ids=torch.tensor([ids + answer])).logits[0, -1].argmax().item()
            if token == artifact.tokenizer.eos_token_id:
                break
            answer.append(token)
        answers.append(answer)
    return answers


def test_greedy_answers_are_the_likeliest_tokens(decoder: Artifact) -> None:
    expected = [decoder.tokenizer.decode(ids, skip_special_tokens=True) for ids in by_hand(decoder, PROMPTS, 24)]
    assert len(set(expected)) > 3
    for batch_size in (1, 3, 64):
        assert make(decoder).generate(PROMPTS, batch_size) == expected


@pytest.mark.parametrize(
    "settings",
    [{}, {"repetition_penalty": 1.5}, {"temperature": 1.0, "top_p": 0.9, "seed": 3}, {"temperature": 2.0, "top_k": 9}],
)
def test_a_batch_answers_as_one_prompt_at_a_time_and_as_a_stream(
    decoder_folder: Path, settings: dict[str, Any]
) -> None:
    generator = stopping(decoder_folder, **settings)
    told: list[int] = []
    answers = generator.generate(PROMPTS, 4, told.append)
    assert sum(told) == len(PROMPTS)
    assert len({len(answer) for answer in answers}) > 1, "some stop earlier than others"
    assert answers == [generator.generate([prompt], 1, numbers=[n])[0] for n, prompt in enumerate(PROMPTS)]
    assert answers == ["".join(generator.stream(prompt, n)) for n, prompt in enumerate(PROMPTS)]


def test_the_seed_decides_and_other_random_numbers_are_left_alone(decoder: Artifact) -> None:
    before = torch.get_rng_state()
    first = make(decoder, temperature=1.0).generate(PROMPTS, 4)
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(3)
    assert make(decoder, temperature=1.0).generate(PROMPTS, 4) == first
    assert make(decoder, temperature=1.0, seed=1).generate(PROMPTS, 4) != first
    same = make(decoder, temperature=1.0).generate(["fun", "fun"], 2)
    assert same[0] != same[1], "each prompt draws for itself"


def test_settings_that_the_model_brings_do_not_count(decoder: Artifact, decoder_folder: Path) -> None:
    artifact = open_artifact(decoder_folder)
    artifact.network.generation_config = GenerationConfig(  # type: ignore[assignment]
        do_sample=True, temperature=3.0, repetition_penalty=1.8, no_repeat_ngram_size=2, max_length=3
    )
    assert make(artifact).generate(PROMPTS, 4) == make(decoder).generate(PROMPTS, 4)


def test_it_stops_at_the_end_of_the_turn(decoder_folder: Path) -> None:
    """The template's own, though the tokenizer says that texts end otherwise."""
    artifact = open_artifact(decoder_folder)
    end = artifact.tokenizer.eos_token_id
    artifact.tokenizer.eos_token = artifact.tokenizer.bos_token
    artifact.network.generation_config.eos_token_id = None  # type: ignore[union-attr]

    calls: list[int] = []

    def push(module: Any, inputs: Any, output: Any) -> None:
        """Makes the end of the turn the likeliest token from the third on."""
        calls.append(1)
        output.logits[:, -1, end] += 100.0 * (len(calls) > 2)

    artifact.network.register_forward_hook(push)
    assert make(artifact).generate([PROMPTS[6]], 1) != [""]
    assert len(calls) == 3


def test_pieces_come_before_the_answer_is_done(decoder: Artifact) -> None:
    generator = make(decoder, max_new_tokens=150, temperature=1.0)
    threads = threading.active_count()
    calls: list[int] = []
    hook = decoder.network.register_forward_hook(lambda *_: calls.append(1))
    pieces = generator.stream("great fun")
    assert isinstance(pieces, Iterator) and next(pieces)
    pieces.close()  # type: ignore[attr-defined]
    hook.remove()
    assert threading.active_count() == threads
    assert len(calls) < 150, "nobody listens any more, so it stops"


def test_what_goes_wrong_in_the_midst_of_a_stream_is_raised(decoder: Artifact) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("no more memory")

    hook = decoder.network.register_forward_hook(fail)
    with pytest.raises(RuntimeError, match="no more memory"):
        list(make(decoder).stream("great fun"))
    hook.remove()


def test_scores_that_are_no_numbers_are_told_and_the_others_are_answered(decoder: Artifact) -> None:
    """In every second row of what is read at once: some weights overflow for some texts alone."""

    def spoil(module: Any, given: Any, output: Any) -> None:
        output.logits[1::2] = torch.nan

    def spoil_all(module: Any, given: Any, output: Any) -> None:
        output.logits[:] = torch.nan

    good = make(decoder).answer(PROMPTS[:1], 1)
    hook = decoder.network.register_forward_hook(spoil)
    found = make(decoder).answer([PROMPTS[0], PROMPTS[0]], 2)
    assert found == [*good, {"error": NO_NUMBER}]
    with pytest.raises(UserError, match=NO_NUMBER):
        make(decoder).generate([PROMPTS[0], PROMPTS[0]], 2)
    hook.remove()
    streaming = make(decoder)
    hook = decoder.network.register_forward_hook(spoil_all)
    with pytest.raises(UserError, match=NO_NUMBER):
        list(streaming.stream("great fun"))
    hook.remove()


def test_a_prompt_that_is_too_long_is_refused(decoder: Artifact) -> None:
    generator = make(decoder, max_new_tokens=200)  # the model reads 256
    fitting = "fun " * 20
    assert len(generator.encode(fitting)) <= 56
    generator.generate([fitting], 1)
    with pytest.raises(BadPrompt, match=r"tokens; the model takes 56 beside an answer of up to 200"):
        generator.generate(["fine", "fun " * 100], 2)
    with pytest.raises(BadPrompt):
        generator.stream("fun " * 100)
    with pytest.raises(UserError, match="max_new_tokens=256 leaves no room"):
        make(decoder, max_new_tokens=256)
    with pytest.raises(BadPrompt, match="no text"):
        generator.encode("")


def test_messages_go_through_the_template(decoder: Artifact, decoder_folder: Path) -> None:
    generator = make(decoder)
    assert generator.chats
    ids = generator.encode(PROMPTS[7])
    said = "<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
    assert decoder.tokenizer.decode(ids) == said

    plain = open_artifact(decoder_folder)
    plain.tokenizer.chat_template = None
    assert not make(plain).chats
    assert make(plain).generate(["great fun"], 1) == generator.generate(["great fun"], 1)
    with pytest.raises(UserError, match="no chat template"):
        make(plain).generate([PROMPTS[7]], 1)

    plain.tokenizer.chat_template = "{{ raise_exception('Only two roles!') }}"
    with pytest.raises(BadPrompt, match="refuses these messages: Only two roles!"):
        make(plain).generate([PROMPTS[7]], 1)


@pytest.mark.parametrize(
    ("messages", "words"),
    [
        ([{"content": "Hi"}], "'role' of message 1 is missing"),
        ([{"role": "user", "content": "Hi"}, {"role": "user"}], "'content' of message 2 is missing"),
        ([{"role": "user", "content": ["Hi"]}], "'content' of message 1 is no text"),
        (["Hi"], "message 1 is no object"),
        ([{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}], "the assistant's own"),
    ],
)
def test_messages_that_are_none(decoder: Artifact, messages: Any, words: str) -> None:
    with pytest.raises(UserError, match=words):
        make(decoder).generate([messages], 1)


def test_beams_are_the_librarys_alone_and_in_a_batch(decoder: Artifact) -> None:
    settings = {"max_new_tokens": 8, "num_beams": 3, "num_return_sequences": 2, "no_repeat_ngram_size": 2}
    ours = make(decoder, **settings, length_penalty=0.5)
    together = ours.answer(PROMPTS, 64)
    for prompt, found in zip(PROMPTS, together, strict=True):
        (alone,) = ours.answer([prompt], 1)
        assert [one["response"] for one in alone["responses"]] == [one["response"] for one in found["responses"]]
        assert (
            found["response"] == found["responses"][0]["response"] and "".join(ours.stream(prompt)) == found["response"]
        )
        scores = [one["score"] for one in found["responses"]]
        assert scores == sorted(scores, reverse=True)
        assert scores == pytest.approx([one["score"] for one in alone["responses"]], abs=1e-4)
    plain = make(decoder, max_new_tokens=8, num_beams=3, num_return_sequences=2, length_penalty=0.5)
    ids = decoder.tokenizer(PROMPTS[0], return_tensors="pt")
    expected = decoder.network.generate(  # type: ignore[operator, union-attr]
        **ids, num_beams=3, num_return_sequences=2, length_penalty=0.5, max_new_tokens=8, do_sample=False,
        eos_token_id=decoder.tokenizer.eos_token_id, return_dict_in_generate=True, output_scores=True,
    )  # fmt: skip
    (found,) = plain.answer([PROMPTS[0]], 1)
    texts = decoder.tokenizer.batch_decode(expected.sequences[:, ids["input_ids"].shape[1] :], skip_special_tokens=True)
    assert [one["response"] for one in found["responses"]] == texts
    assert [one["score"] for one in found["responses"]] == pytest.approx(expected.sequences_scores.tolist(), abs=1e-5)


def test_settings_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(UserError, match="num_return_sequences=3, but num_beams=2"):
        Sampling(num_beams=2, num_return_sequences=3)
    with pytest.raises(UserError, match=r"temperature=0\.7 draws one by chance"):
        Typed(temperature=0.7).over(Sampling(num_beams=5))
    assert Typed(num_beams=1, temperature=0.7).over(Sampling(num_beams=5)).temperature == 0.7
    assert settled(Sampling(num_beams=5), None).num_beams == 5
