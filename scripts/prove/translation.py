"""Proof: the experiment that translates Multi30k, a Transformer from scratch, measured as in the literature.

test_2016_flickr in lower case and tokenised has at least 40 BLEU (Wu et al. 2021: 41.0) after an hour at most.

Takes a folder with train, val and test_2016_flickr, each an .en and a .de file: the first argument, else
$NORIA_TEST_DATA/multi30k, else shared/data/multi30k beside the checkout. The run stays in --folder: started again with
the same, an unfinished one is resumed and a finished one is only measured. About 35 minutes on 2 cores.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
BAR, HOUR = 40.0, 3600


def main() -> int:
    shared = Path(os.environ.get("NORIA_TEST_DATA") or ROOT.parent / "shared" / "data")
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path, nargs="?", default=shared / "multi30k")
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "translation")
    asked = parser.parse_args()
    if not (asked.data / "train.en").is_file():
        print(f"skipped: there is no Multi30k in {asked.data} (give its folder as the first argument)")
        return 0
    run = asked.folder.resolve() / "run"
    record = fitted(run, asked.data.resolve())
    seconds = record["timings"]["fit_seconds"]
    value, low, high = literature(run)
    cased = record["metrics"]["test/bleu"]
    print(
        f"BLEU {value:.1f} [{low:.1f}, {high:.1f}] in lower case and tokenised; cased and detokenised "
        f"{cased['value']:.1f} [{cased['low']:.1f}, {cased['high']:.1f}] ({cased['signature']}); trained for "
        f"{seconds / 60:.0f} min, {record['kept']['steps']:,} updates"
    )
    if value < BAR or seconds > HOUR:
        print(f"failed: below {BAR:g}, or longer than an hour")
        return 1
    return 0


def fitted(run: Path, data: Path) -> dict[str, Any]:
    """The record of a run, which is begun, gone on with, or done."""
    path = run / "record.json"
    status = json.loads(path.read_text())["status"] if path.is_file() else None
    command = [sys.executable, str(ROOT / "scripts" / "run.py")]
    if status != "done":
        if (run / "checkpoints/last.ckpt").is_file():
            command += [f"resume={run}"]
        else:
            command += [
                "experiment=translate_multi30k",
                "logger=csv",
                f"paths.run_dir={run}",
                f"paths.runs={run.parent}",
            ]
            command += [
                f"data.path={data}/train",
                f"data.val_path={data}/val",
                f"data.test_path={data}/test_2016_flickr",
            ]
        subprocess.run(command, check=True)
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def literature(run: Path) -> tuple[float, float, float]:
    """BLEU of the test set as papers on Multi30k have it, with its interval: both sides by Moses' tokenizer, in lower
    case, and no tokenising after that."""
    import pyarrow.parquet as pq
    from sacremoses import MosesPunctNormalizer, MosesTokenizer

    from noria.metric.answers import Answers, objects
    from noria.metric.bleu import Bleu

    normal, cut = MosesPunctNormalizer("de"), MosesTokenizer("de")

    def tokens(text: str) -> str:
        return cut.tokenize(normal.normalize(text).lower(), return_str=True, escape=False)

    rows = [row for row in pq.read_table(run / "predictions.parquet").to_pylist() if row["split"] == "test"]
    answers = Answers(
        {
            "response": objects([tokens(row["response"]) for row in rows]),
            "reference": objects([[tokens(text) for text in row["reference"]] for row in rows]),
        }
    )
    found = Bleu(tokenize="none").estimate(answers)
    return found.value, found.low, found.high


if __name__ == "__main__":
    sys.exit(main())
