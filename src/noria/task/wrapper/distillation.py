"""What a student is to learn from a teacher, as values. Knows no kind of work."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge, Gt


class Distillation:
    """A student learns from what a teacher says of the training rows, beside their labels (Hinton et al. 2015,
    Distilling the Knowledge in a Neural Network, section 2).

    The loss of an example is `labels` times that of its labels, plus `soft` times its distance to the teacher, plus
    `hidden` times that of the states below. Where both say probabilities the distance is T² · KL(teacher ‖ student) of
    logits divided by the temperature T: with T² the size of its gradients does not depend on T. The loss of validation
    is that of the labels alone.

    Args:
        teacher: the folder of an artifact of the same kind of work, with the same labels and the same tokenizer. What
            it says is computed once, before the first step, and kept in Noria's cache.
        every: the student is the teacher's own network with one of so many layers, evenly spread, the first among them
            (Sanh et al. 2019, DistilBERT, section 3), and `model.name` is not read; None: it is the config's model.
        temperature: T; without meaning for numbers and vectors.
        labels: what the loss of the labels counts.
        soft: what the distance to the teacher counts.
        hidden: what the mean squared distance between the last hidden states of both counts, over an example's tokens
            and all dimensions (Jiao et al. 2020, TinyBERT, equation 8, without its map between widths: both have the
            same). A classifier's network then computes the states of all tokens, on a CPU unpacked and slower.
        top: of a decoder, how many of the likeliest tokens are kept one by one at each place; all others are one.
    """

    def __init__(
        self,
        *,
        teacher: str,
        every: Annotated[int, Ge(2)] | None = None,
        temperature: Annotated[float, Gt(0)] = 2.0,
        labels: Annotated[float, Ge(0)] = 0.5,
        soft: Annotated[float, Gt(0)] = 0.5,
        hidden: Annotated[float, Ge(0)] = 0.0,
        top: Annotated[int, Gt(0)] = 64,
    ) -> None:
        self.teacher = teacher
        self.every = every
        self.temperature = temperature
        self.labels = labels
        self.soft = soft
        self.hidden = hidden
        self.top = top
