"""The half of a kind of work that needs no network: what it asks of a row, what it learns from it, what it answers.

It imports no torch, so that a config is checked, runs are compared and feedback is judged without it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import pyarrow as pa

from noria.common.errors import UserError
from noria.data.batch.encoded import Encoded
from noria.data.rows.rows import Rows
from noria.data.source.votes import Ballot
from noria.metric.answers import Answers
from noria.task.outputs import Outputs
from noria.task.requests import Given, Reading
from noria.task.service import Service

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

FORMS = ("noria.task", "noria.index")  # where the forms lie that a file of a stranger may name
SHOWN = ("id", "split", "label", "prediction", "loss")  # columns of predictions for people to look at
TEXTS = ("text", "text_pair")  # columns of rows that hold texts
FORM = b"noria.form"  # in the metadata of predictions: the form's path and settings, as JSON

Written = Mapping[str, Any]
"""How the rows of a source are written, by the names of the source's own keys, such as `label_separator`."""


class Form(ABC):
    """What a kind of work needs of a row and what it makes of it. One object serves one model.

    An artifact names its form by the class's dotted path and keeps `settings()`, from which `of` makes it again.

    The class attributes are literals: the check of a config reads them from the source, without an import.

    Attributes:
        needs: the columns that a source has to give (`DataModule.gives`): one of these sets.
        answers: for each value of the task's `kind` (or for the one name of a task without that key) the columns of
            its predictions, and what each holds (`noria.metric.answers`).
        generated: those of these columns that are there only where the model has generated a text for each row.
        truth: which of these columns say what is right, each with what is said of two runs in which it differs.
        makes_vectors: the outputs of requests are `vectors` (requests, texts, width) of length 1, which can be
            searched. A request says what it is: `as` is `query` or `document`.
        heard: dotted paths of other forms whose users' corrections this one learns from as well.
        measured: the metrics that are always measured, by name, as dotted paths of their classes.
        labels: the names that answers are made of, in the order of the network's outputs; some forms have none.
    """

    needs: ClassVar[tuple[tuple[str, ...], ...]] = ()
    answers: ClassVar[dict[str, dict[str, str]]] = {}
    generated: ClassVar[tuple[str, ...]] = ()
    truth: ClassVar[dict[str, str]] = {"label": "have different labels for the same rows."}
    makes_vectors: ClassVar[bool] = False
    heard: ClassVar[tuple[str, ...]] = ()
    measured: ClassVar[dict[str, str]] = {"loss": "noria.metric.loss.Loss"}

    labels: Sequence[str] = ()

    def service(self) -> Service:
        """How people ask and correct such a model over HTTP (`stage=serve`).

        Raises:
            UserError: it cannot be served.
        """
        raise UserError("its answers are of a kind that stage=serve cannot serve: stage=predict answers an input.")

    def ballot(self) -> Ballot:
        """How corrections of many clients are counted against each other and become rows (`data=feedback`).

        Raises:
            UserError: they cannot be.
        """
        raise UserError("data=feedback learns one label a text: the answers of this task are something else.")

    def right(self, table: pa.Table) -> np.ndarray:
        """How right each of the predictions that `decide` has made is (n,), from 0 to 1 or as true and false.

        Raises:
            UserError: there is no such thing as right and wrong.
        """
        raise UserError("the answers of this task are neither right nor wrong, so no two models can be judged by it.")

    def contents_of(self) -> dict[str, str]:
        """The columns of this form's predictions, and what each holds."""
        return next(iter(self.answers.values()))

    @classmethod
    def path(cls) -> str:
        """The dotted path by which artifacts, predictions and feedback name this form."""
        return f"{cls.__module__}.{cls.__qualname__}"

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """Plain values from which `of` makes the same form again."""

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Self:
        """The form that an artifact or a file of predictions describes."""
        return cls(**settings)

    def clean(self, given: dict[str, Rows], written: Written) -> dict[str, Rows]:
        """The rows that can be used, before they are split; what is left out is counted in `Rows.dropped`.

        Raises:
            UserError: a column does not hold what it must.
        """
        return given

    def settle(self, train: Rows, written: Written) -> None:  # noqa: B027
        """Takes from all training rows what must not depend on how many of them are used, such as the labels' names.

        A form that came with an artifact has settled that already.
        """

    def check(self, rows: Rows) -> None:  # noqa: B027
        """Finds rows of a split that cannot be learnt from or measured.

        Raises:
            UserError: it names the row.
        """

    @abstractmethod
    def encode(
        self, rows: Rows, tokenizer: PreTrainedTokenizerBase, max_length: int, measured: bool, written: Written
    ) -> Encoded:
        """The tokens and targets of the rows of a split.

        Args:
            max_length: tokens of an example at most.
            measured: the rows are there to be measured and not to be learnt from: nothing of them may be lost.

        Raises:
            UserError: nothing of the rows is left.
        """

    @abstractmethod
    def contents(self, rows: Rows) -> list[Iterable[str]]:
        """Columns of strings that hold all that is learnt from these rows, for a fingerprint."""

    def corpus(self, rows: Rows) -> Iterable[str]:
        """The texts among what is learnt from these rows: a tokenizer may be trained on them."""
        return chain.from_iterable(rows.table[name].to_pylist() for name in TEXTS if name in rows.table.column_names)

    @abstractmethod
    def decide(self, outputs: Outputs, encoded: Encoded, index: np.ndarray) -> pa.Table:
        """The answers, with what is right where that is known: the columns that `answers` names, and `row`.

        Args:
            outputs: what the network says of m examples.
            encoded: all examples of the split.
            index: (m,), which of them they are.

        Returns:
            One line an answer. `row` (int64) says to which row of the data it is one; of several to the same row each
            stands for a piece of it.
        """

    @abstractmethod
    def made_up(self, encoded: Encoded) -> Outputs:
        """Outputs of the shape that a network's have, drawn with a fixed seed: to try metrics before there is one."""

    @abstractmethod
    def read(self, table: pa.Table) -> Answers:
        """The columns of predictions, as `decide` made them, in the form in which metrics read them.

        Raises:
            UserError: they hold what is no answer of this form, such as a name that is none of the labels.
        """

    def shown(self, predictions: pa.Table, rows: Rows) -> dict[str, list[Any]]:
        """Columns of a few predictions as people look at them, for a table in W&B.

        Args:
            rows: those that were answered, with the same `id`.
        """
        return {name: predictions[name].to_pylist() for name in SHOWN if name in predictions.column_names}

    @abstractmethod
    def reading(self, given: Given) -> Reading:
        """The requests of an input.

        Raises:
            UserError: the input has not what the model reads.
        """

    def encode_requests(self, requests: Sequence[Any], tokenizer: PreTrainedTokenizerBase, max_length: int) -> Encoded:
        """The tokens of requests, where answers are decided from what the network says of each as a whole."""
        raise NotImplementedError

    def replies(self, outputs: Outputs, encoded: Encoded) -> list[dict[str, Any]]:
        """The answer to each of these requests, or an `error`: what `decide` is for rows."""
        raise NotImplementedError

    def asked(self, rows: Rows) -> list[tuple[Any, Any]]:
        """Each row as a request with its right answer, or several, where texts are generated; else none.

        What a model answers to them becomes the column `response` of its predictions, beside `reference`.
        """
        return []

    def trivial(self, rows: Rows, written: Written) -> dict[str, list[str]]:
        """Answers to each row that take no model, by name: they are measured beside the model's."""
        return {}

    def prompts(self, rows: Rows, count: int) -> list[tuple[Any, str]]:
        """Some of the rows as something to answer, each with its right answer; none where nothing is generated."""
        return []
