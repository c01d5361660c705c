"""A store's URL on either database. PostgreSQL is a real server of the tests' own, in a folder that goes again."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

import pytest
from tests.conftest import FORM

from noria.feedback.store import Prediction, Store

PASSWORD = "se/cr:et@word"


def binaries() -> Path | None:
    """The folder with PostgreSQL's programs, if there is one."""
    found = shutil.which("postgres")
    places = [Path(found).resolve().parent] if found else []
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((place for place in places if (place / "initdb").exists() and (place / "postgres").exists()), None)


def other_user() -> dict[str, Any]:
    """As root, the arguments of a process that is not: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


@dataclass(frozen=True)
class Server:
    folder: Path
    password: str = PASSWORD

    def url(self, database: str, password: str = PASSWORD) -> str:
        return f"postgresql://noria:{quote(password, safe='')}@/{database}?host={self.folder}"

    def new(self, options: str = "") -> str:
        """The URL of a database with nothing in it."""
        import psycopg

        name = f"t{uuid.uuid4().hex[:12]}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} {options}")
        return self.url(name)


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    psycopg = pytest.importorskip("psycopg")
    programs = binaries()
    if programs is None:
        pytest.skip("there is no PostgreSQL on this machine")
    folder, user = Path(tempfile.mkdtemp(prefix="pg")), other_user()  # a socket's path must be short
    (folder / "password").write_text(PASSWORD)
    if user:
        for path in (folder, folder / "password"):
            os.chown(path, user["user"], user["group"])
    make = ["-D", "data", "-U", "noria", "--pwfile", "password", "-A", "scram-sha-256", "-E", "UTF8", "--locale", "C"]
    subprocess.run([programs / "initdb", *make, "--no-sync"], cwd=folder, check=True, capture_output=True, **user)
    run = ["-D", "data", "-k", str(folder), "-c", "listen_addresses=", "-c", "fsync=off"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([programs / "postgres", *run], cwd=folder, stdout=log, stderr=log, **user)

    made = Server(folder)
    try:
        for _ in range(300):
            try:
                psycopg.connect(made.url("postgres")).close()
                break
            except psycopg.OperationalError:
                assert process.poll() is None, (folder / "log").read_text()
                time.sleep(0.1)
        yield made
    finally:
        process.send_signal(2)
        process.wait(timeout=30)
        shutil.rmtree(folder)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database with nothing in it."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/feedback.db"
    server: Server = request.getfixturevalue("server")
    return server.new()


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    opened = Store(url)
    yield opened
    opened.close()


@pytest.fixture
def prediction() -> Callable[..., Prediction]:
    """Makes predictions of POSITIVE."""

    def make(
        text: str | None = "a fine film",
        text_pair: str | None = None,
        label: Any = "POSITIVE",
        probabilities: Mapping[str, float] = MappingProxyType({"POSITIVE": 0.75, "NEGATIVE": 0.25}),
        **values: Any,
    ) -> Prediction:
        facts = {
            "id": uuid.uuid4().hex,
            "version": "0001",
            "form": FORM,
            "request": {"text": text} if text_pair is None else {"text": text, "text_pair": text_pair},
            "answer": {"label": label, "probabilities": dict(probabilities)},
            "latency_ms": 1.5,
            "client": "asker",
            "created": datetime.now(UTC),
        }
        return Prediction(**{**facts, **values})

    return make
