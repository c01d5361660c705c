"""Saves an artifact whose network is an ONNX file, from one whose network is not."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from noria.artifact.bundle import ADAPTER, BACKEND, ONNX, SOURCE, Artifact, write_facts
from noria.common.errors import UserError
from noria.common.names import ONNX_FILE
from noria.common.swap import replace_folder
from noria.compression.onnx import quantize_onnx, write_onnx

WEIGHTS = ("*.safetensors", "*.safetensors.index.json", ADAPTER)  # what does not come along


def save_onnx(folder: Path, artifact: Artifact, eight_bits: bool) -> dict[str, Any]:
    """Writes the folder beside its place and moves it there whole. What stands beside the network comes along.

    Returns:
        `bytes` and `bytes_before` of the networks, and the `largest_difference` of the graph in fp32.

    Raises:
        UserError: the artifact's network reads no whole texts or is an ONNX file already, or as `write_onnx`.
    """
    if artifact.facts.get(BACKEND) == ONNX:
        raise UserError(f"artifact={artifact.folder} is an ONNX file already: export the one it was made from.")
    if not artifact.kind.packed:
        raise UserError(
            f"artifact={artifact.folder}: what can be exported reads whole texts: classification, tags, answers to "
            "questions, vectors. This one does not."
        )
    for half in folder.parent.glob(f".{folder.name}.*"):  # a kill has left it
        shutil.rmtree(half, ignore_errors=True)
    building = folder.with_name(f".{folder.name}.{os.getpid()}")
    try:
        shutil.copytree(artifact.folder, building, ignore=shutil.ignore_patterns(*WEIGHTS))
        plain = building / ONNX_FILE
        apart = write_onnx(artifact.network, artifact.tokenizer.model_input_names, plain)
        if eight_bits:
            whole = plain.rename(building / f"fp32-{ONNX_FILE}")
            quantize_onnx(whole, plain)
            whole.unlink()
        write_facts(building, {**artifact.facts, BACKEND: ONNX, SOURCE: str(artifact.folder.resolve())})
        folder.parent.mkdir(parents=True, exist_ok=True)
        before = sum(path.stat().st_size for path in artifact.folder.glob("*.safetensors"))
        said = {"bytes": plain.stat().st_size, "bytes_before": before, "largest_difference": apart}
        replace_folder(building, folder)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return said
