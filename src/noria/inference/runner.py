"""Runs an artifact over examples: the one path that measuring, predicting, serving and every check share.

Knows neither where the rows come from nor what becomes of the numbers.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from hydra.utils import get_class
from torch import Tensor

from noria.artifact.bundle import Artifact
from noria.common.errors import UserError
from noria.data.batch.batches import epoch_batches
from noria.data.batch.encoded import Encoded
from noria.data.module import DataModule
from noria.data.rows.rows import Rows
from noria.data.rows.split import KEY, keyed
from noria.inference.baselines import beside
from noria.inference.evaluation import Evaluation
from noria.metric.base import Metric
from noria.metric.references import REFERENCE, RESPONSE
from noria.model.session import Session
from noria.task.form import FORM
from noria.task.kind import Answerer, Batch
from noria.task.outputs import Outputs, Ragged, joined

log = logging.getLogger(__name__)

Said = Callable[[Tensor, Batch], Mapping[str, np.ndarray | Ragged]]


class Runner:
    """One artifact's answers on one device.

    Args:
        artifact: the opened artifact; its network is moved to the device.
        precision: a name of Lightning's: `32-true`, `bf16-mixed`, `bf16-true`, `16-mixed`.
        device: where to run.
        settings: how texts are generated, where the artifact generates any.
    """

    def __init__(self, artifact: Artifact, precision: str, device: torch.device, settings: Any = None) -> None:
        self.kind, self.form = artifact.kind, artifact.form
        self.tokenizer = artifact.tokenizer
        self._max_length = int(artifact.facts["max_length"])
        self._settings = settings
        self._session = Session(artifact.network, precision, device, packed=artifact.kind.packed)

    @property
    def network(self) -> torch.nn.Module:
        """The network that answers, as it is executed."""
        found: torch.nn.Module = self._session.network
        return found

    def outputs(
        self,
        encoded: Encoded,
        batch_size: int,
        advance: Callable[[int], Any] = lambda rows: None,
        index: np.ndarray | None = None,
        of: Said | None = None,
    ) -> Outputs:
        """What the network says of all examples, in their order.

        Batches are of near-equal length, so that little is computed on padding.

        Args:
            advance: told the number of examples after each batch, for a progress bar.
            index: which of the examples; None: all.
            of: what is wanted of what the network makes of a batch; None: what decides the answers.

        Raises:
            UserError: an example that the network cannot read.
        """
        if index is None:
            self.kind.check(self._session.network, self.tokenizer, encoded, "The texts")
        chosen = np.arange(len(encoded)) if index is None else index
        calls = self._calls(np.asarray(encoded.lengths)[chosen], batch_size)
        call, parts = partial(self._call, encoded, of or self.kind.outputs), []
        for rows, said in zip(calls, self._session.each(call, [chosen[rows] for rows in calls]), strict=True):
            parts.append(said)
            advance(len(rows))
        return joined(parts, np.argsort(np.concatenate([np.empty(0, np.int64), *calls])))

    def _calls(self, lengths: np.ndarray, batch_size: int) -> list[np.ndarray]:
        """The rows that a forward takes together, as many as the kind and the network find best, the batch at most."""
        calls = []
        for whole in epoch_batches(lengths, batch_size, seed=0, epoch=0, shuffle=False):
            longest = max(int(lengths[whole].max()), 1)
            bounds = (self.kind.at_once(self._session.network, longest), self._session.at_once(longest))
            size = min((bound for bound in bounds if bound is not None), default=len(whole))
            calls += [whole[start : start + size] for start in range(0, len(whole), size)]
        return calls

    @torch.inference_mode()  # a thread's own: `outputs` may call from several
    def _call(self, encoded: Encoded, of: Said, network: Any, rows: np.ndarray) -> Mapping[str, np.ndarray | Ragged]:
        batch = self._session.moved(encoded[rows])
        with self._session.context():
            made = self.kind.forward(network, batch)
        return of(made, batch)

    def measure(
        self,
        data: DataModule,
        split: str,
        metrics: Mapping[str, Metric],
        batch_size: int,
        advance: Callable[[int], Any] = lambda rows: None,
        respond: bool = False,
    ) -> Evaluation:
        """Runs over every example of a split once, and where a metric reads texts answers every row.

        The loss is the plain one: no class weights, no label smoothing, so that runs trained with other losses can be
        compared.

        Args:
            respond: answer every row though no metric asks for it, where rows ask anything.
        """
        encoded, rows = data.encoded(split), data.splits[split]
        decided = self.form.decide(self.outputs(encoded, batch_size, advance), encoded, np.arange(len(encoded)))
        owner, answered = np.asarray(decided["row"]), decided.drop_columns(["row"])
        if self._responds(metrics) or (respond and self.form.asked(rows)):
            answered = self._with_responses(answered, owner, rows, batch_size, advance)
        answers = self.form.read(answered)
        always = {name: get_class(path)() for name, path in self.form.measured.items()}
        estimates = {name: metric.estimate(answers) for name, metric in always.items() if metric.fits(answers)}
        estimates = {name: found for name, found in estimates.items() if name == "loss" or not math.isnan(found.value)}
        for name, metric in metrics.items():
            estimates.setdefault(name, metric.estimate(answers))
        columns = {
            "id": pa.array(_piece_ids(rows.ids, owner)),
            "key": keyed(rows).table[KEY].take(pa.array(owner)),
            "split": pa.array([split] * len(owner)),
            **{name: answered[name] for name in answered.column_names},
        }
        described = json.dumps({"form": self.form.path(), "settings": self.form.settings()})
        predictions = pa.table(columns).replace_schema_metadata({FORM: described.encode()})
        trivial = self.form.trivial(rows, data.written) if RESPONSE in answers else {}
        of_rows = {name: [texts[row] for row in owner] for name, texts in trivial.items()}
        return Evaluation(split, estimates, predictions, beside(answers, of_rows, metrics) if of_rows else {})

    def _with_responses(
        self, answered: pa.Table, owner: np.ndarray, rows: Rows, batch_size: int, advance: Callable[[int], Any]
    ) -> pa.Table:
        """Predictions with what the model answers to each row, and what is right.

        Raises:
            UserError: nothing is asked in these rows.
        """
        asked = self.form.asked(rows)
        if not asked:
            raise UserError(
                f"{rows.where}: a metric of texts was chosen (metric=[…]), and these rows ask nothing: there is no "
                "text that the model's own could be measured against."
            )
        responses, failed = [], 0
        size = batch_size * self.kind.chunk
        for start in range(0, len(owner), size):
            part = owner[start : start + size]
            for reply in self.answer([asked[row][0] for row in part], batch_size, part.tolist()):
                failed += "error" in reply
                responses.append(reply.get(RESPONSE, ""))
            advance(len(part))
        if failed:
            log.warning("%d of %d rows could not be answered: their answers count as empty.", failed, len(owner))
        answered = answered.append_column(REFERENCE, pa.array([asked[row][1] for row in owner]))
        return answered.append_column(RESPONSE, pa.array(responses, pa.string()))

    def steps(self, encoded: Encoded, metrics: Mapping[str, Metric]) -> int:
        """How often `measure` will count an example, for a progress bar."""
        return len(encoded) * (2 if self._responds(metrics) else 1)

    def _responds(self, metrics: Mapping[str, Metric]) -> bool:
        """Whether a metric reads texts that have to be generated."""
        return any({*metric.reads} & {*self.form.generated} for metric in metrics.values())

    @cached_property
    def answerer(self) -> Answerer:
        """What answers requests."""
        made = self.kind.answerer(self._session, self.tokenizer, self._max_length, self._settings)
        return _Deciding(self) if made is None else made

    def answer(
        self, requests: Sequence[Any], batch_size: int, numbers: Sequence[int] | None = None
    ) -> list[dict[str, Any]]:
        """An answer to each request of the form's shape, in their order, or an `error`.

        Args:
            numbers: of the requests in the whole input; by them random numbers are drawn, where there are any.
        """
        return self.answerer.answer(requests, batch_size, numbers)

    def replies(self, requests: Sequence[Any], encoded: Encoded, batch_size: int) -> list[dict[str, Any]]:
        """`answer` for requests whose tokens are there already."""
        if isinstance(self.answerer, _Deciding):
            return self.form.replies(self.outputs(encoded, batch_size), encoded)
        return self.answer(requests, batch_size)

    def encoded(self, requests: Sequence[Any]) -> Encoded:
        """The tokens of requests."""
        return self.form.encode_requests(requests, self.tokenizer, self._max_length)


class _Deciding:
    """Answers that are decided from what the network says of a request as a whole."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    def answer(
        self, requests: Sequence[Any], batch_size: int, numbers: Sequence[int] | None = None
    ) -> list[dict[str, Any]]:
        if not requests:
            return []
        return self._runner.replies(requests, self._runner.encoded(requests), batch_size)

    def problem(self, request: Any) -> str | None:
        return None


def _piece_ids(ids: Sequence[str], row: np.ndarray) -> list[str]:
    """The ids of answers, of which several may be of pieces of one row: those end in #1, #2, …"""
    pieces, seen = np.bincount(row, minlength=len(ids)), [0] * len(ids)
    named = []
    for number in row.tolist():
        seen[number] += 1
        named.append(ids[number] if pieces[number] == 1 else f"{ids[number]}#{seen[number]}")
    return named
