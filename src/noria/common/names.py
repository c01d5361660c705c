"""The names by which several rooms find the files that a run, an artifact and a registry leave."""

from __future__ import annotations

from pathlib import Path

LAST = "last.ckpt"
LAST_CHECKPOINT = Path("checkpoints") / LAST  # in a run folder: what a run is resumed from
ARTIFACT_FILE = "noria.yaml"  # in an artifact's folder: what is said of it
ONNX_FILE = "model.onnx"  # in the folder of an exported artifact: its network
CHAMPION = "champion"  # in a registry: the link to the version that is served
