"""A loss over a whole optimiser step: the same gradients however the step is cut, with dropout too, and over ranks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import BertConfig, BertModel

from noria.task.text_embedding.kind import TextEmbedding
from noria.task.whole_step import step_gradient

ROWS = 11


def network(dropout: float = 0.0) -> BertModel:
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    drops = {"hidden_dropout_prob": dropout, "attention_probs_dropout_prob": dropout}
    return BertModel(BertConfig(vocab_size=50, **sizes, **drops), add_pooling_layer=False).train()


def batch(rows: int = ROWS) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    lengths = torch.randint(2, 9, (2 * rows, 1), generator=generator)
    texts = torch.arange(2 * rows).view(rows, 2)
    texts[3, 0] = texts[1, 0]  # a query with two documents
    return {
        "input_ids": torch.randint(3, 50, (2 * rows, 8), generator=generator),
        "attention_mask": (torch.arange(8) < lengths).long(),
        "texts": texts,
        "index": torch.arange(rows),
    }


def gradients(kind: TextEmbedding, size: int, dropout: float = 0.0) -> tuple[float, list[Tensor]]:
    made = network(dropout)
    torch.manual_seed(5)
    sums, total = step_gradient(kind, made, batch(), size, 1 / ROWS, lambda part: part.backward())
    total.backward()
    assert float(sums[1]) == ROWS and float(sums[0]) / ROWS == pytest.approx(float(total), rel=1e-6)
    return float(total), [weight.grad for weight in made.parameters() if weight.grad is not None]


@pytest.mark.parametrize("size", [1, 2, 4, 10])
@pytest.mark.parametrize("loss", [{}, {"matryoshka": [16, 4]}])
def test_the_gradients_are_those_of_the_whole_step(size: int, loss: dict[str, list[int]]) -> None:
    kind = TextEmbedding(**loss)  # type: ignore[arg-type]
    value, whole = gradients(kind, ROWS)
    again, parts = gradients(kind, size)
    assert again == pytest.approx(value, rel=1e-5) and len(whole) == len(parts) > 10
    for one, other in zip(whole, parts, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)
    plain = network()
    kind.losses(kind.forward(plain, batch()), batch())[0].mean().backward()
    for one, weight in zip(whole, (w for w in plain.parameters() if w.grad is not None), strict=True):
        torch.testing.assert_close(one, weight.grad, rtol=1e-4, atol=1e-6)


def test_each_part_drops_in_its_second_forward_what_it_dropped_in_its_first() -> None:
    """Else the gradients would be those of other networks: with the same drops the loss goes down along them."""
    kind, made = TextEmbedding(), network(0.3)
    seen: list[Tensor] = []
    hook = made.register_forward_hook(lambda *args: seen.append(args[-1].last_hidden_state.detach()))
    torch.manual_seed(5)
    step_gradient(kind, made, batch(), 4, 1.0, lambda part: part.backward())
    hook.remove()
    assert len(seen) == 6
    for first, second in zip(seen[:3], seen[3:], strict=True):
        assert torch.equal(first, second)
    assert not torch.equal(seen[0], seen[1][: len(seen[0])])


RANKS = """
import sys, torch, torch.distributed as dist
from tests.task.test_whole_step import batch, network, ROWS
from noria.task.text_embedding.kind import TextEmbedding
from noria.task.whole_step import step_gradient
dist.init_process_group("gloo")
rank, kind, made, whole = dist.get_rank(), TextEmbedding(), network(), batch()
own = kind.part(whole, slice(rank, None, 2))
sums, total = step_gradient(kind, made, own, 2, 2 / ROWS, lambda part: part.backward())
total.backward()
found = [weight.grad for weight in made.parameters() if weight.grad is not None]
for one in found:
    dist.all_reduce(one)
    one /= 2  # as DDP does
dist.all_reduce(sums)
if rank == 0:
    torch.save({"sums": sums, "gradients": found}, sys.argv[1])
"""


def test_two_ranks_have_the_gradients_of_one(tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--master-port=0", "--standalone"]
    (tmp_path / "ranks.py").write_text(RANKS)
    environment = {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, str(tmp_path / "ranks.py"), str(tmp_path / "found.pt")],
        env=environment, cwd=root, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    found = torch.load(tmp_path / "found.pt")
    value, whole = gradients(TextEmbedding(), ROWS)
    assert float(found["sums"][0] / found["sums"][1]) == pytest.approx(value, rel=1e-5)
    for one, other in zip(whole, found["gradients"], strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_the_part_of_a_batch_has_the_texts_of_its_rows() -> None:
    whole = batch()
    part = TextEmbedding().part(whole, slice(4, 7))
    assert part["texts"].tolist() == whole["texts"][4:7].tolist() and part["index"].tolist() == [4, 5, 6]
    rows = [4, 5, 6, ROWS + 4, ROWS + 5, ROWS + 6]
    width = part["input_ids"].shape[1]
    assert torch.equal(part["input_ids"], whole["input_ids"][rows, :width])
    assert int(whole["attention_mask"][rows].sum()) == int(part["attention_mask"].sum())
