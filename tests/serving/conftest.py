"""What the tests of the server share: versions of a model, and Noria's server in a process of its own."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import httpx
import pytest

from noria.registry.registry import Registry

T = TypeVar("T")
RUN = Path(__file__).resolve().parents[2] / "scripts" / "run.py"
PATIENCE = 240  # seconds; on busy cores the imports alone take twenty


class Served:
    """`stage=serve` in a process group of its own; it must end when the tests do."""

    def __init__(self, folder: Path, words: list[str], keys: str | None = None) -> None:
        environment = {**os.environ, **({} if keys is None else {"NORIA_API_KEYS": keys})}
        self._said = tempfile.TemporaryFile("w+")  # noqa: SIM115 - lives as long as the process
        self.process = subprocess.Popen(
            [sys.executable, str(RUN), "stage=serve", "stage.port=0", "precision=fp32", *words],
            cwd=folder, env=environment, stdout=self._said, stderr=self._said, start_new_session=True,
        )  # fmt: skip
        self.url = ""

    def wait(self) -> Served:
        """Until it serves."""
        self.url = self.wait_for(lambda: re.findall(r"Serving \S+ at (\S+)", self.said()))[0]
        return self

    def wait_for(self, look: Callable[[], T], patience: float = PATIENCE) -> T:
        """Looks until there is something; fails if the process ends before."""
        end = time.monotonic() + patience
        while not (found := look()):
            assert self.process.poll() is None, f"it ended:\n{self.said()}"
            assert time.monotonic() < end, f"nothing came:\n{self.said()}"
            time.sleep(0.02)
        return found

    def client(self, key: str | None = None) -> httpx.Client:
        """A client of it; to be closed."""
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=60)

    def processes(self) -> list[int]:
        """All of its process group."""
        found = subprocess.run(["ps", "-o", "pid=", "-g", str(self.process.pid)], capture_output=True, text=True).stdout
        return [int(pid) for pid in found.split()]

    def workers(self) -> list[int]:
        """Those that hold a model."""
        lines = subprocess.run(["ps", "-wweo", "pid=,pgid=,args="], capture_output=True, text=True).stdout.splitlines()
        split = [line.split(None, 2) for line in lines]
        group = str(self.process.pid)
        return [int(pid) for pid, pgid, words in split if pgid == group and "spawn_main" in words]

    def said(self) -> str:
        self._said.seek(0)
        return self._said.read()

    def close(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._said.close()


@pytest.fixture(scope="session")
def start() -> Iterator[Callable[..., Served]]:
    """start(folder, words, keys): a server that is about to serve."""
    started: list[Served] = []

    def begin(folder: Path, words: list[str], keys: str | None = None) -> Served:
        started.append(Served(folder, words, keys))
        return started[-1]

    yield begin
    for served in started:
        served.close()


@pytest.fixture(scope="session")
def shifted(fitted: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[float], Path]:
    """shifted(by): a copy of the fitted artifact that says `good` more often, the more so the more it is shifted."""

    def shift(by: float) -> Path:
        from safetensors.torch import load_file, save_file

        folder = tmp_path_factory.mktemp("shifted") / "version"
        shutil.copytree(fitted / "artifact", folder)
        weights = load_file(folder / "model.safetensors")
        weights["classifier.bias"][1] += by
        save_file(weights, folder / "model.safetensors", {"format": "pt"})
        return folder

    return shift


@pytest.fixture(scope="session")
def three(start: Callable[..., Served], fitted: Path, tmp_path_factory: pytest.TempPathFactory) -> Served:
    """A server over the fitted artifact with a third label, `fair`, between the two."""
    import torch
    import yaml
    from safetensors.torch import load_file, save_file

    folder = tmp_path_factory.mktemp("three")
    artifact = folder / "artifact"
    shutil.copytree(fitted / "artifact", artifact)
    weights = load_file(artifact / "model.safetensors")
    for name in ("classifier.weight", "classifier.bias"):
        bad, good = weights[name]
        weights[name] = torch.stack([bad, (bad + good) / 2, good])
    save_file(weights, artifact / "model.safetensors", {"format": "pt"})
    labels = ["bad", "fair", "good"]
    config = json.loads((artifact / "config.json").read_text())
    config |= {"id2label": dict(enumerate(labels)), "label2id": {name: n for n, name in enumerate(labels)}}
    (artifact / "config.json").write_text(json.dumps(config))
    facts = yaml.safe_load((artifact / "noria.yaml").read_text())
    (artifact / "noria.yaml").write_text(yaml.safe_dump({**facts, "settings": {**facts["settings"], "labels": labels}}))
    return start(folder, [f"artifact={artifact}"]).wait()


@pytest.fixture(scope="module")
def registry(fitted: Path, tmp_path_factory: pytest.TempPathFactory) -> Registry:
    """A registry whose champion 0001 is the fitted artifact."""
    registry = Registry(tmp_path_factory.mktemp("with_registry") / "registry")
    registry.promote(registry.add(fitted / "artifact", {}), "the first")
    return registry


@pytest.fixture(scope="session")
def served(start: Callable[..., Served], fitted: Path, tmp_path_factory: pytest.TempPathFactory) -> Served:
    """A server over the fitted artifact, open, with a store in SQLite."""
    return start(tmp_path_factory.mktemp("served"), [f"artifact={fitted / 'artifact'}"]).wait()


@pytest.fixture(scope="session")
def client(served: Served) -> Iterator[httpx.Client]:
    """Asks that server."""
    with served.client() as asking:
        yield asking


@pytest.fixture(scope="module")
def browser():
    """A headless Chromium."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("there is no chromium on the PATH")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()
