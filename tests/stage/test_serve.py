from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
import yaml

from noria.registry.registry import Registry

RUN = Path(__file__).resolve().parents[2] / "scripts" / "run.py"


@pytest.fixture
def refused(noria, capsys):
    """refused(*words): what is said of a server that does not start."""

    def said(*words: object) -> str:
        assert noria("stage=serve", *words) == 2
        return " ".join(capsys.readouterr().err.split())

    return said


def test_without_an_artifact(refused, tmp_path):
    assert "stage=serve needs a model to open: type artifact=" in refused()
    (tmp_path / "registry/versions").mkdir(parents=True)
    assert "is a registry without a champion" in refused("artifact=registry")


def test_a_registry_is_for_serving(noria, fitted, tmp_path, capsys):
    registry = Registry(tmp_path / "registry")
    registry.promote(registry.add(fitted / "artifact", {}), "")
    assert noria("stage=evaluate", f"artifact={registry.folder}") == 2
    assert f"its champion is artifact={registry.folder}/champion" in capsys.readouterr().err
    assert noria("stage=serve", f"artifact={registry.folder}", "--cfg", "job") == 0
    config = yaml.safe_load(capsys.readouterr().out)
    assert config["trainer"]["precision"] == "32-true", "the champion's own config is the base"


def test_what_cannot_be_served(refused, fitted, tmp_path, monkeypatch):
    artifact = f"artifact={fitted / 'artifact'}"
    monkeypatch.delenv("NORIA_API_KEYS", raising=False)
    assert "there are no API keys" in refused(artifact, "stage.host=0.0.0.0")
    assert "stage.max_texts=64 is more than stage.queue_size=8" in refused(artifact, "stage.queue_size=8")
    assert "feedback store" in refused(artifact, "stage.feedback=mysql://user:secret@host/db")
    monkeypatch.setenv("NORIA_API_KEYS", "hush-hush")
    said = refused(artifact)
    assert "NORIA_API_KEYS: entry 1 is no name:key" in said and "hush" not in said
    monkeypatch.delenv("NORIA_API_KEYS")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert f"stage.port={port} cannot be opened: Address already in use" in refused(artifact, f"stage.port={port}")

    shutil.copytree(fitted / "artifact", tmp_path / "decoder")
    facts = yaml.safe_load((tmp_path / "decoder/noria.yaml").read_text())
    (tmp_path / "decoder/noria.yaml").write_text(
        yaml.safe_dump({**facts, "kind": "noria.task.causal_lm.kind.CausalLM", "settings": {}})
    )
    assert "is a language model: stage=serve serves classifiers" in refused("artifact=decoder")


def test_weights_that_cannot_be_opened(refused, fitted, tmp_path):
    shutil.copytree(fitted / "artifact", tmp_path / "broken")
    (tmp_path / "broken/model.safetensors").write_bytes(b"half")
    said = refused("artifact=broken", "stage.port=0", "stage.feedback=null")
    assert "There is nothing to serve" in said and "Traceback" not in said


@pytest.fixture
def server(fitted, tmp_path):
    """A server without a store, which hears Ctrl-C even where this runs in the background."""
    words = ["stage=serve", f"artifact={fitted / 'artifact'}", "stage.port=0", "stage.feedback=null"]
    process = subprocess.Popen(
        [sys.executable, str(RUN), *words], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    yield process
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def test_without_a_store_until_ctrl_c(server, tmp_path):
    said = [server.stdout.readline() for _ in range(4)]
    url = re.search(r"Serving \S+ at (\S+)", said[0])[1]
    assert "kept nowhere" in said[1]
    tried = subprocess.run(["bash", "-c", said[3].partition("try: ")[2]], capture_output=True, text=True)
    assert '"label"' in tried.stdout, f"what it says to try works: {tried.stderr}"
    reply = httpx.post(f"{url}/feedback", json={"id": "0" * 32, "verdict": "right"})
    assert reply.status_code == 404 and "stage.feedback=null" in reply.json()["error"]
    os.killpg(server.pid, signal.SIGINT)  # as a terminal does
    rest = server.communicate(timeout=60)[0]
    assert server.returncode == 0
    assert "answered: 1 texts in 1 requests, feedback taken: 0" in rest and "Traceback" not in rest
    assert not list(tmp_path.iterdir()), "it leaves nothing"
