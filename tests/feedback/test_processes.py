"""Several processes share a store, and one that is killed takes nothing with it that it had acknowledged."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from noria.feedback.store import Prediction, Store

Make = Callable[..., Prediction]

# Waits for the others, so that all open the store at the same moment.
WRITER = """
import sys, time, uuid
from datetime import UTC, datetime
from pathlib import Path
from noria.feedback.store import Prediction, Store
url, name, count, go = sys.argv[1:5]
print("ready", flush=True)
while not Path(go).exists():
    time.sleep(0.005)
store = Store(url)
for number in range(int(count)):
    key = uuid.uuid4().hex
    request, answer = {"text": f"text {number}"}, {"label": "a", "probabilities": {"a": 1.0}}
    store.add_predictions([Prediction(key, "1", "a.form", request, answer, 1.0, name, datetime.now(UTC))])
    store.add_feedback(key, name, correct=True)
    print(key, flush=True)
"""


def start(url: str, name: str, count: int, go: Path) -> subprocess.Popen[str]:
    words = [sys.executable, "-c", WRITER, url, name, str(count), str(go)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, text=True)


def read(process: subprocess.Popen[str]) -> list[str]:
    assert process.stdout
    return process.stdout.read().split()


def test_four_processes_make_the_store_and_lose_nothing(url: str, tmp_path: Path) -> None:
    go = tmp_path / "go"
    processes = [start(url, f"writer {number}", 100, go) for number in range(4)]
    for process in processes:
        assert process.stdout and process.stdout.readline() == "ready\n"
    go.touch()
    keys = [key for process in processes for key in read(process)]
    assert [process.wait(timeout=60) for process in processes] == [0] * 4
    store = Store(url)
    assert store.counts() == {"predictions": 400, "feedback": 400, "preferences": 0}
    assert {said.prediction.id for said in store.corrections()} == set(keys)
    store.close()


def test_a_killed_writer_loses_nothing_that_it_acknowledged(tmp_path: Path, prediction: Make) -> None:
    url, go = f"sqlite:///{tmp_path}/feedback.db", tmp_path / "go"
    go.touch()
    acknowledged: set[str] = set()
    for kill in range(3):
        process = start(url, f"writer {kill}", 1_000_000, go)
        assert process.stdout and process.stdout.readline() == "ready\n"
        acknowledged.add(process.stdout.readline().strip())
        time.sleep(0.1 + 0.07 * kill)
        os.kill(process.pid, signal.SIGKILL)
        acknowledged |= {line for line in read(process) if len(line) == 32}
        process.wait()
    store = Store(url)
    assert acknowledged <= {said.prediction.id for said in store.corrections()} and len(acknowledged) > 3
    store.add_predictions([prediction()])
    store.close()
