"""Two processes that answer: both take a new champion, and where one dies the other goes on until it is replaced."""

from __future__ import annotations

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from noria.serving.worker import IDLE


@pytest.fixture
def server(start, registry):
    words = [f"artifact={registry.folder}", "stage.follow=0.1", "stage.workers=2", "stage.feedback=null"]
    return start(registry.folder.parent, words).wait()


def test_two_workers(server, registry, shifted):
    with server.client() as client, ThreadPoolExecutor(8) as pool:

        def ask() -> tuple[str, float]:
            reply = client.post("/predict", json={"text": "fun"}).raise_for_status().json()
            return reply["version"], round(reply["predictions"][0]["probabilities"]["good"], 5)

        def many() -> set[tuple[str, float]]:
            return {asked.result() for asked in [pool.submit(ask) for _ in range(64)]}

        def lose(worker: int) -> None:
            """The other one answers, and then there are two again."""
            os.kill(worker, signal.SIGKILL)
            server.wait_for(lambda: worker not in server.workers())
            time.sleep(2 * IDLE)  # what comes while the queue still hands on to the dead one is lost with it: 504
            assert many() == new
            server.wait_for(lambda: len(server.workers()) == 2 and client.get("/ready").status_code == 200)

        ((before, _),) = many()
        server.wait_for(lambda: client.get("/info").json()["versions"] == {before: 2})
        version = registry.add(shifted(3.0), {"said": "better"})
        registry.promote(version, "better")
        # not by what is answered: one worker may have answered all of it while the other still has the old one
        server.wait_for(lambda: client.get("/info").json()["versions"] == {version.name: 2})
        new = many()
        assert len(new) == 1 and before != version.name
        for worker in server.workers():
            lose(worker)
        assert many() == new, "of both that have been started anew"
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(60) == 0
