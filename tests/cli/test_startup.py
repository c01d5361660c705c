"""What a fit does not wait for: at its first training step the libraries that it has no use for are not imported."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

RUN = Path(__file__).resolve().parents[2] / "scripts" / "run.py"
# matplotlib and scipy.stats are imported by torchmetrics, which Lightning imports; pandas by pyarrow.
HEAVY = {"wandb", "peft", "datasets", "sklearn", "tensorboard", "pydantic", "gguf", "IPython"}
PROBE = """
import gc, json, os, sys
from pathlib import Path
from lightning.pytorch.callbacks import Callback

class Probe(Callback):
    def __init__(self, *, path: str) -> None:
        self._path = path

    def on_train_batch_start(self, *_) -> None:
        found = {"modules": sorted(sys.modules), "frozen": gc.get_freeze_count(), "collects": gc.isenabled()}
        Path(self._path).write_text(json.dumps(found))
        os._exit(0)
"""


def test_a_fit_imports_what_it_uses(tiny: list[str], tmp_path: Path) -> None:
    (tmp_path / "probe.py").write_text(PROBE)
    words = [*tiny, "+callback.probe={_target_: probe.Probe, path: found.json}"]
    paths = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, RUN, *words], cwd=tmp_path, env={**os.environ, "PYTHONPATH": paths}, capture_output=True
    )
    assert done.returncode == 0, done.stderr.decode()
    found = json.loads((tmp_path / "found.json").read_text())
    assert {"torch", "lightning", "transformers"} <= set(found["modules"])
    assert not HEAVY & set(found["modules"])
    assert found["collects"] and found["frozen"] > 300_000, "the collector looks through all that was imported"
