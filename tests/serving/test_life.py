"""One server with keys and narrow limits over a registry: what happens to it, from its start to its end."""

from __future__ import annotations

import os
import re
import signal
import socket
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from noria.feedback.store import Store

KEYS = "alice:open-sesame, bob:swordfish"


@pytest.fixture(scope="module")
def server(start, registry):
    words = [f"artifact={registry.folder}", "stage.follow=0.1", "stage.queue_size=4", "stage.max_texts=3"]
    words += ["stage.timeout=3", "stage.max_body=500", "stage.host=127.0.0.1"]
    return start(registry.folder.parent, words, KEYS).wait()


@pytest.fixture(scope="module")
def alice(server):
    with server.client("open-sesame") as client:
        yield client


@contextmanager
def paused(server):
    """While its worker answers nothing."""
    (worker,) = server.workers()
    os.kill(worker, signal.SIGSTOP)
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            os.kill(worker, signal.SIGCONT)


def ask(client: httpx.Client, text: object = "fun") -> httpx.Response:
    return client.post("/predict", json={"text": text})


def in_flight(pool: ThreadPoolExecutor, client: httpx.Client, count: int) -> list[Future[httpx.Response]]:
    """Requests that the server has let in."""
    asked = [pool.submit(ask, client) for _ in range(count)]
    end = time.monotonic() + 10
    while f"noria_queue_texts {count}.0" not in client.get("/metrics").text:
        assert time.monotonic() < end
    return asked


def test_a_key_is_wanted_and_never_shown(server, alice):
    with server.client() as nobody, server.client("sword") as wrong, server.client("swordfish") as bob:
        for path in ("/info", "/metrics"):
            assert nobody.get(path).status_code == wrong.get(path).status_code == 401
            assert bob.get(path).status_code == 200
        for path in ("/predict", "/feedback"):
            reply = nobody.post(path, content=b"{bad")
            assert reply.status_code == 401 and reply.headers["www-authenticate"] == "Bearer"
            assert "Authorization: Bearer" in reply.json()["error"]
        for path in ("/", "/health", "/ready", "/openapi.json"):
            assert nobody.get(path).status_code == 200
        assert nobody.get("/info", headers={"Authorization": "Basic open-sesame"}).status_code == 401
        assert ask(bob).status_code == 200
        locked = nobody.get("/openapi.json").json()["paths"]["/predict"]["post"]
        assert locked["security"] == [{"key": []}] and "401" in locked["responses"]
        for asking in (nobody, wrong):
            assert '"good"' not in asking.get("/openapi.json").text, "the names of the labels are for those with a key"
        assert '"enum":["bad","good"]' in bob.get("/openapi.json").text
    assert "sesame" not in server.said() and "swordfish" not in server.said()


def test_the_page_asks_for_a_key(server, browser):
    page = browser.new_page()
    page.goto(server.url)
    page.get_by_role("alert").get_by_text("wants an API key").wait_for()
    page.get_by_label("API key").fill("open-sesame")
    page.get_by_label("Text", exact=True).fill("fun")
    page.get_by_role("button", name="Ask").click()
    page.locator("#answer").wait_for()
    assert page.locator("#version").inner_text() == "0001" and page.get_by_role("alert").inner_text() == ""
    page.close()


def test_who_said_what(server, registry, alice):
    answer = ask(alice).json()["predictions"][0]
    with server.client("swordfish") as bob:
        assert bob.post("/feedback", json={"id": answer["id"], "verdict": "wrong"}).json()["new"]
    store = Store(f"sqlite:///{registry.folder.parent / 'feedback.db'}")
    (asked,) = [row for row in store.predictions() if row.id == answer["id"]]
    (said,) = [row for row in store.corrections() if row.prediction.id == answer["id"]]
    store.close()
    assert (asked.client, said.client) == ("alice", "bob")


def test_a_database_that_is_gone_is_never_answered_with_200(server, alice, registry):
    answer = ask(alice).json()["predictions"][0]
    path = registry.folder.parent / "feedback.db"
    path.rename(path.with_name("elsewhere.db"))
    word = {"id": answer["id"], "verdict": "right"}
    for asked in (ask(alice), ask(alice), alice.post("/feedback", json=word)):
        assert asked.status_code == 503 and "nothing was kept" in asked.json()["error"]
        assert asked.headers["retry-after"] == "5"
    assert server.said().count("was deleted, moved or replaced while it was open") == 1, "said once"
    path.with_name("elsewhere.db").rename(path)
    assert alice.post("/feedback", json=word).json() == {"id": answer["id"], "new": True}
    assert ask(alice).status_code == 200 and "The store works again" in " ".join(server.said().split())


def test_limits_are_those_that_were_set(alice):
    assert ask(alice, ["fun"] * 4).status_code == 422
    assert ask(alice, "x" * 600).status_code == 413


def test_a_full_line_turns_away_and_lets_in_again(server, alice):
    with ThreadPoolExecutor(4) as pool:
        with paused(server):
            asked = in_flight(pool, alice, 3)
            reply = ask(alice, ["fun", "fine"])
            assert reply.status_code == 429 and int(reply.headers["retry-after"]) >= 1
            assert "3 texts are waiting" in reply.json()["error"]
            assert alice.get("/health").status_code == 200, "who asks for nothing is answered"
        assert [each.result().status_code for each in asked] == [200] * 3
    assert ask(alice, ["fun", "fine"]).status_code == 200


def test_what_takes_too_long_is_given_up(server, alice):
    place = urlsplit(server.url)
    slow = socket.create_connection((place.hostname, place.port), timeout=20)
    head = "POST /predict HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer swordfish\r\n"
    slow.sendall(f"{head}Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{{".encode())
    with paused(server):
        begun = time.monotonic()
        reply = ask(alice)
        assert reply.status_code == 504 and "3 seconds" in reply.json()["error"]
        assert time.monotonic() - begun > 2.5, "not before its time"
        assert "noria_queue_texts 0.0" in alice.get("/metrics").text
    assert ask(alice).status_code == 200
    assert b" 408 " in slow.recv(1000), "a body that does not come"
    slow.close()


def test_a_new_champion_takes_over_and_no_request_is_lost(server, alice, registry, shifted):
    good = registry.add(shifted(5.0), {})
    stop, replies = threading.Event(), []

    def keep_asking() -> None:
        with server.client("open-sesame") as client:
            while not stop.is_set():
                replies.append(ask(client))

    threads = [threading.Thread(target=keep_asking) for _ in range(3)]
    for thread in threads:
        thread.start()
    registry.promote(good, "better")
    server.wait_for(lambda: f"Version {good.name} answers now" in server.said(), 60)
    time.sleep(0.2)
    stop.set()
    for thread in threads:
        thread.join()
    assert {reply.status_code for reply in replies} == {200}
    said = [reply.json() for reply in replies]
    assert {answer["version"] for answer in said} == {"0001", good.name}
    for answer in said:
        assert (answer["predictions"][0]["probabilities"]["good"] > 0.9) == (answer["version"] == good.name)
    assert said[-1]["version"] == alice.get("/info").json()["version"] == good.name
    assert f'noria_version{{version="{good.name}"}} 1.0' in alice.get("/metrics").text


def test_a_version_that_is_no_good_is_not_taken(server, alice, registry, fitted, shifted):
    before = ask(alice).json()["version"]
    bad = registry.add(shifted(float("nan")), {})
    registry.promote(bad, "a mistake")
    server.wait_for(lambda: f"Version {bad.name} is not taken" in server.said(), 60)
    assert f"{before} goes on" in " ".join(server.said().split())
    assert ask(alice).json()["version"] == before
    info = alice.get("/info").json()
    assert info["version"] == before and "no good" in info["refused"][bad.name]
    assert f'noria_version_refused{{version="{bad.name}"}} 1.0' in alice.get("/metrics").text
    broken = registry.add(fitted / "artifact", {})
    (broken.folder / "model.safetensors").write_bytes(b"half")
    registry.promote(broken, "another")
    server.wait_for(lambda: f"Version {broken.name} is not taken" in server.said(), 60)
    assert ask(alice).json()["version"] == before


def test_a_dead_worker_is_replaced_by_one_with_the_same_version(server, alice):
    """The champion is still one that is no good: the new worker takes what the old one had."""
    before = ask(alice).json()["version"]
    (worker,) = server.workers()
    with ThreadPoolExecutor(1) as pool, paused(server):
        (asked,) = in_flight(pool, alice, 1)
        os.kill(worker, signal.SIGKILL)
        assert asked.result().status_code in (503, 504)
    assert alice.get("/ready").status_code == 503 and alice.get("/health").status_code == 200
    server.wait_for(lambda: alice.get("/ready").status_code == 200)
    assert server.workers() != [worker]
    reply = ask(alice)
    assert reply.status_code == 200 and reply.json()["version"] == before


def test_signals_to_all_processes_lose_no_answer(server, alice, registry):
    everyone = server.processes()
    assert len(everyone) >= 3
    with ThreadPoolExecutor(4) as pool:
        with paused(server):
            asked = in_flight(pool, alice, 3)
            os.killpg(server.process.pid, signal.SIGTERM)
            os.killpg(server.process.pid, signal.SIGHUP)  # as a service manager does
            time.sleep(0.5)
        replies = [each.result() for each in asked]
    assert [reply.status_code for reply in replies] == [200] * 3
    assert server.process.wait(30) == 0
    assert re.search(r"answered: \d+ texts in \d+ requests, feedback taken: \d+", server.said())
    with pytest.raises(httpx.HTTPError):
        ask(alice)
    end = time.monotonic() + 10
    while left := [pid for pid in everyone if lives(pid)]:
        assert time.monotonic() < end, left
        time.sleep(0.05)
    store = Store(f"sqlite:///{registry.folder.parent / 'feedback.db'}")
    kept = {row.id for row in store.predictions()}
    store.close()
    assert {reply.json()["predictions"][0]["id"] for reply in replies} <= kept
    assert "Traceback" not in server.said()


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
