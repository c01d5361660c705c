"""An artifact with its weights in a type of 16 bits."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import torch

from noria.artifact.bundle import Artifact
from noria.common.errors import UserError
from noria.compression.artifact import save_changed
from noria.compression.step import Rows, Step


class Cast(Step):
    """The weights' file has half the size. What computes with them decides by itself in which type it does so.

    Attributes:
        dtype: the name that torch has for the type.
    """

    dtype: ClassVar[str]

    def apply(self, artifact: Artifact, folder: Path, rows: Rows, number: int = 1) -> dict[str, Any]:
        kind = getattr(torch, self.dtype)
        for name, weight in artifact.network.state_dict().items():
            if weight.is_floating_point() and weight.isfinite().all() and not weight.to(kind).isfinite().all():
                raise UserError(
                    f"artifact={artifact.folder}: {name} holds numbers of up to {float(weight.abs().max()):.3g}, and "
                    f"{self.dtype} ends at {torch.finfo(kind).max:.3g}. Take bfloat16."
                )
        save_changed(folder, artifact, dtype=self.dtype)
        return {}
