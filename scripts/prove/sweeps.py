"""Proof: a sweep survives its trials, and its trials survive the sweep.

1. One trial raises, one is killed, one hangs past its time-out, one is DDP on two processes: all others finish, the
   table tells each story, and the same command again runs only the three.
2. The sweep itself is killed half-way: within 10 s nothing of it runs any more, and the same command again ends it,
   with no trial lost and none done twice.
3. Two shells with the same command share the trials.

    python scripts/prove/sweeps.py               # 24 trials: about ten minutes on 2 cores
    python scripts/prove/sweeps.py --trials 6    # a look
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from pathlib import Path
from typing import Any

import psutil
from _fits import ENVIRONMENT, ROOT, prepare

TIMEOUT = 60  # seconds for a trial; the two processes of DDP each import everything first
GONE = 10  # seconds in which all is gone after the sweep was killed
BAD = ("raise", "kill", "hang")
MARK = "NORIA_PROOF"  # in the environment of every process of a sweep

CALLBACK = '''
"""Misbehaves once, and writes down which trials were trained to their end."""
import os, signal, time
from pathlib import Path
from lightning.pytorch.callbacks import Callback

class Story(Callback):
    def __init__(self, name, folder, seconds):
        self.name, self.folder, self.seconds = name, Path(folder), seconds

    def on_train_batch_start(self, *_):
        time.sleep(self.seconds)
        told = self.folder / f"{self.name}.told"
        if self.name in ("raise", "kill", "hang") and not told.exists():
            told.touch()
            if self.name == "raise":
                raise ValueError("as it was told")
            if self.name == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(1000)

    def on_train_end(self, trainer, *_):
        if trainer.is_global_zero:
            with (self.folder / "ends.txt").open("a") as file:
                file.write(self.name + "\\n")
'''


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--parts", nargs="+", default=["faults", "killed", "shared"])
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        words = prepare(folder / "parts", dropout=0.1)["text_classification"]
        for part in asked.parts:
            proof = Proof(folder / part, words, asked.trials)
            {"faults": faults, "killed": killed, "shared": shared}[part](proof)
    return 0


class Proof:
    """A sweep over stories: how each trial behaves is a config of its own."""

    def __init__(self, folder: Path, words: list[str], trials: int) -> None:
        self.folder = folder
        self.mark = uuid.uuid4().hex
        stories = folder / "conf/story"
        stories.mkdir(parents=True)
        (folder / "story.py").write_text(CALLBACK)
        self.words, self.trials, self._stories = words, trials, stories

    def command(self, special: tuple[str, ...], seconds: float) -> list[str]:
        names = [*special, *(f"plain{number}" for number in range(self.trials - len(special)))]
        for seed, name in enumerate(names):
            node = {"_target_": "story.Story", "name": name, "folder": str(self.folder), "seconds": seconds}
            config: dict[str, Any] = {"seed": seed, "callback": {"story": node}}
            if name == "ddp":
                config["trainer"] = {"devices": 2, "strategy": "ddp"}
            (self._stories / f"{name}.yaml").write_text("# @package _global_\n" + json.dumps(config))
        return [
            *(sys.executable, str(ROOT / "scripts/run.py"), "--config-dir", str(self.folder / "conf"), "-m"),
            *(*self.words, "trainer.max_epochs=1", "data.batch_size=8", "callback.checkpoint.every_n_steps=2"),
            *(f"+story={','.join(names)}", "sweep=proof", f"hydra.launcher.trial_timeout={TIMEOUT}"),
            "hydra.launcher.n_jobs=2",
        ]

    def start(self, command: list[str]) -> subprocess.Popen[str]:
        environment = {**ENVIRONMENT, "PYTHONPATH": str(self.folder), MARK: self.mark}
        pipe = subprocess.PIPE
        return subprocess.Popen(command, cwd=self.folder, env=environment, stdout=pipe, stderr=pipe, text=True)

    def run(self, command: list[str]) -> tuple[int, str]:
        process = self.start(command)
        said = "".join(process.communicate(timeout=1800))
        return process.returncode, " ".join(said.split())

    def ends(self) -> Counter[str]:
        """How often each trial was trained to its end."""
        path = self.folder / "ends.txt"
        return Counter(path.read_text().split()) if path.is_file() else Counter()

    def table(self) -> Counter[str]:
        """How many trials the sweep says are in each state."""
        (path,) = self.folder.glob("runs/default/proof/sweep.json")
        return Counter(trial["status"] for trial in json.loads(path.read_text())["trials"])

    def alive(self) -> list[int]:
        """All processes that belong to it."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get(MARK) == self.mark and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process.pid)
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
        return found


def faults(proof: Proof) -> None:
    command = proof.command((*BAD, "ddp"), 0.0)
    status, said = proof.run(command)
    finished = proof.trials - len(BAD)
    expect(status == 1, f"a sweep with failures ends with 1, not {status}: {said[-2000:]}")
    expect(proof.table() == {"done": finished, "failed": 1, "killed": 1, "timed out": 1}, f"{proof.table()}")
    for line in ("failed: ValueError: as it was told", "killed: killed by SIGKILL", f"not done after {TIMEOUT} s"):
        expect(line in said, f"the table does not tell {line!r}: {said[-2000:]}")
    ended = proof.ends()
    expect(sum(ended.values()) == finished and set(ended.values()) == {1}, f"{ended}")
    expect(not proof.alive(), "processes were left behind")
    status, said = proof.run(command)
    again = proof.ends() - ended
    expect(status == 0 and proof.table() == {"done": proof.trials}, f"{status} {proof.table()}: {said[-2000:]}")
    expect(again == dict.fromkeys(BAD, 1), f"the second command ran {again}")
    print(f"{proof.trials} trials, of which 1 raised, 1 was killed, 1 hung, 1 was DDP on 2 processes: {finished} done;")
    print(f"the same command again ran {', '.join(sorted(again))} and nothing else: {proof.trials} done")


def killed(proof: Proof) -> None:
    command = proof.command(("ddp",), 0.2)
    process = proof.start(command)
    half = proof.trials // 2
    waited = time.monotonic() + 900
    while sum(proof.ends().values()) < half and time.monotonic() < waited:
        time.sleep(0.05)
    time.sleep(1)  # the trials that run now are in the middle of it
    before = proof.ends()
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    started = time.monotonic()
    while proof.alive() and time.monotonic() < started + 3 * GONE:
        time.sleep(0.1)
    seconds = time.monotonic() - started
    expect(seconds <= GONE, f"after {seconds:.1f} s there were still {proof.alive()}")
    status, said = proof.run(command)
    expect(status == 0 and proof.table() == {"done": proof.trials}, f"{status} {proof.table()}: {said[-2000:]}")
    records = list(proof.folder.glob("runs/default/proof/*/record.json"))
    resumed = sum(bool(json.loads(path.read_text())["resumed"]) for path in records)
    ends = proof.ends()
    # A trial that was trained to its end and killed before it was written down is trained on from its checkpoint.
    expect(len(ends) == proof.trials and all(ends[name] == 1 for name in before), f"{ends}")
    print(f"killed after {sum(before.values())} of {proof.trials} trials: all gone after {seconds:.1f} s;")
    print(f"the same command again: {proof.trials} done, each once, {resumed} of them from a checkpoint")


def shared(proof: Proof) -> None:
    command = proof.command((), 0.2)
    both = [proof.start(command), proof.start(command)]
    said = [" ".join("".join(process.communicate(timeout=1800)).split()) for process in both]
    expect([process.returncode for process in both] == [0, 0], f"{said}")
    ends = proof.ends()
    expect(len(ends) == proof.trials and set(ends.values()) == {1}, f"{ends}")
    print(f"two shells with the same command: {proof.trials} trials done, each once")


def expect(holds: bool, story: str) -> None:
    if not holds:
        sys.exit(f"NOT PROVEN: {story}")


if __name__ == "__main__":
    sys.exit(main())
