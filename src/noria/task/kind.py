"""The half of a kind of work that needs a network: which one, its loss, and what of its outputs decides an answer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self, runtime_checkable

import numpy as np
from torch import Tensor, nn

from noria.data.batch.encoded import Encoded
from noria.model.counts import Counts, counts_of_mask
from noria.model.pretrained import Pretrained
from noria.model.session import Session
from noria.task.form import Form
from noria.task.outputs import Ragged

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from noria.task.wrapper.distillation import Distillation

TEACHER = "teacher_"  # begins the names of what a batch holds of a teacher
Batch = dict[str, Tensor]


class Answerer(Protocol):
    """What answers the requests of users."""

    def answer(
        self, requests: Sequence[Any], batch_size: int, numbers: Sequence[int] | None = None
    ) -> list[dict[str, Any]]:
        """An answer to each request, or an `error`; its number decides its random numbers, where there are any."""

    def problem(self, request: Any) -> str | None:
        """Why a request cannot be answered; None where it can."""


@runtime_checkable
class Streaming(Answerer, Protocol):
    """What can show an answer while it comes."""

    def stream(self, request: Any, number: int = 0) -> Iterator[str]:
        """The answer in pieces, each as soon as it is certain; closing the iterator ends the work."""


class Kind(ABC):
    """What is learnt, as a plain object that the config builds: values in, no config.

    The class attributes are literals: the check of a config reads them from the source, without an import.

    Attributes:
        form_path: the dotted path of the other half, which needs no torch.
        architectures: what a model may be (`model.architecture`).
        only_for: keys of the config that mean something only with some values of its key `kind`.
        packed: its networks read whole texts and may run on rows without their padding.
        whole_step: its loss is one of all examples of an optimiser step (`noria.task.whole_step`).
        untrained: what its networks say means something as they come, without any training.
        keeps_dtype: an artifact's weights keep the type in which the base model came.
        teacher_says: what `says` gives of a batch, by name; nothing where the kind cannot be learnt from a teacher.
        teacher_keys: the keys of `task.wrapper` on which it depends.
        teacher_settings: the settings of the form in which a teacher and its student have to agree.
        batch_size, chunk: requests that are answered at once, and batches that are read before the first is answered.
        form: the other half itself.
        folder: of the artifact that it was opened from, if it was.
        reads_states: its loss reads the last hidden states of all tokens, whatever the network's head reads.

    Args:
        wrapper: how it is learnt besides (`task/wrapper=distillation`).
    """

    form_path: ClassVar[str] = ""
    architectures: ClassVar[tuple[str, ...]] = ()
    only_for: ClassVar[dict[str, tuple[str, ...]]] = {}
    packed: ClassVar[bool] = False
    whole_step: ClassVar[bool] = False
    untrained: ClassVar[bool] = False
    keeps_dtype: ClassVar[bool] = False
    teacher_says: ClassVar[tuple[str, ...]] = ()
    teacher_keys: ClassVar[tuple[str, ...]] = ()
    teacher_settings: ClassVar[tuple[str, ...]] = ()
    batch_size: ClassVar[int] = 64
    chunk: ClassVar[int] = 32

    form: Form
    folder: Path | None = None
    reads_states: bool = False
    wrapper: Distillation | None = None

    def __init__(self, *, wrapper: Distillation | None = None) -> None:
        self.wrapper = wrapper

    @classmethod
    def of(cls, form: Form) -> Self:
        """The kind as an artifact needs it: to measure and to answer, not to train."""
        kind = cls()
        kind.form = form
        return kind

    @abstractmethod
    def network(self, pretrained: Pretrained, tokenizer: PreTrainedTokenizerBase) -> nn.Module:
        """The network that a model gives for this work.

        Raises:
            UserError: the model has none.
        """

    def settle(self, train: Encoded) -> None:  # noqa: B027
        """Takes from the training rows what the loss depends on, such as how frequent each class is.

        Raises:
            UserError: keys of the config do not fit these rows.
        """

    def check(  # noqa: B027
        self, network: nn.Module, tokenizer: PreTrainedTokenizerBase, encoded: Encoded, where: str
    ) -> None:
        """Finds rows that the network cannot read.

        Raises:
            UserError: it says what they hold; `where` is what they are called.
        """

    @abstractmethod
    def forward(self, network: nn.Module, batch: Batch) -> Tensor:
        """What the network makes of a batch."""

    @abstractmethod
    def losses(self, made: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """The loss of each example, by which it is learnt, and the weight that it counts with, both (batch,).

        The loss of a step, of an epoch, of any set is `(losses * weights).sum() / weights.sum()`.
        """

    @abstractmethod
    def outputs(self, made: Tensor, batch: Batch) -> Mapping[str, np.ndarray | Ragged]:
        """What of it decides the answers, on the host and no larger than needed, for each example of the batch.

        Where the batch has targets the plain loss is among it: without class weights or smoothing, so that runs
        trained with other losses can be compared.
        """

    def says(self, made: Tensor, batch: Batch, temperature: float, top: int) -> Mapping[str, np.ndarray | Ragged]:
        """What of it a student is to learn, on the host, by the names of `teacher_says`. A training batch holds it as
        `teacher_<name>`: an array (examples, …); of `Ragged` values those of all examples one after the other, and none
        of a filler's.

        Args:
            temperature, top: as `noria.task.wrapper.distillation.Distillation` takes them.
        """
        raise NotImplementedError

    def distance(self, made: Tensor, batch: Batch, temperature: float) -> Tensor:
        """How far each example is from what a teacher says of it (examples,), in fp32, beside the loss of its labels:
        a mean over what that loss is a mean over."""
        raise NotImplementedError

    def said(self, network: nn.Module, batch: Batch) -> Mapping[str, np.ndarray]:
        """What the network, in evaluation mode, answers to each example of a validation batch: `response`, texts as
        objects (examples,); nothing where validation does not generate."""
        return {}

    @abstractmethod
    def weights(self, encoded: Encoded) -> np.ndarray:
        """What each example counts with (examples,): the weights that `losses` gives, known without a forward."""

    def counts(self, batch: Batch) -> Counts:
        """What of a batch counts as work done."""
        return counts_of_mask(batch["attention_mask"])

    def sample_settings(self, network: nn.Module) -> Any:
        """The settings with which `answerer` answers some prompts of the data, to show what the model says."""
        return None

    def at_once(self, network: nn.Module, longest: int) -> int | None:
        """How many examples of that many tokens a forward may take, where memory bounds it before the batch size."""
        return None

    def finish(self, network: nn.Module, tokenizer: PreTrainedTokenizerBase) -> None:  # noqa: B027
        """Writes into a network's own config what others need that open it, before it is saved."""

    def write(self, folder: Path, width: int, max_length: int) -> None:  # noqa: B027
        """Writes beside a saved network what else opens it.

        Args:
            width: of the network's hidden states.
            max_length: tokens of a text at most.
        """

    def answerer(
        self, session: Session, tokenizer: PreTrainedTokenizerBase, max_length: int, settings: Any = None
    ) -> Answerer | None:
        """What answers requests one after the other; None where answers are decided from `outputs`.

        Args:
            max_length: tokens of a text at most, as the model was trained.
            settings: how texts are generated, where they are (`noria.task.generation.sampling.Sampling`).
        """
        return None
