"""`stage=export`: an artifact in a format that other programs run."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from omegaconf import DictConfig

from noria.artifact import bundle
from noria.common.console import get_console
from noria.common.errors import UserError
from noria.common.names import ARTIFACT_FILE
from noria.compression.artifact import save_onnx
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
) -> None:
    """Writes the artifact's network as an ONNX file, with all that stands beside it: an artifact like any other, that
    `stage=evaluate`, `predict` and `serve` run by ONNX Runtime.

    Args:
        format: `onnx` gives the same numbers; `onnx_int8` has weights and activations in 8 bits, which is smaller and
            quicker, and rounds.
        output: where it goes; None: into the run's folder.
        overwrite: an artifact that lies at `output` gives way; False refuses that.

    Raises:
        UserError: the artifact's model does not read whole texts, cannot be written as a graph, or something lies at
            `output`.
    """
    record = open_record(cfg, "export", choices)
    with recording(record):
        source = Path(cfg.artifact)
        goal = Path(output) if output else record.folder / "artifact"
        if goal.resolve() == source.resolve():
            raise UserError(f"stage.output={goal} is the artifact itself, which would be lost: name another folder.")
        if goal.exists() and not (overwrite and (goal / ARTIFACT_FILE).is_file()):
            raise UserError(
                f"stage.output={goal} is there already: name another folder, or type stage.overwrite=true to write an "
                "artifact anew."
            )
        opened = bundle.open_artifact(source, own_kinds(cfg))
        said = save_onnx(goal, opened, eight_bits=format == "onnx_int8")
        record.data["paths"]["artifact"] = str(goal)
        record.update(export={"format": format, **said})
        console = get_console()
        size, before = said["bytes"] / 1e6, said["bytes_before"] / 1e6
        console.print(f"artifact: {goal}: {size:.1f} MB, {size / before:.2f} of {source}", highlight=False)
        console.print(f"next:     noria stage=evaluate artifact={goal}", highlight=False, markup=False)
