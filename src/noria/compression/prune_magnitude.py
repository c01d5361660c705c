"""The smallest weights become zero (Han et al. 2015, Learning both Weights and Connections, section 3)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import torch
from annotated_types import Ge, Interval
from torch import Tensor

from noria.artifact.bundle import Artifact
from noria.common.errors import UserError
from noria.compression.artifact import save_changed
from noria.compression.linears import linears
from noria.compression.step import Rows, Step


class PruneMagnitude(Step):
    """Sets weights of the layers' linear maps to zero. Embeddings, heads, norms and biases stay as they are.

    The file stays as large and the model as slow: zeros are stored and multiplied like any number. What is saved is
    storage, where files are compressed.

    Args:
        ratio: the share of these weights that is zero afterwards.
        scope: `global`: the smallest of all; `layer`: of each matrix that share.
        rounds: in how many rounds that share is reached: after round t of n it is `ratio * (1 - (1 - t/n)^3)` (Zhu &
            Gupta 2017, To prune, or not to prune, equation 1).
        recover_epochs: epochs of training after each round, in which zeros stay zeros; 0: none.
    """

    leaves_zeros: ClassVar[bool] = True

    def __init__(
        self,
        *,
        ratio: Annotated[float, Interval(ge=0, lt=1)] = 0.5,
        scope: Literal["global", "layer"] = "global",
        rounds: Annotated[int, Ge(1)] = 1,
        recover_epochs: Annotated[int, Ge(0)] = 0,
    ) -> None:
        self.ratio = ratio
        self.scope = scope
        self.rounds = rounds
        self.recover_epochs = recover_epochs

    def apply(self, artifact: Artifact, folder: Path, rows: Rows, number: int = 1) -> dict[str, Any]:
        weights = [linear.weight.data for linear in linears(artifact.network).values()]
        if not weights:
            raise UserError(f"artifact={artifact.folder}: prune_magnitude found no linear maps in this model's layers.")
        share = self.ratio * (1 - (1 - number / self.rounds) ** 3)
        for group in [weights] if self.scope == "global" else [[weight] for weight in weights]:
            zero_smallest(group, share)
        save_changed(folder, artifact)
        zeros, every = sum(int((weight == 0).sum()) for weight in weights), sum(weight.numel() for weight in weights)
        return {"weights": every, "zeros": zeros}


def zero_smallest(weights: Sequence[Tensor], share: float) -> None:
    """Sets the share of all these numbers that is nearest to zero to zero, in place; of equal ones, all."""
    sizes = torch.cat([weight.abs().flatten() for weight in weights])
    count = round(share * len(sizes))
    if not count:
        return
    largest = sizes.kthvalue(count).values
    for weight in weights:
        weight[weight.abs() <= largest] = 0
