"""What waits at the door: half-sent heads and bodies have so much time, and keep nobody else out."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from noria.serving import door
from noria.serving.door import HEAD_BYTES, Hall, most_waiting, protocol

ASK = b"GET / HTTP/1.1\r\nHost: localhost\r\n"
UPLOAD = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n"
LONG = 32 << 20  # bytes
Place = tuple[str, int]


async def app(scope, receive, send) -> None:
    """Reads the body of a POST, then answers; of /slow, after a while; of /long, with much."""
    more = scope["method"] == "POST"
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        more = message["more_body"]
    await asyncio.sleep(0.6 if scope["path"] == "/slow" else 0)
    body = b"x" * LONG if scope["path"] == "/long" else b"fine"
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", str(len(body)).encode())]}
    )
    await send({"type": "http.response.body", "body": body})


@contextmanager
def serving(hall: Hall, base: type[asyncio.Protocol] = HttpToolsProtocol) -> Iterator[Place]:
    """A server with this hall, in a thread."""
    listening = socket.create_server(("127.0.0.1", 0))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(door, "AutoHTTPProtocol", base)
        made = protocol(hall)
    server = uvicorn.Server(uvicorn.Config(app, http=made, ws="none", lifespan="off", log_level="error"))
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        yield listening.getsockname()
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(params=[HttpToolsProtocol, H11Protocol])
def base(request) -> type[asyncio.Protocol]:
    """uvicorn has two, and takes the one whose parser is installed."""
    return request.param


def opened(place: Place, sent: bytes = b"") -> socket.socket:
    connection = socket.create_connection(place, timeout=20)
    connection.sendall(sent)
    return connection


def answer(connection: socket.socket) -> bytes:
    """All that comes until the other side closes."""
    said = b""
    with connection:
        try:
            while some := connection.recv(65536):
                said += some
        except ConnectionResetError:
            pass
    return said


def ask(place: Place) -> bytes:
    return answer(opened(place, ASK + b"Connection: close\r\n\r\n"))


def test_half_heads_have_so_much_time(base) -> None:
    hall = Hall(100, seconds=0.3)
    with serving(hall, base) as place:
        half, nothing = opened(place, ASK), opened(place)
        kept = opened(place, ASK + b"\r\n")
        assert kept.recv(1000).endswith(b"fine")
        kept.sendall(b"GET / HT")
        assert answer(half).startswith(b"HTTP/1.1 408 ") and answer(nothing) == b""
        assert answer(kept).startswith(b"HTTP/1.1 408 "), "the second head of a connection too"
        assert ask(place).endswith(b"fine")
    assert not hall.waiting


def test_a_head_that_trickles_is_not_waited_for_longer(base) -> None:
    with serving(Hall(100, seconds=0.5), base) as place, opened(place, ASK) as slow:
        with pytest.raises(OSError):
            for _ in range(1000):
                slow.sendall(b"X-More: 1\r\n")
                time.sleep(0.01)
        assert ask(place).endswith(b"fine")


def test_many_half_heads_and_bodies_keep_nobody_out(base) -> None:
    """The oldest go; whoever sends a request is answered while all places are taken, also on a kept connection."""
    hall = Hall(20, seconds=60)
    with serving(hall, base) as place, ExitStack() as stack:
        oldest = [stack.enter_context(opened(place, ASK)) for _ in range(10)]
        for number in range(100):
            stack.enter_context(opened(place, UPLOAD if number % 2 else ASK))
            if number % 20 == 0:
                assert ask(place).endswith(b"fine")
        assert len(hall.waiting) <= 20
        assert {answer(each) for each in oldest} == {b""}


def test_who_is_being_answered_is_not_turned_out(base) -> None:
    """Only who owes something is counted: an answer may take as long as it takes."""
    with (
        serving(Hall(2, seconds=0.2), base) as place,
        opened(place, ASK.replace(b"/ ", b"/slow ", 1) + b"\r\n") as full,
    ):
        for _ in range(10):
            opened(place, ASK)
        assert full.recv(1000).endswith(b"fine")


def test_a_head_without_end_is_not_read_on(base) -> None:
    with serving(Hall(100, seconds=60), base) as place:
        said = answer(opened(place, ASK + b"X: " + b"a" * (2 * HEAD_BYTES)))
        assert said.startswith((b"HTTP/1.1 431 ", b"HTTP/1.1 400 ")) or said == b""
        assert ask(place).endswith(b"fine")


def test_a_request_in_pieces_is_answered(base) -> None:
    with serving(Hall(100, seconds=5), base) as place, opened(place) as slow:
        for piece in (UPLOAD[:5], UPLOAD[5:40], UPLOAD[40:], b"12", b"345"):
            slow.sendall(piece)
            time.sleep(0.02)
        assert slow.recv(1000).endswith(b"fine")
        slow.sendall(ASK + b"\r\n")
        assert slow.recv(1000).endswith(b"fine")


def test_files_are_left_for_others(monkeypatch) -> None:
    for files, most in ((1024, 512), (64, 32), (1 << 20, door.MOST), (door.resource.RLIM_INFINITY, door.MOST)):
        monkeypatch.setattr(door.resource, "getrlimit", lambda what, files=files: (files, files))
        assert most_waiting() == most


def test_an_answer_that_nobody_takes_is_given_up(base) -> None:
    """A long answer fills what the system holds for a client that does not read: the rest is not kept for ever."""
    hall = Hall(100, take_seconds=0.3)
    with (
        serving(hall, base) as place,
        opened(place, ASK.replace(b"/ ", b"/long ", 1) + b"Connection: close\r\n\r\n") as slow,
    ):
        time.sleep(1)
        taken = len(answer(slow))
        assert 0 < taken < LONG
        assert ask(place).endswith(b"fine")
