"""Proof: a server that is killed at any moment loses nothing that it has acknowledged, and a new champion no request.

A server is killed with SIGKILL at 20 random moments while clients ask and give feedback: every prediction and every
piece of feedback that was acknowledged is in the database, in SQLite and in PostgreSQL. Then the champion changes four
times under 32 clients: no request fails, and each answer is that of the version that it names. Ten minutes on 2 cores.

    python scripts/prove/serving.py --kills 2 --swaps 1 --parts sqlite swaps    # a look
"""

from __future__ import annotations

import argparse
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
from _fits import ENVIRONMENT, ROOT, fit, prepare
from safetensors.torch import load_file, save_file

from noria.feedback.store import Store
from noria.registry.registry import Registry

PATIENCE = 180  # seconds
OTHER = {"good": "bad", "bad": "good"}


class Server:
    """`stage=serve` in a process group of its own."""

    def __init__(self, folder: Path, artifact: Path, *words: str) -> None:
        self.log = folder / f"server-{time.monotonic_ns()}.log"
        command = [sys.executable, str(ROOT / "scripts/run.py"), "stage=serve", f"artifact={artifact}", "stage.port=0"]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [*command, *words], cwd=folder, env=ENVIRONMENT, stdout=log, stderr=log, start_new_session=True
            )
        self.url = until(lambda: re.findall(r"Serving \S+ at (\S+)", self.log.read_text()), self)[0]

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=60)

    def end(self, number: signal.Signals) -> int:
        """Sends a signal to the server itself, and waits until all its processes are gone."""
        self.process.send_signal(number)
        status = self.process.wait(60)
        with suppress(ProcessLookupError):  # raised once nobody is left in the group
            end = time.monotonic() + 30
            while time.monotonic() < end:
                os.killpg(self.process.pid, 0)
                time.sleep(0.02)
            sys.exit(f"{self.url}: processes are left after {number.name}")
        return status


def until(look: Callable[[], Any], server: Server | None = None) -> Any:
    """Looks until there is something; ends the proof if nothing comes."""
    end = time.monotonic() + PATIENCE
    while not (found := look()):
        if time.monotonic() > end or (server is not None and server.process.poll() is not None):
            sys.exit(f"nothing came: {server.log.read_text() if server is not None else ''}")
        time.sleep(0.02)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seed", type=int, default=int(time.time()), help="draws the moments")
    parser.add_argument("--kills", type=int, default=20, help="for each database")
    parser.add_argument("--clients", type=int, default=32, help="that ask while the champion changes")
    parser.add_argument("--swaps", type=int, default=4)
    parser.add_argument("--parts", nargs="+", default=["sqlite", "postgres", "swaps"])
    asked = parser.parse_args()
    print(f"seed {asked.seed}")
    draw, held = random.Random(asked.seed), []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        folder.chmod(0o755)  # the database runs as somebody else
        artifact = fit(prepare(folder / "parts", dropout=0.0)["text_classification"], folder / "run") / "artifact"
        if "sqlite" in asked.parts:
            held.append(kills(folder, artifact, f"sqlite:///{folder / 'feedback.db'}", asked.kills, draw))
        if "postgres" in asked.parts:
            with postgres(folder / "postgres") as url:
                held += [] if url is None else [kills(folder, artifact, url, asked.kills, draw)]
        if "swaps" in asked.parts:
            held.append(swaps(folder, artifact, asked.clients, asked.swaps))
    print(f"\n{sum(held)} of {len(held)} parts hold")
    return 0 if all(held) else 1


# Kills


class Witness:
    """A client that asks and gives feedback until the server is gone, and knows what was acknowledged."""

    def __init__(self, server: Server, name: str) -> None:
        self.predictions: dict[str, str] = {}  # the text by id
        self.feedback: dict[str, str] = {}  # the right label by id
        self.thread = threading.Thread(target=self._ask, args=(server.client(), name, random.Random(name)))
        self.thread.start()

    def _ask(self, client: httpx.Client, name: str, draw: random.Random) -> None:
        number = 0
        with client, suppress(httpx.HTTPError):
            while True:
                texts = [f"film {name} {number + extra}: fun" for extra in range(draw.randint(1, 3))]
                number += len(texts)
                answers = client.post("/predict", json={"text": texts}).raise_for_status().json()["predictions"]
                self.predictions |= {answer["id"]: text for answer, text in zip(answers, texts, strict=True)}
                answer = draw.choice(answers)
                right = draw.choice(list(OTHER))
                client.post("/feedback", json={"id": answer["id"], "label": right}).raise_for_status()
                self.feedback[answer["id"]] = right


def kills(folder: Path, artifact: Path, url: str, count: int, draw: random.Random) -> bool:
    """Whether all that was ever acknowledged is there after each kill."""
    kind = url.partition(":")[0]
    print(f"\n| {kind}: killed after | predictions acknowledged | feedback acknowledged | lost |\n|---|---|---|---|")
    predictions: dict[str, str] = {}
    feedback: dict[str, str] = {}
    lost = 0
    for number in range(count):
        server = Server(folder, artifact, f"stage.feedback='{url}'")
        witnesses = [Witness(server, f"{kind}-{number}-{each}") for each in range(8)]
        until(lambda seen=witnesses: all(witness.feedback for witness in seen), server)
        wait = draw.uniform(0, 1.5)
        time.sleep(wait)
        server.end(signal.SIGKILL)
        for witness in witnesses:
            witness.thread.join()
            predictions |= witness.predictions
            feedback |= witness.feedback
        gone = missing(url, predictions, feedback)
        lost += gone
        print(f"| {wait:.3f} s of load | {len(predictions):,} | {len(feedback):,} | {gone} |", flush=True)
    return lost == 0


def missing(url: str, predictions: dict[str, str], feedback: dict[str, str]) -> int:
    """How much of what was acknowledged is not in the database as it was acknowledged."""
    store = Store(url)
    texts = {row.id: (row.request or {}).get("text") for row in store.predictions()}
    labels = {
        row.prediction.id: row.prediction.answer["label"] if row.correct else row.correction
        for row in store.corrections()
    }
    store.close()
    return sum(texts.get(name) != text for name, text in predictions.items()) + sum(
        labels.get(name) != label for name, label in feedback.items()
    )


@contextmanager
def postgres(folder: Path) -> Iterator[str | None]:
    """A private PostgreSQL, reached through a socket in its folder; None, with the reason printed, without one."""
    found = [shutil.which("initdb"), *map(str, sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb")))]
    binaries = next((Path(path).resolve().parent for path in found if path), None)
    if binaries is None:
        print("\nPostgreSQL: skipped, there is no initdb on the PATH")
        yield None
        return
    folder.mkdir()
    other: dict[str, Any] = {}
    if os.geteuid() == 0:  # it refuses to run as root
        shutil.chown(folder, "nobody")
        other = {"user": "nobody", "group": "nogroup", "extra_groups": []}
    quiet: dict[str, Any] = {"cwd": folder, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, **other}
    subprocess.run([binaries / "initdb", "-D", folder / "data", "-U", "noria", "-A", "trust"], check=True, **quiet)
    words = ["-D", folder / "data", "-k", folder, "-c", "listen_addresses="]
    process = subprocess.Popen([binaries / "postgres", *words], **quiet)
    try:
        ready = [binaries / "pg_isready", "-h", folder]
        until(lambda: subprocess.run(ready, stdout=subprocess.DEVNULL).returncode == 0)
        yield f"postgresql://noria@/postgres?host={folder}"
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)


# Swaps


def swaps(folder: Path, artifact: Path, clients: int, count: int) -> bool:
    """Whether no request fails while the champion changes so many times."""
    registry = Registry(folder / "registry")
    versions = [registry.add(shifted(artifact, folder / f"version-{n}", n), {}) for n in range(count + 1)]
    registry.promote(versions[0], "the first")
    words = ["stage.follow=0.2", f"stage.queue_size={8 * clients}", f"stage.feedback='sqlite:///{folder / 'swaps.db'}'"]
    server = Server(folder, registry.folder, *words)
    crowd = Crowd(server, clients)
    print(f"\n| champion | seconds until it answers | requests by {clients} clients | failed | slowest |")
    print("|---|---|---|---|---|")
    held = True
    for version in versions[1:]:
        time.sleep(2)
        crowd.clear()
        begun = time.monotonic()
        registry.promote(version, "better")
        until(lambda name=version.name: name in crowd.shares, server)
        took = time.monotonic() - begun
        time.sleep(2)
        held &= not crowd.failed
        print(
            f"| {version.name} | {took:.2f} | {crowd.count:,} | {len(crowd.failed)} | {crowd.slowest:.2f} s |",
            flush=True,
        )
    crowd.stop()
    status = server.end(signal.SIGTERM)
    alone = all(len(shares) == 1 for shares in crowd.shares.values())
    apart = len({next(iter(shares)) for shares in crowd.shares.values()}) == len(versions)
    print(f"each version its own answer and no other: {alone and apart}; exit status {status}")
    print("\n".join(crowd.failed[:5]))
    return held and not crowd.failed and alone and apart and status == 0


def shifted(artifact: Path, folder: Path, number: int) -> Path:
    """A version that can be told by its answer."""
    shutil.copytree(artifact, folder)
    weights = load_file(folder / "model.safetensors")
    weights["classifier.bias"][1] += number
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    return folder


class Crowd:
    """Clients that ask the same text again and again."""

    def __init__(self, server: Server, size: int) -> None:
        self.shares: dict[str, set[float]] = {}  # by version, to two digits
        self.failed: list[str] = []
        self.count, self.slowest = 0, 0.0
        self._lock, self._end = threading.Lock(), threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(server.client(),)) for _ in range(size)]
        for thread in self._threads:
            thread.start()

    def clear(self) -> None:
        with self._lock:
            self.count, self.slowest = 0, 0.0

    def stop(self) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, client: httpx.Client) -> None:
        with client:
            while not self._end.is_set():
                begun = time.monotonic()
                try:
                    answer = client.post("/predict", json={"text": "superb acting"}).raise_for_status().json()
                except httpx.HTTPError as problem:
                    self.failed.append(f"{type(problem).__name__}: {problem}")
                    continue
                with self._lock:
                    self.count += 1
                    self.slowest = max(self.slowest, time.monotonic() - begun)
                    share = round(answer["predictions"][0]["probabilities"]["good"], 2)
                    self.shares.setdefault(answer["version"], set()).add(share)


if __name__ == "__main__":
    sys.exit(main())
