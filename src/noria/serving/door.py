"""Connections that keep a server waiting: each has so much time for the head of a request, and there are only so many.

uvicorn waits for ever for a head that does not end, and a process has a limit of open files: some hundred clients that
send half a head each would leave no place for any other. Knows nothing of what is asked.
"""

from __future__ import annotations

import asyncio
import resource
from asyncio import TimerHandle
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from uvicorn.protocols.http.auto import AutoHTTPProtocol

HEAD_SECONDS = 10.0  # from the opening of a connection, or the end of an answer, to the end of the next head
TAKE_SECONDS = 60.0  # from the end of a connection to when its client has taken the answer
HEAD_BYTES = 64 * 1024  # of a head that has not ended
MOST = 1000  # connections that a server may wait for, or half of the files that a process may open if that is less


@dataclass
class Hall:
    """The connections of one server that owe it something: the rest of a head or of a body, or a next request.

    Where there are more than `most`, the one that has owed the longest is closed: clients that mean it send their
    request at once, and are served however many do not.
    """

    most: int
    seconds: float = HEAD_SECONDS
    take_seconds: float = TAKE_SECONDS
    waiting: dict[Patient, None] = field(default_factory=dict)  # in the order in which they came

    def enter(self, one: Patient) -> None:
        self.waiting.setdefault(one)
        if len(self.waiting) > self.most:
            oldest = next(iter(self.waiting))
            self.leave(oldest)
            oldest.turn_out()

    def leave(self, one: Patient) -> None:
        self.waiting.pop(one, None)


def most_waiting() -> int:
    """How many connections may owe something, so that there are files left for all the others."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST if files == resource.RLIM_INFINITY else min(MOST, files // 2)


def protocol(hall: Hall) -> type[asyncio.Protocol]:
    """A class for uvicorn's `http`: the one that it takes by itself, with this hall before it."""
    return type("Patient", (Patient, AutoHTTPProtocol), {"hall": hall})


class Patient(asyncio.Protocol):
    """What is added to one of uvicorn's protocols; `cycle` is its request and answer in progress."""

    hall: Hall
    cycle: Any = None
    transport: Any = None
    _timer: TimerHandle | None = None
    _then: Callable[[], None] | None = None
    _unread = 0  # bytes of a head that has not ended

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._look()

    def data_received(self, data: bytes) -> None:
        before = self.cycle
        super().data_received(data)
        if self.cycle is not before:
            self._unread = 0
        elif self._awaits_next() and (before is None or not before.more_body):
            self._unread += len(data)
            if self._unread > HEAD_BYTES:
                self._end("431 Request Header Fields Too Large", f"A head has at most {HEAD_BYTES:,} bytes.")
        self._look()

    def on_message_complete(self) -> None:
        super().on_message_complete()  # type: ignore[misc]
        self.cycle.more_body = False  # uvicorn leaves it where the answer was there before the body

    def on_response_complete(self) -> None:
        super().on_response_complete()  # type: ignore[misc]
        self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        self.hall.leave(self)
        self._stop()
        super().connection_lost(exc)

    def turn_out(self) -> None:
        """Closes the connection without a word: there is no place."""
        self.transport.close()
        self._look()

    def _unsupported_upgrade_warning(self) -> None:
        """Nothing: who asks for WebSockets is answered without them, and uvicorn's advice is for nobody here."""

    def _awaits_next(self) -> bool:
        """Whether nothing is being answered: the next head is to come, perhaps behind the rest of a body."""
        return self.cycle is None or self.cycle.response_complete

    def _look(self) -> None:
        """Whether the client owes something now, and a head by when; or that it takes the end of an answer."""
        if self.transport.is_closing():
            self.hall.leave(self)
            self._start(self.hall.take_seconds, self.transport.abort)
            return
        if self._awaits_next():
            self._start(self.hall.seconds, self._is_late)
        else:
            self._stop()
        if self._awaits_next() or self.cycle.more_body:
            self.hall.enter(self)
        else:
            self.hall.leave(self)

    def _start(self, seconds: float, then: Callable[[], None]) -> None:
        """Has that done when the time is up; a time that runs already goes on."""
        if self._timer is None or self._then != then:
            self._stop()
            self._timer, self._then = asyncio.get_running_loop().call_later(seconds, then), then

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _is_late(self) -> None:
        self._timer = None
        self._end("408 Request Timeout", f"No whole head came within {self.hall.seconds:g} seconds.")

    def _end(self, status: str, said: str) -> None:
        """Answers and closes; where nothing of a request came, only closes."""
        if not self.transport.is_closing():
            if self._unread:
                body = f'{{"error":"{said}"}}'
                head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}"
                self.transport.write(f"{head}\r\nconnection: close\r\n\r\n{body}".encode())
            self.transport.close()
        self._look()
