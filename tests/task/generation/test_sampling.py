from __future__ import annotations

import pytest
import torch

from noria.task.generation.sampling import Drawn, Penalties, Sampling

CPU = torch.device("cpu")
SHARES = torch.tensor([0.5, 0.3, 0.15, 0.05])
ROWS = 4000


def drawn(**settings: float) -> list[float]:
    """The share of each of four tokens among samples from SHARES."""
    sampling = Sampling(**{"temperature": 1.0, **settings})  # type: ignore[arg-type]
    rows, ids = torch.arange(ROWS), torch.full((ROWS, 1), 3)
    scores = Penalties(sampling)(rows, ids, SHARES.log().repeat(ROWS, 1))
    if sampling.temperature:
        scores = Drawn(sampling, range(ROWS), CPU)(rows, ids, scores)
    return (torch.bincount(scores.argmax(-1), minlength=4) / ROWS).tolist()


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, [0.5, 0.3, 0.15, 0.05]),
        ({"temperature": 0.5}, [0.25 / 0.365, 0.09 / 0.365, 0.0225 / 0.365, 0.0025 / 0.365]),
        ({"top_k": 2}, [0.625, 0.375, 0, 0]),
        ({"top_p": 0.9}, [0.5 / 0.95, 0.3 / 0.95, 0.15 / 0.95, 0]),
        ({"temperature": 0}, [1, 0, 0, 0]),
        ({"repetition_penalty": 1e-9, "temperature": 0}, [0, 0, 0, 1]),  # below 1: what was there comes again
    ],
)
def test_tokens_come_as_often_as_they_should(settings: dict[str, float], expected: list[float]) -> None:
    assert drawn(**settings) == pytest.approx(expected, abs=0.025)  # three standard deviations


def test_the_seed_and_the_number_decide_and_nothing_else() -> None:
    scores, ids = torch.zeros(2, 50), torch.zeros(2, 1, dtype=torch.long)

    def noise(seed: int, numbers: list[int]) -> torch.Tensor:
        return Drawn(Sampling(temperature=1, seed=seed), numbers, CPU)(torch.arange(2), ids, scores)

    first = noise(0, [0, 1])
    torch.rand(7)
    assert torch.equal(noise(0, [1, 0]), first.flip(0))
    assert not torch.equal(first[0], first[1])
    assert not torch.equal(noise(1, [0, 1]), first)


def test_padding_is_no_repetition() -> None:
    prompts, mask = torch.tensor([[9, 9, 5], [9, 8, 5]]), torch.tensor([[0, 0, 1], [1, 1, 1]])
    penalties = Penalties(Sampling(repetition_penalty=2.0), prompts, mask)
    begun = torch.tensor([[0, 6], [0, 6]])  # the first token stands for the prompt
    halved = penalties(torch.arange(2), begun, torch.ones(2, 10)) < 1
    assert [row.nonzero().flatten().tolist() for row in halved] == [[5, 6], [5, 6, 8, 9]]
    left = penalties(torch.tensor([1]), begun[1:], torch.ones(1, 10)) < 1  # the other one has left the batch
    assert left[0].nonzero().flatten().tolist() == [5, 6, 8, 9]


def test_series_of_tokens_are_barred_in_the_answer_alone() -> None:
    penalties = Penalties(Sampling(no_repeat_ngram_size=2), torch.tensor([[1, 2, 1]]), torch.ones(1, 3))
    fresh = penalties(torch.tensor([0]), torch.tensor([[0, 1]]), torch.ones(1, 4))
    assert torch.isfinite(fresh).all(), "1 2 stands in the prompt alone"
    again = penalties(torch.tensor([0]), torch.tensor([[0, 1, 2, 1]]), torch.ones(1, 4))
    assert again[0].isinf().nonzero().flatten().tolist() == [2]
