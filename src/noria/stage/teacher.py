"""What a teacher says of a fit's training rows: computed once, before the first step, and kept. Trains nothing."""

from __future__ import annotations

import gc
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import cached_property, partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from lightning.pytorch.utilities.seed import isolate_rng
from omegaconf import DictConfig
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text
from torch import Tensor

from noria.artifact import bundle
from noria.common.console import get_console
from noria.common.errors import UserError
from noria.common.heap import give_back_freed_memory
from noria.common.paths import cache_dir
from noria.data.batch.columns import Column, Columns, cached_columns
from noria.data.batch.encoded import fingerprint
from noria.data.module import DataModule
from noria.inference.runner import Runner
from noria.metric.base import Metric
from noria.model.limits import readable_length
from noria.model.padding import is_rearranged
from noria.model.pretrained import Pretrained
from noria.model.states import caught
from noria.model.thinned import Thinned
from noria.model.tokenizer import difference
from noria.stage.inputs import file_prints
from noria.stage.parts import device_of, own_kinds
from noria.task.kind import TEACHER, Batch, Kind
from noria.task.outputs import Ragged
from noria.task.wrapper.taught import states_of
from noria.tracking.beside import beside
from noria.tracking.record import Record, first_rank

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from noria.task.wrapper.distillation import Distillation

FORMAT = 1
PART = 4096  # examples whose outputs are in memory at once
TEXTS = 256  # on which two tokenizers are held against each other
KEY = "task.wrapper.teacher"
OF_THE_STUDENT = ("architecture", "freeze", "peft", "attn_implementation", "gradient_checkpointing")


def student(pretrained: Pretrained, how: Distillation | None) -> Pretrained:
    """The model that is trained: the config's, or the teacher's with some of its layers."""
    if how is None or how.every is None:
        return pretrained
    options = {name: getattr(pretrained, name) for name in OF_THE_STUDENT if hasattr(pretrained, name)}
    return Thinned(every=how.every, name=str(_folder(how)), **options)


def teacher_facts(kind: Kind) -> dict[str, Any]:
    """For the record: fingerprints of the teacher's files, where there is one."""
    if kind.wrapper is None:
        return {}
    files = file_prints(Pretrained(name=str(_folder(kind.wrapper))))
    return {"teacher": {"folder": kind.wrapper.teacher, "files": files}}


def teach(
    cfg: DictConfig,
    data: DataModule,
    kind: Kind,
    network: Any,
    metrics: Mapping[str, Metric],
    record: Record,
    precision: str,
) -> None:
    """Lays what the teacher says beside the training rows, and writes into the record how good it is itself.

    The teacher is opened only where the cache does not hold this yet, and is gone when this returns.

    Args:
        kind: with a wrapper.
        network: the student's.

    Raises:
        UserError: the teacher is none for this student.
    """
    how = kind.wrapper
    assert how is not None and data.tokenizer is not None
    started = time.perf_counter()
    teacher = _Teacher(cfg, how, kind, data, precision)
    teacher.refuse_unfit()
    if how.hidden:
        teacher.refuse_other_states(network)
    train, measured = data.encoded("train"), {}
    with isolate_rng():  # opening draws random numbers; no run is to depend on what the cache holds
        found = cached_columns(teacher.key(how, "train"), len(train), partial(teacher.columns, how, "train"))
        if "val" in data.splits and first_rank():
            named = {"metrics": {str(name): repr(node) for name, node in cfg.metric.items()}}
            path = cache_dir() / "teachers" / f"{teacher.key(how, 'val', **named)}.json"
            measured = _remembered(path, partial(teacher.measure, metrics))
    train.columns = {f"{TEACHER}{name}": column for name, column in found.items()}
    said = {"opened": teacher.is_open, "seconds": time.perf_counter() - started, "metrics": measured}
    record.update(teacher={**record.data.get("teacher", {}), **said})
    teacher.close()
    if measured:
        values = ", ".join(f"{name} {one['value']:.4f}" for name, one in measured.items())
        get_console().print(f"teacher: {values}", highlight=False)


class _Teacher:
    """An artifact that answers the rows of a fit in the order of the student's labels."""

    def __init__(self, cfg: DictConfig, how: Distillation, kind: Kind, data: DataModule, precision: str) -> None:
        assert data.tokenizer is not None
        self._name, self._folder, self._student = how.teacher, _folder(how), kind
        self._data, self._precision, self._device = data, precision, device_of(cfg)
        self._facts = bundle.read_facts(self._folder)
        self._kind = bundle.open_kind(self._folder, self._facts, own_kinds(cfg))
        self._pretrained = Pretrained(name=str(self._folder))
        self._states = how.hidden > 0
        if self._states:
            self._kind.packed = False  # type: ignore[misc]  # packed, a classifier computes only the first one's
        self._tokenizer: PreTrainedTokenizerBase = self._pretrained.tokenizer()

    def refuse_unfit(self) -> None:
        """Refuses a teacher whose answers are not of the student's rows, in the student's words.

        Raises:
            UserError: says in what the two differ.
        """
        ours, theirs = (bundle.class_path(kind).rpartition(".")[2] for kind in (self._student, self._kind))
        if ours != theirs:
            raise UserError(f"{KEY}={self._name} is an artifact of {theirs}, and the student's task is {ours}.")
        settings, own = self._kind.form.settings(), self._student.form.settings()
        for name in self._student.teacher_settings:
            if settings[name] != own[name]:
                raise UserError(
                    f"{KEY}={self._name} was trained with {name} {settings[name]!r}, and the student has "
                    f"{own[name]!r}: what it says would be of something else."
                )
        labels, wanted = self._kind.form.labels, self._student.form.labels
        if set(labels) != set(wanted):
            raise UserError(
                f"{KEY}={self._name} knows the labels {_listed(labels)}; those of this data are {_listed(wanted)}. A "
                "teacher and its student need the same."
            )
        self._kind.form.labels = list(wanted)  # the network is opened with its rows in this order
        assert self._data.tokenizer is not None
        if said := difference(self._tokenizer, self._data.tokenizer, list(islice(self._data.corpus(), TEXTS))):
            raise UserError(
                f"{KEY}={self._name} has another tokenizer than the student's model: {said}. Take a student with the "
                "teacher's own tokenizer, such as the teacher with fewer layers (task.wrapper.every=2)."
            )

    def refuse_other_states(self, network: Any) -> None:
        """Refuses a teacher whose hidden states cannot be held against those of the student's network.

        Raises:
            UserError: they have another width, or the network is called in parts.
        """
        if is_rearranged(network):
            raise UserError(
                f"task.wrapper.hidden: a '{network.config.model_type}' model is called in parts, for its answers would "
                "change with padding, so that its states are not at hand. Leave it at 0."
            )
        widths = [
            getattr(config.get_text_config(), "hidden_size", None)
            for config in (self._pretrained.config, network.config)
        ]
        if widths[0] is None or widths[0] != widths[1]:
            raise UserError(
                f"task.wrapper.hidden: the states of {KEY}={self._name} are {widths[0]} wide and the student's "
                f"{widths[1]}. Leave it at 0, or take a student of the teacher's own layers (task.wrapper.every=2)."
            )

    def key(self, how: Distillation, split: str, **more: Any) -> str:
        """A hash of all that decides what it says of a split."""
        parts = {
            "format": FORMAT,
            "kind": bundle.class_path(self._kind),
            "settings": self._kind.form.settings(),
            "files": file_prints(self._pretrained),
            "precision": self._precision,
            "rows": fingerprint(self._data.encoded(split)),
            **{name: getattr(how, name) for name in self._kind.teacher_keys},
            **({"states": True} if self._states else {}),
            **more,
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True, default=repr).encode()).hexdigest()[:32]

    @property
    def is_open(self) -> bool:
        """Whether its network was needed."""
        return "_runner" in vars(self)

    @cached_property
    def _runner(self) -> Runner:
        network = self._kind.network(self._pretrained, self._tokenizer)
        longest = max(int(self._data.encoded(split).lengths.max(initial=1)) for split in ("train", "val")
                      if split in self._data.splits)  # fmt: skip
        if (most := readable_length(network, longest)) < longest:
            raise UserError(
                f"{KEY}={self._name} reads {most} tokens at most, and these rows have up to {longest}: lower "
                "data.max_length."
            )
        network = network.eval().requires_grad_(False)
        opened = bundle.Artifact(self._folder, self._facts, network, self._tokenizer, self._kind)
        return Runner(opened, self._precision, self._device)

    def columns(self, how: Distillation, split: str) -> Iterator[Columns]:
        """What it says of a split, part by part."""
        encoded = self._data.encoded(split)
        states: list[Tensor] = []

        def of(made: Tensor, batch: Batch) -> dict[str, np.ndarray | Ragged]:
            found = dict(self._kind.says(made, batch, how.temperature, how.top))
            return {**found, "states": states_of(states.pop(), batch)} if self._states else found

        catching = caught(self._runner.network) if self._states else nullcontext(states)
        with _bar("Asking the teacher", len(encoded)) as advance, catching as states:
            for start in range(0, len(encoded), PART):
                index = np.arange(start, min(start + PART, len(encoded)))
                made = self._runner.outputs(encoded, self._data.eval_batch_size, advance, index, of)
                yield {name: _column(said) for name, said in made.items()}

    def measure(self, metrics: Mapping[str, Metric]) -> dict[str, Any]:
        """How good it is itself on the validation set."""
        with _bar("Evaluating the teacher", self._runner.steps(self._data.encoded("val"), metrics)) as advance:
            done = self._runner.measure(self._data, "val", metrics, self._data.eval_batch_size, advance)
        return {f"val/{name}": estimate.as_dict() for name, estimate in done.estimates.items()}

    def close(self) -> None:
        """Gives the room of its network back."""
        vars(self).pop("_runner", None)
        gc.collect()
        give_back_freed_memory()


def _remembered(path: Path, measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What was measured before and lies in a file, else what is measured now and put there."""
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return found
    except (OSError, ValueError):
        found = measure()
    with beside("What the teacher was measured at"):
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_suffix(f".{os.getpid()}")
        new.write_text(json.dumps(found), encoding="utf-8")
        os.replace(new, path)
    return found


class _Rate(ProgressColumn):
    """Rows a second."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:,.0f} rows/s" if task.speed else "")


@contextmanager
def _bar(what: str, rows: int) -> Iterator[Any]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), _Rate(), TimeRemainingColumn())
    with Progress(*columns, console=get_console(), transient=True) as bar:
        yield partial(bar.advance, bar.add_task(what, total=rows))


def _column(said: np.ndarray | Ragged) -> Column:
    return Column(said.values, said.lengths) if isinstance(said, Ragged) else Column(said)


def _folder(how: Distillation) -> Path:
    """The folder of its weights: of an ONNX file that of the artifact it was made from."""
    return bundle.trainable(Path(how.teacher).expanduser())


def _listed(labels: Any) -> str:
    return ", ".join(list(labels)[:12]) or "none"
