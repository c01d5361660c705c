"""`stage=export`: an artifact in a format that other programs run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Ge
from omegaconf import DictConfig

from noria.artifact import bundle
from noria.compression.artifact import save_onnx
from noria.compression.eight_bits import quantize_onnx
from noria.stage.gate import hold_against, place_for
from noria.stage.parts import own_kinds
from noria.stage.run import open_record, recording


def export(
    cfg: DictConfig,
    choices: dict[str, Any],
    multirun: bool,
    *,
    format: Literal["onnx", "onnx_int8"] = "onnx",
    output: str | None = None,
    overwrite: bool = False,
    split: Literal["train", "val", "test"] | None = "val",
    margin: Annotated[float, Ge(0)] = 0.01,
) -> None:
    """Writes the artifact's network as an ONNX file, with all that stands beside it: an artifact like any other, that
    `stage=evaluate`, `predict` and `serve` run by ONNX Runtime. Both then answer the same rows and are timed in turn.

    What is not shown to be no worse, or is slower, is kept and marked: `stage=serve` refuses it unless it is told.

    Args:
        format: `onnx` gives the same numbers; `onnx_int8` has weights and activations in 8 bits, which is smaller and
            quicker, and rounds.
        output: where it goes; None: into the run's folder.
        overwrite: an artifact that lies at `output` gives way; False refuses that.
        split: the rows that both answer, of the artifact's own data or of `data`; None: nothing is measured.
        margin: how much worse is still "no worse", in units of each metric.

    Raises:
        UserError: the artifact's model does not read whole texts, cannot be written as a graph, or something lies at
            `output`.
    """
    record = open_record(cfg, "export", choices)
    with recording(record):
        source = Path(cfg.artifact)
        goal = place_for(source, output, overwrite, record)
        opened = bundle.open_artifact(source, own_kinds(cfg))
        said = save_onnx(goal, opened, quantize_onnx if format == "onnx_int8" else None)
        record.update(export={"format": format, **said})
        hold_against(cfg, record, source, goal, split, margin)
