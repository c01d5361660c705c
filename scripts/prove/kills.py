"""Proof: a run that is killed at any moment and resumed ends as one that never was, bit for bit.

Kill points are drawn at random, for each task 5 on one device, 3 under two ranks of DDP and 1 of FSDP, by SIGKILL,
SIGTERM or Ctrl-C, with dropout, accumulation and validation in mid-epoch. Compared are weights, artifact, step
losses, epochs, metrics and predictions. About twelve minutes on 2 cores.
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from _fits import ENVIRONMENT, TASKS, command, differences, fit, left, prepare, rows

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
STATUS = {signal.SIGKILL: -signal.SIGKILL, signal.SIGTERM: 143, signal.SIGINT: 130}
WAYS = {
    "one": ["data.batch_size=4"],
    "ddp": ["data.batch_size=2", "strategy=ddp", "trainer.devices=2"],
    "fsdp": ["data.batch_size=2", "strategy=fsdp", "trainer.devices=2"],
}
KILLS = {"one": 5, "ddp": 3, "fsdp": 1}
STEADY = [
    "trainer.max_epochs=3",
    "trainer.accumulate_grad_batches=2",
    "trainer.val_check_interval=0.5",
    "callback.checkpoint.every_n_steps=3",
    "optimizer.lr=1e-3",
]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=int(time.time()), help="draws the moments and the signals")
    parser.add_argument("--kills", type=int, help=f"of each task and way to run it; by default {KILLS}")
    parser.add_argument("--tasks", nargs="+", default=TASKS)
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=list(WAYS))
    asked = parser.parse_args()
    print(f"seed {asked.seed}")
    draw = random.Random(asked.seed)
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        words = prepare(Path(folder) / "parts", dropout=0.1)
        for task, way in itertools.product(asked.tasks, asked.ways):
            failed += prove(
                [*words[task], *STEADY, *WAYS[way]], Path(folder) / f"{task}-{way}", asked.kills or KILLS[way], draw
            )
    return 1 if failed else 0


def prove(words: list[str], whole: Path, kills: int, draw: random.Random) -> int:
    """How many of the killed and resumed runs differ from the one that was left alone."""
    started = time.monotonic()
    wanted = left(fit(words, whole))
    pause = (time.monotonic() - started) / len(rows(whole))
    failed = 0
    for number in range(kills):
        run = whole.with_name(f"{whole.name}-{number}")
        at, by = draw.randint(2, len(rows(whole)) - 1), draw.choice(SIGNALS)
        stood = interrupt(words, run, at, draw.random() * pause, by)
        unlike = differences(wanted, left(fit([*words, f"resume={run}"], run)))
        failed += bool(unlike)
        verdict = f"differs in {', '.join(unlike)}" if unlike else "the same, bit for bit"
        print(f"{whole.name}: {by.name} at {stood} of {len(rows(whole))} rows: {verdict}", flush=True)
    return failed


def interrupt(words: list[str], run: Path, at: int, wait: float, by: signal.Signals) -> str:
    """Starts a fit and ends it a moment after `metrics.csv` has so many rows; says how far it had come."""
    for _ in range(5):
        shutil.rmtree(run, ignore_errors=True)
        process = subprocess.Popen(
            command(words, run), cwd=run.parent, env=ENVIRONMENT, start_new_session=True, preexec_fn=heed,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        while process.poll() is None and len(rows(run)) < at:
            time.sleep(0.005)
        time.sleep(wait)
        there = len(rows(run))
        # a power cut takes all processes; a scheduler and a terminal tell all of them as well
        with suppress(ProcessLookupError):
            os.killpg(process.pid, by)
        status = process.wait(120)
        time.sleep(0.2)  # the other rank dies with it
        if status == 0:  # it was done before the signal came
            at -= 2
        elif not (run / "checkpoints/last.ckpt").is_file():  # nothing to go on from
            at += 2
        else:
            assert status == STATUS[by], f"{by.name}: exit status {status}"
            return str(there)
    raise RuntimeError("no kill between the first checkpoint and the end, in five starts")


def heed() -> None:
    """A shell that runs this in the background has its children ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


if __name__ == "__main__":
    sys.exit(main())
