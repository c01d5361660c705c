"""A store that cannot be opened says why, in one sentence without the password."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from noria.common.errors import UserError
from noria.config.masking import masked_text
from noria.feedback import migrate
from noria.feedback.engine import is_open_to_others, parse, shown
from noria.feedback.store import Store


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("", "cannot be read"),
        ("hunter2", "cannot be read"),
        ("postgresql://user:hunter2@host:hunter2/database", "cannot be read"),
        ("postgresql://user:hun\0ter2@host/database", "characters that"),
        ("mysql://user:hunter2@host/database", "cannot be in 'mysql'"),
        ("postgresql+asyncpg://user:hunter2@host/database", "cannot be in 'postgresql.asyncpg'"),
        ("sqlite://", "must be a file"),
        ("sqlite:///:memory:", "must be a file"),
        ("sqlite:///file:hunter2?mode=memory&uri=true", "must be a file"),
        ("postgresql://user:hunter2@127.0.0.1:1/database", "cannot be opened: .*refused"),
        ("postgres://user@127.0.0.1:1/database?password=hunter2", "cannot be opened: .*refused"),
        ("postgresql://user:hunter2@nowhere.invalid/database", "cannot be opened"),
        ("postgresql://user:hunter2@127.0.0.1:1/database?hunter=hunter2", "cannot be opened"),
        ("sqlite:////dev/null/feedback.db", "cannot be made"),
        ("sqlite:////dev", "cannot be opened"),
    ],
)
def test_a_wrong_url(url: str, complaint: str) -> None:
    with pytest.raises(UserError, match=complaint) as caught:
        Store(url)
    assert "hunter2" not in str(caught.value) and "\n" not in str(caught.value)
    shown_too = None if caught.value.__suppress_context__ else caught.value.__context__
    assert caught.value.__cause__ is None and shown_too is None, "a traceback would show more"


def test_a_wrong_password_and_a_wrong_database(server: Any) -> None:
    for wrong in (server.url("postgres", "hunter2"), server.url("nowhere")):
        with pytest.raises(UserError, match="cannot be opened") as caught:
            Store(wrong)
        assert "hunter2" not in str(caught.value) and server.password not in str(caught.value)


def test_a_database_that_is_not_in_utf8(server: Any) -> None:
    latin = server.new("ENCODING 'LATIN1' TEMPLATE template0")
    with pytest.raises(UserError, match="not in UTF-8"):
        Store(latin)


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "feedback.db"
    path.write_text("text,label\nfine,POSITIVE\n" * 100)
    with pytest.raises(UserError, match="is not a database"):
        Store(f"sqlite:///{path}")
    assert path.read_text().startswith("text,label")


def test_a_file_is_meant_from_where_the_process_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = Store("sqlite:///new/feedback.db")
    os.chdir("/")
    assert store.counts()["predictions"] == 0 and (tmp_path / "new/feedback.db").is_file()
    store.close()
    assert shown(parse("postgres://ann:hunter2@host:5/db")) == "postgresql://host:5/db"


def test_the_room_is_light() -> None:
    code = "import sys; import noria.feedback.store; print([m for m in ('torch', 'onnxruntime') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_masked_password_is_looked_for_in_the_environment(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    masked = masked_text(server.new())
    assert ":***@" in masked
    monkeypatch.setenv("PGPASSFILE", os.devnull)
    with pytest.raises(UserError, match=r"no password supplied.*Set PGPASSWORD"):
        Store(masked)
    monkeypatch.setenv("PGPASSWORD", server.password)
    Store(masked).close()


def test_only_its_owner_reads_it(tmp_path: Path) -> None:
    """The file, its log and its lock, and the folder that was made for it; an existing file stays as it is."""
    before = os.umask(0o022)
    try:
        store = Store(f"sqlite:///{tmp_path}/new/feedback.db")
    finally:
        os.umask(before)
    store.add_predictions([])
    made = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "new").iterdir()}
    assert set(made) >= {"feedback.db", "feedback.db.lock", "feedback.db-wal"} and set(made.values()) == {0o600}
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700
    url = parse(f"sqlite:///{tmp_path}/new/feedback.db")
    assert not is_open_to_others(url)
    store.close()
    (tmp_path / "new/feedback.db").chmod(0o644)
    Store(f"sqlite:///{tmp_path}/new/feedback.db").close()
    assert is_open_to_others(url) and (tmp_path / "new/feedback.db").stat().st_mode & 0o777 == 0o644


def said_by_nobody(url: str) -> str:
    """What a process says that may write nothing of ours: opens the store as another user, where we are root."""
    reads, writes = os.pipe()
    if not (child := os.fork()):
        try:
            if os.geteuid() == 0:
                os.setuid(pwd.getpwnam("nobody").pw_uid)
            Store(url)
            os.write(writes, b"opened")
        except BaseException as error:
            os.write(writes, f"{type(error).__name__}: {error}".encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(writes)
    with os.fdopen(reads) as said:
        return said.read()


@pytest.mark.parametrize("there", ["nothing", "the file", "its lock", "both"])
def test_where_nothing_can_be_written_that_is_said_at_once(there: str, tmp_path: Path) -> None:
    """It does not wait for a lock that it can never take."""
    folder = Path(tempfile.mkdtemp(prefix="ours"))
    try:
        for name in {"nothing": [], "the file": [""], "its lock": [".lock"], "both": ["", ".lock"]}[there]:
            (folder / f"feedback.db{name}").touch(0o644)
        folder.chmod(0o555)
        said = said_by_nobody(f"sqlite:///{folder}/feedback.db")
    finally:
        folder.chmod(0o755)
        shutil.rmtree(folder)
    assert said.startswith("UserError: ") and "cannot be opened for writing: Permission denied" in said


@pytest.mark.parametrize("path", ["/proc/feedback.db", "/dev/null", "/dev/shm"])
def test_where_no_file_can_be(path: str) -> None:
    with pytest.raises(UserError, match="cannot be opened for writing"):
        Store(f"sqlite:///{path}")


def test_a_lock_that_another_process_keeps_is_not_waited_for_without_an_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrate, "BUSY", 0.2)
    with (
        FileLock(tmp_path / "feedback.db.lock"),
        pytest.raises(UserError, match=r"feedback\.db\.lock for 0\.2 seconds"),
    ):
        Store(f"sqlite:///{tmp_path}/feedback.db")
