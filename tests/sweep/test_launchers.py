"""Every launcher that can run here leaves the same sweep: what one has done, no other does again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
OTHERS = {
    "basic": [],
    "joblib": ["hydra.launcher.n_jobs=2"],
    "submitit_local": ["hydra.launcher.timeout_min=5", "hydra.launcher.cpus_per_task=1"],
}


def records(folder: Path) -> dict[str, int]:
    """When each record of a sweep was last written."""
    return {path.parent.name: path.stat().st_mtime_ns for path in folder.glob("runs/default/one/*/record.json")}


@pytest.mark.parametrize("launcher", OTHERS)
def test_another_launcher_leaves_what_local_leaves(noria, tiny, tmp_path, launcher):
    words = [*tiny, "seed=1,2", "sweep=one", "-m"]
    assert noria(*words, f"hydra/launcher={launcher}", *OTHERS[launcher]) == 0
    first = records(tmp_path)
    found = [json.loads((tmp_path / "runs/default/one" / name / "record.json").read_text()) for name in first]
    assert sorted(record["seed"] for record in found) == [1, 2]
    assert [record["status"] for record in found] == ["done", "done"]
    assert not any(record["config"]["stage"]["test"] for record in found), "nor do they when resumed by themselves"
    assert len({record["wandb"]["id"] for record in found}) == 2
    assert noria(*words) == 0  # `local`, which finds both and runs neither
    assert records(tmp_path) == first
    assert noria(*words, f"hydra/launcher={launcher}", *OTHERS[launcher]) == 0
    assert records(tmp_path) == first


SLOW = """
import time
from lightning.pytorch.callbacks import Callback

class Slow(Callback):
    def on_train_batch_start(self, *_):
        time.sleep(0.3)
"""


def test_ctrl_c_stops_a_sweep_and_the_same_command_goes_on(tiny, tmp_path):
    """As a terminal does it: the signal reaches the whole group."""
    (tmp_path / "slow.py").write_text(SLOW)
    words = [*tiny, "data.batch_size=8", "callback.checkpoint.every_n_steps=1", "+callback.slow._target_=slow.Slow"]
    words += ["seed=1,2,3", "sweep=one", "hydra.launcher.n_jobs=2", "-m"]
    command = [sys.executable, str(ROOT / "scripts/run.py"), *words]
    options = {"cwd": tmp_path, "env": {**os.environ, "PYTHONPATH": str(tmp_path)}, "text": True}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen(
        command, **options, **pipes, start_new_session=True,  # a shell in the background has its children ignore Ctrl-C
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    until = time.monotonic() + 120
    while not list(tmp_path.glob("runs/default/one/*/checkpoints/last.ckpt")) and time.monotonic() < until:
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130, out + err
    assert "The same command again runs what is missing" in " ".join(err.split()) and "Traceback" not in out + err
    states = [json.loads(path.read_text())["status"] for path in tmp_path.glob("runs/default/one/*/record.json")]
    assert states and "failed" not in states and "running" not in states, states
    done = subprocess.run(command, **options, capture_output=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    found = [json.loads(path.read_text()) for path in tmp_path.glob("runs/default/one/*/record.json")]
    assert len(found) == 3 and {record["status"] for record in found} == {"done"}
    assert any(record["resumed"] for record in found)


def test_notices_to_all_processes_of_a_sweep_leave_a_checkpoint_in_each_trial(tiny, tmp_path):
    """As `timeout` and service managers send them: to the whole group, more than once, one of each kind.

    With data workers, which the signals reach too, and under a TMPDIR that is too long for their sockets.
    """
    long = tmp_path / ("long" * 25)
    long.mkdir()
    (tmp_path / "slow.py").write_text(SLOW)
    words = [*tiny, "data.batch_size=4", "trainer.log_every_n_steps=1", "+callback.slow._target_=slow.Slow"]
    words += ["+data.num_workers=1", "seed=1,2,3", "sweep=one", "hydra.launcher.n_jobs=2", "-m"]
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "scripts/run.py"), *words], cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path), "TMPDIR": str(long)}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip
    until = time.monotonic() + 120
    while len(list(tmp_path.glob("runs/default/one/*/metrics.csv"))) < 2 and time.monotonic() < until:
        time.sleep(0.05)
    for notice in (signal.SIGTERM, signal.SIGTERM, signal.SIGHUP):
        os.killpg(process.pid, notice)
        time.sleep(0.1)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 143, said
    assert "The same command again runs what is missing" in " ".join(said.split()) and "Traceback" not in said
    runs = list(tmp_path.glob("runs/default/one/*/record.json"))
    assert [json.loads(path.read_text())["status"] for path in runs] == ["terminated"] * 2, said
    assert all((path.parent / "checkpoints/last.ckpt").is_file() for path in runs), said


EDITED = """
from pathlib import Path
from lightning.pytorch.callbacks import Callback
from helper import SIZE

class Edited(Callback):
    def on_train_end(self, *_):
        Path(f"used_{SIZE}").touch()
        Path("helper.py").write_text("SIZE = 22\\n")
"""


def test_a_component_that_is_edited_while_its_sweep_runs_is_not_taken_for_the_old_one(
    noria, tiny, tmp_path, monkeypatch
):
    (tmp_path / "edited.py").write_text(EDITED)
    (tmp_path / "helper.py").write_text("SIZE = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    words = [*tiny, "+callback.edited._target_=edited.Edited", "trainer.log_every_n_steps=1,2", "sweep=one", "-m"]

    def run() -> dict[int, list[str]]:
        assert noria(*words, "hydra.launcher.n_jobs=1") == 0
        found: dict[int, list[str]] = {}
        for key in records(tmp_path):
            config = json.loads((tmp_path / f"runs/default/one/{key}/record.json").read_text())["config"]
            found.setdefault(config["trainer"]["log_every_n_steps"], []).append(key)
        return found

    first = run()
    assert (tmp_path / "used_1").exists() and (tmp_path / "used_22").exists()
    again = run()
    # What the old one computed is computed anew, what the new one has computed is not.
    assert len(again[1]) == 2 and set(first[1]) < set(again[1]) and again[2] == first[2]


def test_a_process_that_holds_the_old_component_refuses_the_trial(noria, tiny, tmp_path, monkeypatch, capsys):
    (tmp_path / "edited.py").write_text(EDITED)
    (tmp_path / "helper.py").write_text("SIZE = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    words = [*tiny, "+callback.edited._target_=edited.Edited", "seed=1,2", "sweep=one", "-m", "hydra/launcher=basic"]
    assert noria(*words) == 1
    assert "helper.py has been edited since this trial was asked for" in " ".join(capsys.readouterr().err.split())
    assert len(records(tmp_path)) == 1 and not (tmp_path / "used_22").exists()
    for name in ("edited", "helper"):
        del sys.modules[name]


def test_values_that_are_varied_on_purpose_are_trials_of_their_own(noria, tiny, tmp_path):
    words = [*tiny, "trainer.log_every_n_steps=1,2", "sweep=one", "-m", "hydra/launcher=basic"]
    assert noria(*words) == 0
    first = records(tmp_path)
    assert len(first) == 2
    assert noria(*words, "tags=[again]") == 0 and records(tmp_path) == first


UNRULY = '''
import os, signal
from pathlib import Path
from lightning.pytorch.callbacks import Callback

class Unruly(Callback):
    """Dies or raises in the first of its times."""

    def __init__(self, way, times):
        self.way, self.times = way, times

    def on_train_batch_start(self, trainer, *_):
        told = Path("told")
        count = len(told.read_text()) if told.exists() else 0
        if count < self.times:
            told.write_text("." * (count + 1))
            if self.way == "raise":
                raise ValueError("as it was told")
            os.kill(os.getpid(), signal.SIGKILL)
'''


def unruly(tiny: list[str], folder: Path, way: str, times: int, *words: str) -> subprocess.CompletedProcess[str]:
    (folder / "unruly.py").write_text(UNRULY)
    callback = f"+callback.unruly={{_target_:unruly.Unruly,way:{way},times:{times}}}"
    command = [sys.executable, ROOT / "scripts/run.py", *tiny, callback, "seed=1,2,3", "sweep=one", "-m", *words]
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    command = [str(word) for word in [*command, "hydra.launcher.n_jobs=1"]]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)


def states(folder: Path) -> list[str]:
    found = json.loads((folder / "runs/default/one/sweep.json").read_text())
    return [trial["status"] for trial in found["trials"]]


def test_a_trial_that_a_signal_killed_is_started_again(tiny, tmp_path):
    done = unruly(tiny, tmp_path, "kill", 2, "hydra.launcher.retries=2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert states(tmp_path) == ["done"] * 3
    assert done.stdout.count("it is started again") == 2


def test_the_retries_come_to_an_end(tiny, tmp_path):
    # Each of the three is killed once, and the first of them, whose turn comes again after the others, once more.
    done = unruly(tiny, tmp_path, "kill", 4, "hydra.launcher.retries=1")
    assert done.returncode == 1 and states(tmp_path) == ["killed", "done", "done"]
    assert "killed by SIGKILL" in " ".join(done.stdout.split())


def test_the_first_failure_ends_a_sweep_that_is_to_fail_fast(tiny, tmp_path):
    done = unruly(tiny, tmp_path, "raise", 1, "hydra.launcher.fail_fast=true")
    assert done.returncode == 1 and states(tmp_path) == ["failed"]
    assert "2 not started" in " ".join(done.stdout.split()) and "3 of 3 trials are not done" in done.stderr
    again = unruly(tiny, tmp_path, "raise", 1, "hydra.launcher.fail_fast=true")
    assert again.returncode == 0 and states(tmp_path) == ["done"] * 3
