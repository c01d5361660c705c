"""Proof: a turn of the wheel that is killed at any moment leaves the registry whole, and the next one just runs.

`stage=cycle` learns from feedback in a real database and is killed with SIGKILL, ten times on one registry. Half of the
moments are drawn evenly over the turn, from its first file on; the others are around the few milliseconds in which it
writes the registry. Each time nothing runs any more, the champion is the old one or the new one and answers, every
version has the files that its run has left, bit for bit, the history reads, the way back leads to the champion before,
the lock is free, and `stage.action=status` names the champion. Once a new champion is left, users change their minds:
each turn has something to learn. Three minutes on 2 cores.

    python scripts/prove/turns.py --kills 2    # a look
"""

from __future__ import annotations

import argparse
import filecmp
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import torch
from _fits import ENVIRONMENT, ROOT, fit, prepare

from noria.artifact.bundle import open_artifact
from noria.common.errors import UserError
from noria.common.names import CHAMPION
from noria.feedback.store import Prediction, Store
from noria.registry.registry import FACTS, HISTORY, VERSIONS, Registry, Version

LABELS = ("bad", "good")
FORM = "noria.task.text_classification.form.TextClassificationForm"
ROWS = 240
STEPS = ("adding", "added", "promoted")  # of writing the registry, as it is seen from outside
LOOKS = {"status": "champion: {} of ", "history": " {} (champion) "}
WORDS = ["logger=csv", "trainer.accelerator=cpu", "trainer.max_epochs=8", "optimizer.lr=3e-3"]
WORDS += ["stage.force=true", "stage.margin=1", "stage.alpha=0.99", "stage.replay=60"]  # each turn promotes


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seed", type=int, default=int(time.time()), help="draws the moments")
    parser.add_argument("--kills", type=int, default=10)
    asked = parser.parse_args()
    print(f"seed {asked.seed}")
    draw, broken = random.Random(asked.seed), 0
    with tempfile.TemporaryDirectory() as folder:
        wheel = Wheel(Path(folder))
        lasts, writes = whole(wheel)
        print(f"a whole turn: {lasts:.1f} s from its first file on, of which it writes the registry {writes:.3f} s")
        print("\n| killed after | it had | champion | versions | whole |\n|---|---|---|---|---|")
        for number in range(asked.kills):
            step = STEPS[number // 2 % len(STEPS)] if number % 2 else None
            broken += kill(wheel, step, draw, lasts, writes)
        before = wheel.written()
        whole(wheel)
        broken += tell(wheel, wheel.champions[-2], before, "left alone", "history")
    return 1 if broken else 0


class Wheel:
    """A registry, the feedback that its turns learn from, and the champions that it was seen to have."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.first = fit(prepare(folder / "parts", dropout=0.0)["text_classification"], folder / "first") / "artifact"
        self.registry = Registry(folder / "registry")
        self.registry.promote(self.registry.add(self.first, {}), "the first")
        self.champions = ["0001"]
        self.run = folder  # of the latest turn
        self._url = f"sqlite:///{folder / 'feedback.db'}"
        self._hear()

    def turn(self) -> subprocess.Popen[bytes]:
        """Starts a turn in a process group of its own."""
        self.run = self.folder / f"turn-{time.monotonic_ns()}"
        words = [f"artifact={self.registry.folder / CHAMPION}", f"paths.run_dir={self.run}"]
        with self.run.with_suffix(".log").open("w") as log:
            return subprocess.Popen(
                [*self._command(), *words, *WORDS, f"stage.feedback='{self._url}'"],
                cwd=self.folder, env=ENVIRONMENT, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    def said(self) -> str:
        """What the latest turn said."""
        return self.run.with_suffix(".log").read_text()

    def look(self, action: str) -> str:
        """What `stage.action=…` says; ends the proof if it fails."""
        words = [*self._command(), f"stage.action={action}"]
        wide = {**ENVIRONMENT, "COLUMNS": "200"}
        done = subprocess.run(words, cwd=self.folder, env=wide, capture_output=True, text=True, timeout=120)
        if done.returncode:
            sys.exit(f"stage.action={action} ended with {done.returncode}: {done.stdout}{done.stderr}")
        return done.stdout

    def take_note(self) -> None:
        """Of a new champion, if there is one; what it has learnt is not so any more."""
        champion = self.registry.champion()
        assert champion is not None
        if champion.name != self.champions[-1]:
            self.champions.append(champion.name)
            self._hear()

    def written(self) -> dict[str, set[str]]:
        """What there is of each step of writing. Quick, to be asked again and again."""
        names = set(os.listdir(self.registry.folder / VERSIONS))
        coming = {name for name in names if name.startswith(".")}
        champion = Path(os.readlink(self.registry.folder / CHAMPION)).name
        return {"adding": coming, "added": names - coming, "promoted": {champion}}

    def reached(self, before: dict[str, set[str]]) -> str:
        """How far the latest turn had come."""
        record = json.loads((self.run / "record.json").read_text())
        new = {step: names - before[step] for step, names in self.written().items()}
        marks = {
            "begun": True,
            "looked for reasons": "reasons" in record,
            "begun to train": (self.run / "fit").exists(),
            "trained": (self.run / "fit/artifact").exists(),
            "begun to add a version": new["adding"],
            "added a version": new["added"],
            "promoted it": new["promoted"],
            "written the history": new["promoted"] & {line["champion"] for line in self.registry.history()},
            "ended": record["status"] == "done",
        }
        return [mark for mark, there in marks.items() if there][-1]

    def _hear(self) -> None:
        """Users' corrections of answers, all right, in place of those before, which said the contrary."""
        store = Store(self._url)
        store.retain(0)
        made, said = [], []
        for number in range(ROWS):
            right, wrong = LABELS if (number + len(self.champions)) % 2 else LABELS[::-1]
            text = f"{'zebra violin' if number % 2 else 'quartz pepper'} number {number}"
            request, answer = {"text": text}, {"label": wrong, "probabilities": {wrong: 0.6, right: 0.4}}
            key = uuid.uuid4().hex
            made.append(Prediction(key, "any", FORM, request, answer, 1.0, "shop", datetime.now(UTC)))
            said.append((made[-1].id, f"user-{number % 5}", right))
        store.add_predictions(made)
        for name, client, label in said:
            store.add_feedback(name, client, correct=False, correction=label)
        store.close()

    def _command(self) -> list[str]:
        return [sys.executable, str(ROOT / "scripts/run.py"), "stage=cycle", f"stage.registry={self.registry.folder}"]


def whole(wheel: Wheel) -> tuple[float, float]:
    """A turn that is left alone: how long it took from its first file on, and how long it wrote the registry."""
    before = wheel.written()
    process = wheel.turn()
    moments = [wait(wheel, process, before, step) for step in (None, "adding", "promoted")]
    status = process.wait()
    end = time.monotonic()
    wheel.take_note()
    if status or wheel.champions[-1] != max(wheel.written()["added"]):
        sys.exit(f"a turn that was left alone ended with {status}: {wheel.said()}")
    return end - moments[0], moments[2] - moments[1]


def wait(
    wheel: Wheel, process: subprocess.Popen[bytes], before: dict[str, set[str]], step: str | None, bit: float = 0
) -> float:
    """Until a turn has come to a step (None: to its first file) or has ended; the moment.

    Args:
        bit: what follows takes a fraction of a millisecond: let it go on for so many seconds, and look while it stands.
    """
    while process.poll() is None and not (wheel.run / "record.json").exists():
        time.sleep(0.002)
    if step is not None:
        while process.poll() is None and not (wheel.run / "fit/artifact").exists():
            time.sleep(0.002)
        steps = STEPS[STEPS.index(step) :]
        while process.poll() is None and not any(wheel.written()[each] - before[each] for each in steps):
            if bit:
                process.send_signal(signal.SIGCONT)
                time.sleep(bit)
                process.send_signal(signal.SIGSTOP)
    return time.monotonic()


def kill(wheel: Wheel, step: str | None, draw: random.Random, lasts: float, writes: float) -> bool:
    """Kills a turn, at that step or at any moment; whether something is broken then."""
    for _ in range(5):
        before, old = wheel.written(), wheel.champions[-1]
        process = wheel.turn()
        begun = wait(wheel, process, before, None)
        if step is not None:
            wait(wheel, process, before, step, bit=draw.uniform(0, 1e-4))
        if step in (None, "adding"):
            process.send_signal(signal.SIGCONT)
            time.sleep(draw.uniform(0, lasts if step is None else writes))
        process.send_signal(signal.SIGKILL)
        took = time.monotonic() - begun
        status = end(process)
        wheel.take_note()
        if status:  # otherwise it was faster
            break
    if status != -signal.SIGKILL:
        sys.exit(f"not killed, but ended with {status}: {wheel.said()}")
    return tell(wheel, old, before, f"{took:.3f} s")


def tell(wheel: Wheel, old: str, before: dict[str, set[str]], took: str, action: str = "status") -> bool:
    """The line of a turn in the table; whether something is broken after it."""
    found, count = faults(wheel, old, action), str(len(wheel.registry.versions()))
    cells = (took, wheel.reached(before), f"{old} → {wheel.champions[-1]}", count, "; ".join(found) or "yes")
    print(f"| {' | '.join(cells)} |", flush=True)
    return bool(found)


def end(process: subprocess.Popen[bytes]) -> int:
    """The exit status of a process, once its whole group is gone."""
    status = process.wait(60)
    with suppress(ProcessLookupError):  # raised once nobody is left in it
        for _ in range(500):
            os.killpg(process.pid, 0)
            time.sleep(0.02)
        sys.exit("processes are left")
    return status


def faults(wheel: Wheel, old: str, action: str) -> list[str]:
    """What is wrong with a registry whose champion was that one before the turn, also as `stage.action=…` shows it."""
    registry, champion, versions = wheel.registry, wheel.registry.champion(), wheel.registry.versions()
    assert champion is not None
    names, seen = [version.name for version in versions], iter(wheel.champions)
    holds = {
        "half a version": set(names) == wheel.written()["added"],
        "files differ": all(same(version, wheel) for version in versions),
        "another champion": champion.name in (old, names[-1]),
        "no answer": answers(champion.folder),
        "a wrong history": all(line["champion"] in seen for line in registry.history()),
        "a wrong way back": back(registry) == wheel.champions[-2],
        "a held lock": free(registry),
        f"a wrong {action}": LOOKS[action].format(champion.name) in wheel.look(action),
    }
    return [fault for fault, held in holds.items() if not held]


def same(version: Version, wheel: Wheel) -> bool:
    """Whether a version is, bit for bit, the artifact that it was made from."""
    run = version.facts.get("run")
    artifact = wheel.folder / run / "fit/artifact" if run else wheel.first
    names = {
        folder: {str(path.relative_to(folder)) for path in folder.rglob("*")} for folder in (artifact, version.folder)
    }
    match, _, _ = filecmp.cmpfiles(artifact, version.folder, names[artifact], shallow=False)
    return set(match) == names[artifact] == names[version.folder] - {FACTS}


def answers(folder: Path) -> bool:
    artifact = open_artifact(folder)
    logits = artifact.network(**artifact.tokenizer("zebra violin", return_tensors="pt")).logits
    return logits.shape == (1, len(LABELS)) and bool(torch.isfinite(logits).all())


def back(registry: Registry) -> str:
    """The champion that a rollback would take: of a copy of the names."""
    with tempfile.TemporaryDirectory() as name:
        copy = Path(name)
        (copy / VERSIONS).symlink_to(registry.folder / VERSIONS)
        shutil.copy(registry.folder / HISTORY, copy)
        shutil.copy(registry.folder / CHAMPION, copy, follow_symlinks=False)
        return Registry(copy).rollback("to see where it leads").name


def free(registry: Registry) -> bool:
    with suppress(UserError), registry.lock():
        return True
    return False


if __name__ == "__main__":
    sys.exit(main())
