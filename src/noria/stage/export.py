"""`stage=export`: an artifact in a format that other programs run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Ge
from omegaconf import DictConfig

from noria.artifact import bundle
from noria.common.console import get_console
from noria.common.errors import UserError
from noria.common.names import ARTIFACT_FILE
from noria.compression.artifact import save_onnx
from noria.compression.gate import AFTER, BEFORE
from noria.report.gate import show
from noria.stage.gate import measured
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
        if split is not None:
            unproven = {"against": ["it has not been measured to the end"], "split": split, "margin": margin}
            bundle.write_facts(goal, {**bundle.read_facts(goal), "gate": unproven})
            found = measured(cfg, source, goal, split, margin)
            record.update(gate=found)
            bundle.write_facts(goal, {**bundle.read_facts(goal), "gate": {**unproven, "against": found["against"]}})
            show(found, {BEFORE: said["bytes_before"], AFTER: said["bytes"]})
        console.print(f"artifact: {goal}", highlight=False, markup=False)
        console.print(f"next:     noria stage=evaluate artifact={goal}", highlight=False, markup=False)
