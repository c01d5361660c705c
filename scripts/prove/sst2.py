"""Proof: MiniLM, one epoch of SST-2, accuracy on the official dev set (the transformers Trainer: 0.912 ± 0.019).

Takes a folder with GLUE's train.tsv and dev.tsv: the first argument, else $NORIA_TEST_DATA/glue_sst2, else
shared/data/glue_sst2 beside the checkout. About fifteen minutes on 2 cores; a second argument limits the rows.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BAR = 0.90  # what the upper end of the interval must reach


def main() -> int:
    given = sys.argv[1:]
    shared = Path(os.environ.get("NORIA_TEST_DATA") or ROOT.parent / "shared" / "data")
    data = Path(given[0]) if given else shared / "glue_sst2"
    if not (data / "train.tsv").is_file():
        print(f"skipped: there is no SST-2 in {data} (give GLUE's folder as the first argument)")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        command = [
            *(sys.executable, str(ROOT / "scripts" / "run.py"), "experiment=sst2_bert", "model=minilm"),
            *("optimizer=adamw", "optimizer.lr=5e-5", "trainer.max_epochs=1", "logger=csv"),
            *(f"data.path={data.resolve()}", f"paths.run_dir={folder}/run", f"paths.runs={folder}"),
            *([f"data.limit={given[1]}"] if len(given) > 1 else []),
        ]
        subprocess.run(command, check=True)
        record = json.loads((Path(folder) / "run" / "record.json").read_text())
    accuracy = record["metrics"]["val/accuracy"]
    print(
        f"SST-2 dev accuracy {accuracy['value']:.4f} [{accuracy['low']:.4f}, {accuracy['high']:.4f}], n {accuracy['n']}"
    )
    if accuracy["high"] < BAR:
        print(f"failed: the interval ends below {BAR}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
