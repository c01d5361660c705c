"""`stage=export`: an artifact in a format that other programs run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Ge
from omegaconf import DictConfig

from noria.artifact import bundle
from noria.common.console import get_console
from noria.common.errors import UserError
from noria.compression.artifact import save_onnx
from noria.compression.eight_bits import quantize_onnx
from noria.compression.gguf import write_gguf
from noria.stage.gate import hold_against, place_for
from noria.stage.parts import own_kinds
from noria.stage.run import open_record, recording
from noria.tracking.record import Record

GGUF: dict[str, Literal["f16", "q8_0"]] = {"gguf": "f16", "gguf_q8_0": "q8_0"}


def export(
    cfg: DictConfig,
    choices: dict[str, Any],
    multirun: bool,
    *,
    format: Literal["onnx", "onnx_int8", "gguf", "gguf_q8_0"] = "onnx",
    output: str | None = None,
    overwrite: bool = False,
    split: Literal["train", "val", "test"] | None = "val",
    margin: Annotated[float, Ge(0)] = 0.01,
) -> None:
    """Writes the artifact's network as an ONNX file, with all that stands beside it: an artifact like any other, that
    `stage=evaluate`, `predict` and `serve` run by ONNX Runtime. Both then answer the same rows and are timed in turn.

    What is not shown to be no worse, or is slower, is kept and marked: `stage=serve` refuses it unless it is told.

    Or writes a decoder as one GGUF file for llama.cpp, which is read back and asked the same; it is no artifact.

    Args:
        format: `onnx` gives the same numbers; `onnx_int8` has weights and activations in 8 bits, which is smaller and
            quicker, and rounds. `gguf` has weights in 16 bits, `gguf_q8_0` in 8.
        output: where it goes; None: into the run's folder.
        overwrite: an artifact that lies at `output` gives way; False refuses that.
        split: the rows that both answer, of the artifact's own data or of `data`; None: nothing is measured.
        margin: how much worse is still "no worse", in units of each metric.

    Raises:
        UserError: the artifact's model cannot be written in that format, or something lies at `output`.
    """
    record = open_record(cfg, "export", choices)
    with recording(record):
        source = Path(cfg.artifact)
        if format in GGUF:
            _write_gguf(
                cfg, source, Path(output) if output else record.folder / "model.gguf", overwrite, format, record
            )
            return
        goal = place_for(source, output, overwrite, record)
        opened = bundle.open_artifact(source, own_kinds(cfg))
        said = save_onnx(goal, opened, quantize_onnx if format == "onnx_int8" else None)
        record.update(export={"format": format, **said})
        hold_against(cfg, record, source, goal, split, margin)


def _write_gguf(cfg: DictConfig, source: Path, goal: Path, overwrite: bool, format: str, record: Record) -> None:
    if goal.exists() and not (overwrite and goal.is_file()):
        raise UserError(f"stage.output={goal} is there already: name another file, or type stage.overwrite=true.")
    apart = write_gguf(bundle.open_artifact(source, own_kinds(cfg)), goal, GGUF[format])
    record.data["paths"]["gguf"] = str(goal)
    record.update(export={"format": format, "bytes": goal.stat().st_size, "largest_difference": apart})
    console = get_console()
    for line in (f"file:     {goal}", f"next:     llama-cli -m {goal}"):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
