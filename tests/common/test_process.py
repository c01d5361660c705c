"""Where multiprocessing keeps its sockets."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from noria.common import process
from noria.common.errors import UserError

USE = """
import multiprocessing
from multiprocessing import util
from multiprocessing.connection import Client, Listener
from noria.common.process import keep_sockets_short

def answer(address):
    with Client(address) as connection:
        connection.send(util.get_temp_dir())

if __name__ == "__main__":
    keep_sockets_short()
    with Listener(family="AF_UNIX") as listener:
        context = multiprocessing.get_context("forkserver")
        other = context.Process(target=answer, args=(listener.address,))
        other.start()
        with listener.accept() as connection:
            assert connection.recv() == util.get_temp_dir()
        other.join()
    print(util.get_temp_dir())
"""


@pytest.fixture
def long(tmp_path: Path) -> Path:
    folder = tmp_path / ("long" * 25)
    folder.mkdir()
    return folder


def test_processes_find_each_other_where_tmpdir_is_long(long, tmp_path):
    (tmp_path / "use.py").write_text(USE)
    done = subprocess.run(
        [sys.executable, "use.py"], cwd=tmp_path, env={"TMPDIR": str(long)}, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    used = Path(done.stdout.strip())
    assert len(str(used)) < 40 and not used.exists()  # removed at the end
    assert not list(long.iterdir())


def test_where_no_short_folder_can_be_written_to_it_is_said(long, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    monkeypatch.setattr(process, "SHORT", ("/nowhere",))
    with pytest.raises(UserError, match=r"TMPDIR=.* is too long.*none of /nowhere can be written to"):
        process.keep_sockets_short()


def test_a_short_tmpdir_is_left_alone(monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", "/some/where")
    monkeypatch.setattr(process, "SHORT", ("/nowhere",))
    process.keep_sockets_short()


def test_the_peak_counts_what_has_been_freed():
    code = "from noria.common.process import peak_memory; a = peak_memory(); x = b'1' * 200_000_000; del x; "
    done = subprocess.run(
        [sys.executable, "-c", code + "print(peak_memory() - a)"], capture_output=True, text=True, check=True
    )
    assert 150e6 < int(done.stdout) < 250e6
