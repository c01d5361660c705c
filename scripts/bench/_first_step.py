"""A callback that writes down when the first training step begins, and ends the process there. Knows nothing else."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from lightning.pytorch.callbacks import Callback


class FirstStep(Callback):
    """Args: path: the file that gets the time."""

    def __init__(self, *, path: str) -> None:
        self._path = Path(path)

    def on_train_batch_start(self, *_: Any) -> None:
        self._path.write_text(str(time.time()))
        os._exit(0)  # what comes after is not measured
