"""The losses, held against sums written out, and against those of sentence-transformers."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from noria.task.text_embedding import losses
from noria.task.text_embedding.encoded import NO_TEXT


def drawn(*shape: int) -> Tensor:
    return F.normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(len(shape))), dim=-1)


def numbered(rows: int, parts: int) -> Tensor:
    return torch.arange(rows * parts).view(rows, parts)


def test_in_batch_is_a_cross_entropy_over_all_documents_of_the_step() -> None:
    made = drawn(5, 4, 6)  # with two wrong documents each
    found = losses.in_batch(made, numbered(5, 4), torch.ones(5, dtype=torch.bool), 0.1)
    for row in range(5):
        logits = [float(made[row, 0] @ made[other, part]) / 0.1 for part in (1, 2, 3) for other in range(5)]
        wanted = torch.tensor(logits).logsumexp(0) - logits[row]
        assert float(found[row]) == pytest.approx(float(wanted), rel=1e-5)


def test_what_is_right_for_a_query_is_no_negative_of_it() -> None:
    made, texts = drawn(5, 2, 6), numbered(5, 2)
    texts[1, 1] = texts[0, 1]  # the same document beside another query
    texts[3, 0] = texts[2, 0]  # the same query beside another document
    texts[4, 1] = texts[0, 0]  # a document that is a query itself
    there = torch.ones(5, dtype=torch.bool)
    found = losses.in_batch(made, texts, there, 1.0)
    negatives = {0: [2, 3], 1: [2, 3, 4], 2: [0, 1, 4], 3: [0, 1, 4], 4: [0, 1, 2, 3]}
    for row, others in negatives.items():
        logits = torch.stack([made[row, 0] @ made[other, 1] for other in [row, *others]])
        assert float(found[row]) == pytest.approx(float(logits.logsumexp(0) - logits[0]), rel=1e-5)


def test_fillers_are_nobodys_negatives() -> None:
    made, texts = drawn(4, 2, 6), numbered(4, 2)
    there = torch.tensor([True, True, True, False])
    torch.testing.assert_close(
        losses.in_batch(made, texts, there, 0.5)[:3], losses.in_batch(made[:3], texts[:3], there[:3], 0.5)
    )
    cosines, wanted = torch.tensor([0.1, 0.5, 0.3, 0.9]), torch.tensor([0.0, 0.2, 0.4, 0.1])
    torch.testing.assert_close(
        losses.cosent(cosines, wanted, there)[0], losses.cosent(cosines[:3], wanted[:3], there[:3])[0]
    )


def test_triplets_and_similarities() -> None:
    made = drawn(3, 4, 6)
    near = torch.einsum("npw,nw->np", made[:, 1:], made[:, 0])
    wanted = torch.stack([(0.2 - near[:, 0] + near[:, k]).clamp(min=0) for k in (1, 2)]).mean(0)
    torch.testing.assert_close(losses.triplet(made, numbered(3, 4), 0.2), wanted)
    cosines, truth = torch.tensor([0.9, 0.1, 0.5]), torch.tensor([0.0, 1.0, 0.5])
    gaps = [20 * (cosines[j] - cosines[i]) for i in range(3) for j in range(3) if truth[i] > truth[j]]
    found = losses.cosent(cosines, truth, torch.ones(3, dtype=torch.bool))
    torch.testing.assert_close(found, torch.stack([torch.zeros(()), *gaps]).logsumexp(0).expand(3))
    torch.testing.assert_close(losses.squared(cosines, truth), torch.tensor([0.81, 0.81, 0.0]))


def test_a_row_with_fewer_negatives_loses_nothing_by_what_fills_its_place() -> None:
    made, texts = drawn(3, 4, 6), numbered(3, 4)
    texts[1, 3] = texts[2, 3] = texts[2, 2] = NO_TEXT
    there = torch.ones(3, dtype=torch.bool)
    found = losses.in_batch(made, texts, there, 0.1)
    documents = [made[row, part] for part in (1, 2, 3) for row in range(3) if texts[row, part] != NO_TEXT]
    for row in range(3):
        logits = torch.stack([made[row, 0] @ one / 0.1 for one in documents])
        assert float(found[row]) == pytest.approx(float(logits.logsumexp(0) - logits[row]), rel=1e-5, abs=1e-5)
    found = losses.triplet(made, texts, 0.2)
    torch.testing.assert_close(found[1:2], losses.triplet(made[1:2, :3], texts[1:2, :3], 0.2))
    assert float(found[2]) == 0


def test_they_are_those_of_sentence_transformers() -> None:
    pytest.importorskip("sentence_transformers")
    from sentence_transformers.sentence_transformer.losses import CoSENTLoss, MultipleNegativesRankingLoss

    made = drawn(6, 3, 8)
    theirs = MultipleNegativesRankingLoss(model=None, scale=20.0)
    ours = losses.in_batch(made, numbered(6, 3), torch.ones(6, dtype=torch.bool), 0.05).mean()
    torch.testing.assert_close(theirs.compute_loss_from_embeddings(list(made.unbind(1)), None), ours)
    labels = torch.linspace(0, 1, 6)
    cosines = (made[:, 0] * made[:, 1]).sum(-1)
    found = CoSENTLoss(model=None).compute_loss_from_embeddings(list(made[:, :2].unbind(1)), labels)
    torch.testing.assert_close(found, losses.cosent(cosines, labels, torch.ones(6, dtype=torch.bool))[0])


def test_the_distance_to_a_teacher_of_the_same_width_is_by_cosines() -> None:
    own, teacher = drawn(4, 3, 6), drawn(4, 3, 6).flip(0)
    there = torch.tensor([[True, True, True], [True, True, False], [True, True, True], [False, False, False]])
    found = losses.from_teacher(own, teacher, there)
    for row in range(4):
        each = [1 - float(own[row, text] @ teacher[row, text]) for text in range(3) if there[row, text]]
        assert float(found[row]) == pytest.approx(sum(each) / max(len(each), 1), abs=1e-6)


def test_the_distance_to_a_teacher_of_another_width_is_by_the_cosines_of_the_step() -> None:
    own = drawn(3, 2, 6)
    teacher = F.normalize(torch.randn(3, 2, 4, generator=torch.Generator().manual_seed(9)), dim=-1)
    there = torch.tensor([[True, True], [True, False], [True, True]])
    found = losses.from_teacher(own, teacher, there)
    places = [(row, text) for row in range(3) for text in range(2) if there[row, text]]
    for row in range(3):
        of_row = []
        for here in (place for place in places if place[0] == row):
            others = [place for place in places if place != here]
            gaps = [float(own[here] @ own[other]) - float(teacher[here] @ teacher[other]) for other in others]
            of_row.append(sum(gap**2 for gap in gaps) / len(gaps))
        assert float(found[row]) == pytest.approx(sum(of_row) / len(of_row), rel=1e-4)
    alone = losses.from_teacher(own[:, :1], teacher[:, :1], torch.tensor([[True], [False], [False]]))
    assert alone.tolist() == [0, 0, 0], "one text has no others"
