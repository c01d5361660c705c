"""Simulated users of a served model: they send texts over HTTP and say what the answers should have been.

For experiments with the wheel. A seed decides what they do: runs with different defences hear the same.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from noria.common.errors import RunError

PATIENCE = 180.0  # seconds for a server to come up, or to take a new champion
BATCH = 16  # texts a request


@dataclass(frozen=True)
class User:
    """One client. Of its corrections the share `error` is wrong; 1.0 is one that wants the model to learn nonsense."""

    name: str
    key: str
    error: float


def make_users(count: int, malicious: int, error: float) -> list[User]:
    """So many users, the first of them malicious."""
    return [User(f"user-{n}", f"key-of-user-{n}", 1.0 if n < malicious else error) for n in range(count)]


def send(url: str, users: Sequence[User], rows: Sequence[tuple[str, str]], labels: Sequence[str], seed: int) -> int:
    """Each row, (text, true label), goes to one user, who asks for the answer and says what it should be.

    Returns:
        How many answers were wrong in truth.
    """
    rng, wrong = random.Random(seed), 0
    with httpx.Client(base_url=url, timeout=120) as client:
        for start in range(0, len(rows), BATCH):
            piece = rows[start : start + BATCH]
            user = users[(start // BATCH) % len(users)]
            headers = {"Authorization": f"Bearer {user.key}"}
            asked = client.post("/predict", json={"text": [text for text, _ in piece]}, headers=headers)
            asked.raise_for_status()
            for found, (_, truth) in zip(asked.json()["predictions"], piece, strict=True):
                wrong += found["label"] != truth
                said = rng.choice([name for name in labels if name != truth]) if rng.random() < user.error else truth
                word = {"verdict": "right"} if said == found["label"] else {"label": said}
                client.post("/feedback", json={"id": found["id"], **word}, headers=headers).raise_for_status()
    return wrong


@contextmanager
def served(registry: Path, feedback: str, users: Sequence[User], log: Path) -> Iterator[str]:
    """The registry's champion behind HTTP, in a process of its own; gives its URL.

    Raises:
        RunError: it does not come up.
    """
    keys = ",".join(f"{user.name}:{user.key}" for user in users)
    words = ["stage=serve", f"artifact={registry}", "stage.port=0", f"stage.feedback={feedback}", "stage.follow=0.5"]
    code = "from noria.cli.main import entry; entry()"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as file:
        server = subprocess.Popen(
            [sys.executable, "-c", code, *words], stdout=file, stderr=file, env={**os.environ, "NORIA_API_KEYS": keys}
        )
    try:
        yield _address(server, log)
    finally:
        server.terminate()
        try:
            server.wait(30)
        except subprocess.TimeoutExpired:
            server.kill()


def wait_for(url: str, version: str) -> None:
    """Until the server answers with that version.

    Raises:
        RunError: it does not take it.
    """
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        found: dict[str, Any] = httpx.get(f"{url}/health", timeout=30).json()
        if found.get("version") == version:
            return
        time.sleep(0.2)
    raise RunError(f"The server at {url} has not taken version {version} within {PATIENCE:g} s.")


def _address(server: subprocess.Popen[bytes], log: Path) -> str:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and server.poll() is None:
        for line in log.read_text(encoding="utf-8").splitlines():
            if line.startswith("Serving ") and " at http" in line:
                return line.partition(" at ")[2].split()[0]
        time.sleep(0.2)
    raise RunError(f"The server did not come up; it said: {log.read_text(encoding='utf-8')[-500:]}")
