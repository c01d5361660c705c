"""How much memory artifacts take while they answer, each in a process of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch

from noria.artifact.bundle import open_artifact
from noria.common.process import peak_memory
from noria.data.batch.encoded import Encoded
from noria.inference.runner import Runner


def peaks(
    folders: Mapping[str, Path], kinds: Sequence[str], precision: str, device: torch.device, encoded: Encoded,
    rows: np.ndarray, batch_size: int,
) -> dict[str, int]:  # fmt: skip
    """Bytes that a process held at most that opened an artifact and answered some examples with it, by name.

    Python and the libraries count, and nothing on a GPU does.

    Args:
        kinds: dotted paths of kinds of work that an artifact may be of, besides Noria's.
        rows: which of the examples.
    """
    threads = torch.get_num_threads()
    with ProcessPoolExecutor(len(folders), get_context("spawn")) as pool:  # a fork would begin with this one's memory
        asked = {
            name: pool.submit(_answering, folder, kinds, precision, device, encoded, rows, batch_size, threads)
            for name, folder in folders.items()
        }
        return {name: one.result() for name, one in asked.items()}


def _answering(
    folder: Path, kinds: Sequence[str], precision: str, device: torch.device, encoded: Encoded, rows: np.ndarray,
    batch_size: int, threads: int,
) -> int:  # fmt: skip
    torch.set_num_threads(threads)
    Runner(open_artifact(folder, kinds), precision, device).outputs(encoded, batch_size, index=rows)
    return peak_memory()
