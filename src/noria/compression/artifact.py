"""Saves what was made of an artifact: with a changed network, or with an ONNX file in its place."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from noria.artifact import bundle
from noria.artifact.bundle import ADAPTER, BACKEND, ONNX, SOURCE, Artifact, write_facts
from noria.common.errors import UserError
from noria.common.names import ONNX_FILE
from noria.common.swap import replace_folder
from noria.compression.onnx import write_onnx

WEIGHTS = ("*.safetensors", "*.safetensors.index.json", ADAPTER)  # what does not come along


def save_changed(folder: Path, artifact: Artifact, dtype: str | None = None) -> None:
    """Writes the artifact, whose network is another by now, to a folder of its own, in one move.

    Args:
        dtype: of the weights in the folder; None: as they were.
    """
    old = ("format", "kind", "settings", "gate", "metrics")  # said anew of the new one, or not true of it
    facts = {name: value for name, value in artifact.facts.items() if name not in old}
    made = {**facts, "dtype": dtype or facts.get("dtype", "float32"), SOURCE: str(artifact.folder.resolve())}
    folder.parent.mkdir(parents=True, exist_ok=True)
    bundle.save(folder, artifact.network, artifact.tokenizer, artifact.kind, made)


def network_bytes(folder: Path) -> int:
    """The size of an artifact's weights."""
    return sum(path.stat().st_size for pattern in ("*.safetensors", ONNX_FILE) for path in folder.glob(pattern))


def save_onnx(folder: Path, artifact: Artifact, quantize: Callable[[Path, Path], None] | None = None) -> dict[str, Any]:
    """Writes the folder beside its place and moves it there whole. What stands beside the network comes along.

    Args:
        quantize: makes of the graph in fp32 at one path another at a second one; None: it stays.

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
        if quantize is not None:
            whole = plain.rename(building / f"fp32-{ONNX_FILE}")
            quantize(whole, plain)
            whole.unlink()
        kept = {name: value for name, value in artifact.facts.items() if name != "gate"}
        write_facts(building, {**kept, BACKEND: ONNX, SOURCE: str(artifact.folder.resolve())})
        folder.parent.mkdir(parents=True, exist_ok=True)
        said = {"bytes": network_bytes(building), "bytes_before": network_bytes(artifact.folder)}
        replace_folder(building, folder)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return {**said, "largest_difference": apart}
