"""Runs an artifact's classifier over texts. Knows neither where they come from nor what is right."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from noria.artifact.bundle import Artifact
from noria.common.heap import keep_freed_memory
from noria.data.batch.batches import epoch_batches
from noria.data.batch.encoded import Encoded
from noria.inference.device import autocast, cast_once, placed
from noria.model.execution import suit
from noria.task.text_classification.kind import NETWORK_INPUTS
from noria.task.text_classification.objective import Objective


class Classifier:
    """Logits, scores and predictions of one artifact on one device.

    Args:
        artifact: the opened artifact; its network is moved to the device.
        device: where to run; by default a GPU if there is one.
        precision: a name of Lightning's: `32-true`, `bf16-mixed`, `bf16-true`, `16-mixed`.
    """

    def __init__(self, artifact: Artifact, precision: str, device: torch.device) -> None:
        self.objective = Objective(artifact.kind)
        self.labels = artifact.labels
        self._device = device
        self._precision = precision
        self._network = placed(artifact.network, precision, device)
        suit(self._network, device.type)
        if precision == "bf16-mixed" and not any(weight.requires_grad for weight in self._network.parameters()):
            cast_once(self._network)
        if device.type == "cpu":
            keep_freed_memory()

    @torch.inference_mode()
    def logits(self, encoded: Encoded, batch_size: int, advance: Callable[[int], Any] = lambda rows: None) -> Tensor:
        """Logits (rows, labels) in fp32, in the order of the rows.

        Batches are of near-equal length, so that little is computed on padding.

        Args:
            advance: told the number of rows after each batch, for a progress bar.
        """
        out = torch.empty(len(encoded), max(len(self.labels), 1))  # a regression has no labels and one logit
        for indices in epoch_batches(np.asarray(encoded.lengths), batch_size, seed=0, epoch=0, shuffle=False):
            batch = encoded[list(indices)]
            inputs = {key: batch[key].to(self._device) for key in NETWORK_INPUTS if key in batch}
            with autocast(self._precision, self._device):
                out[torch.as_tensor(indices)] = self._network(**inputs).logits.float().cpu()
            advance(len(indices))
        return out

    def decide(self, scores: Tensor) -> list[Any]:
        """What is predicted from scores: a label's name, a list of names, or a number, for each row."""
        if self.objective.kind == "single_label":
            return [self.labels[i] for i in scores.argmax(-1).tolist()]
        if self.objective.kind == "multi_label":
            return [[self.labels[i] for i in np.flatnonzero(row)] for row in (scores >= 0.5).numpy()]
        return [float(value) for value in scores.tolist()]
