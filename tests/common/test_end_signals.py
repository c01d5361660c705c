"""What a process does when it is told to end, alone or by the loss of its terminal."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from noria.common.end_signals import END_SIGNALS, children_without_signals, handle_end_signals, restore_signals
from noria.common.errors import Terminated


@pytest.fixture(autouse=True)
def nobody():
    """The notices as they are without any handler."""
    before = {notice: signal.signal(notice, signal.SIG_DFL) for notice in END_SIGNALS}
    yield
    assert {notice: signal.getsignal(notice) for notice in END_SIGNALS} == dict.fromkeys(END_SIGNALS, signal.SIG_DFL)
    for notice, handler in before.items():
        signal.signal(notice, handler)


@pytest.mark.parametrize(("notice", "status"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_the_first_notice_ends_and_those_after_it_do_not_break_the_ending(notice, status):
    before = handle_end_signals()
    try:
        with pytest.raises(Terminated) as told:
            signal.raise_signal(notice)
        assert told.value.status == status
        for again in END_SIGNALS:
            signal.raise_signal(again)
    finally:
        restore_signals(before)


def test_nohup_stays_nohup():
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    before = handle_end_signals()
    assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    restore_signals(before)


def test_a_process_that_is_started_deaf_hears_nothing():
    with children_without_signals():
        process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    for number in (signal.SIGINT, *END_SIGNALS):
        process.send_signal(number)
    process.communicate(b"\n", timeout=60)
    assert process.returncode == 0


TALK = """
import sys, time
from pathlib import Path
from noria.common.errors import Terminated
from noria.common.end_signals import handle_end_signals

handle_end_signals()
try:
    Path("begun").touch()
    time.sleep(60)
except Terminated as told:
    for stream in (sys.stdout, sys.stderr):
        print("what nobody reads", file=stream, flush=True)
    Path("ended").touch()
    sys.exit(told.status)
"""


def test_a_terminal_that_is_gone_is_not_written_to(tmp_path):
    (tmp_path / "talk.py").write_text(TALK)
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(tmp_path)
        os.execv(sys.executable, [sys.executable, "talk.py"])
    wait_for(tmp_path / "begun")
    os.close(terminal)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 129 and (tmp_path / "ended").exists()


def wait_for(path: Path) -> None:
    until = time.monotonic() + 60
    while not path.exists() and time.monotonic() < until:
        time.sleep(0.01)
