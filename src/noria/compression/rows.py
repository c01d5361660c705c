"""Some rows of the training data, drawn at random, for what is measured on the way to a smaller model."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from torch import Tensor

from noria.artifact.bundle import Artifact
from noria.common.errors import UserError
from noria.data.batch.encoded import Encoded
from noria.model.onnx import INPUTS

TOGETHER = 16  # examples of a batch


def batches(encoded: Encoded, count: int) -> Iterator[dict[str, Tensor]]:
    """Batches of as many examples, drawn at random, always the same.

    Raises:
        UserError: there is no example.
    """
    if not len(encoded):
        raise UserError("The training data has no rows to calibrate on: name some (data=…, data.path=…).")
    drawn = np.random.default_rng(0).permutation(len(encoded))[:count]
    for start in range(0, len(drawn), TOGETHER):
        yield encoded[drawn[start : start + TOGETHER]]


def given_to_graph(artifact: Artifact, encoded: Encoded, count: int) -> list[dict[str, np.ndarray]]:
    """What a graph that was made of the artifact's network is given for such examples."""
    takes = [name for name in INPUTS if name in artifact.tokenizer.model_input_names]
    given = []
    for batch in batches(encoded, count):
        there = batch["attention_mask"].bool().any(1)  # rows with several texts may lack one
        given.append({name: batch[name][there].numpy() for name in takes if name in batch})
    return given
