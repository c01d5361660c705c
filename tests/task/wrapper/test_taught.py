from __future__ import annotations

import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification

from noria.model.states import caught
from noria.task.text_classification.kind import TextClassification
from noria.task.wrapper.distillation import Distillation
from noria.task.wrapper.taught import taught

LOGITS = torch.tensor([[1.0, 0.0, -1.0], [0.5, 2.0, 0.0]])
TEACHER = torch.tensor([[2.0, -1.0, 0.0], [0.0, 1.0, 1.5]])
STATES = torch.arange(24.0).view(2, 3, 4) / 10
THERE = torch.tensor([[1, 1, 0], [1, 1, 1]])


def batch(**more: torch.Tensor) -> dict[str, torch.Tensor]:
    return {"labels": torch.tensor([2, 1]), "index": torch.tensor([0, 1]), "attention_mask": THERE, **more}


def test_the_loss_and_its_gradient_are_the_formulas() -> None:
    how = Distillation(teacher="t", temperature=3.0, labels=0.4, soft=0.7)
    logits = LOGITS.clone().requires_grad_()
    losses, weights = taught(TextClassification(), how).losses(logits, batch(teacher_logits=TEACHER))
    p, q = (TEACHER / 3).softmax(-1), (LOGITS / 3).softmax(-1)
    plain = -LOGITS.log_softmax(-1)[torch.arange(2), torch.tensor([2, 1])]
    torch.testing.assert_close(losses, 0.4 * plain + 0.7 * 9 * (p * (p / q).log()).sum(-1))
    assert weights.tolist() == [1, 1]
    losses.sum().backward()
    right = torch.tensor([[0.0, 0, 1], [0, 1, 0]])
    torch.testing.assert_close(logits.grad, 0.4 * (LOGITS.softmax(-1) - right) + 0.7 * 3 * (q - p))


def test_without_a_teacher_in_the_batch_it_is_the_loss_of_the_labels() -> None:
    kind = TextClassification()
    how = Distillation(teacher="t", hidden=1.0)
    torch.testing.assert_close(taught(kind, how).losses(LOGITS, batch()), kind.losses(LOGITS, batch()))


def test_the_states_count_where_there_is_a_token() -> None:
    how = Distillation(teacher="t", labels=0.0, soft=1e-12, hidden=2.0)
    teachers = torch.cat([STATES[0, :2] + 1, STATES[1] - torch.tensor([[0.0], [1.0], [3.0]])]).half()
    given = batch(teacher_logits=TEACHER, teacher_states=teachers)
    losses, _ = taught(TextClassification(), how).losses((LOGITS, STATES), given)
    torch.testing.assert_close(losses, torch.tensor([2.0, 2 * 10 / 3]), rtol=1e-2, atol=1e-2)


def test_states_are_caught_and_let_go() -> None:
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    network = BertForSequenceClassification(BertConfig(vocab_size=20, **sizes)).eval()
    ids = torch.arange(6).view(2, 3)
    with caught(network) as states:
        network(input_ids=ids)
    network(input_ids=ids)
    assert len(states) == 1
    torch.testing.assert_close(states[0], network.bert(input_ids=ids).last_hidden_state)


@pytest.mark.parametrize("hidden", [0.0, 0.5])
def test_whether_it_reads_states(hidden: float) -> None:
    kind = TextClassification()
    assert taught(kind, Distillation(teacher="t", hidden=hidden)).reads_states is (hidden > 0) and not kind.reads_states
