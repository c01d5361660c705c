"""Builds the server on LitServe and runs it until a signal; then answers what it has accepted, and ends."""

from __future__ import annotations

import multiprocessing
import socket
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager, suppress
from multiprocessing.queues import SimpleQueue
from types import FrameType
from typing import Any, Literal

import uvicorn
from litserve import LitServer
from litserve.utils import wrap_litserve_start

from noria.common.end_signals import handle_end_signals, is_first, restore_signals
from noria.common.errors import RunError, Terminated, UserError
from noria.feedback.rows import Scrub
from noria.feedback.store import Store
from noria.serving.door import Hall, most_waiting, protocol
from noria.serving.follow import Event, Taken
from noria.serving.metrics import Counted, Metrics
from noria.serving.problem import Heads, answer_problems
from noria.serving.processes import starting
from noria.serving.routes import PATHS, Routes
from noria.serving.settings import Keys, Settings
from noria.serving.source import Source
from noria.serving.status import Status
from noria.serving.waiting import Waiting
from noria.serving.worker import END, PATH, Answering, Plan
from noria.serving.writer import Writer

# The documentation pages go too: their scripts would come from elsewhere.
REPLACED = PATHS | {"/docs", "/redoc", "/docs/oauth2-redirect"}
Device = Literal["cpu", "cuda", "mps"]
BACKLOG = 2048
WATCH: Any = 0.5  # seconds between two looks whether the workers live; LitServe says int, and sleeps so long
GRACE = 5.0  # seconds beyond the time-out for what was accepted


class _Hearing(uvicorn.Server):
    """Ends at SIGHUP as it does at SIGTERM."""

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        def heed(number: int, frame: FrameType | None) -> None:
            is_first(number)
            self.handle_exit(number, frame)

        before = handle_end_signals(heed)
        try:
            with super().capture_signals():
                yield
        finally:
            restore_signals(before)


class Server:
    """One server over one source.

    LitServe gives the worker processes, their queues, the watch over them, and the app. Its routes are replaced and
    its `run` is not used: its own request path answers bad bodies with 500, takes any number of requests, accepts
    neither port 0 nor SIGTERM, and compares keys as strings.

    Args:
        store: None: predictions are not kept.
        scrub: finds personal data in the texts that are kept; None leaves it to the store.
        device: where the workers' models run.
    """

    def __init__(
        self,
        source: Source,
        settings: Settings,
        keys: Keys,
        store: Store | None,
        precision: str,
        device: Device,
        scrub: Scrub | None = None,
    ) -> None:
        self.settings = settings
        self.status = Status(source.follows)
        self._writer = None if store is None else Writer(store, scrub)
        with starting():  # multiprocessing starts a process for its locks
            self._events: SimpleQueue[Event | None] = multiprocessing.get_context("spawn").SimpleQueue()
        batching = settings.max_batch_size, settings.batch_timeout, settings.timeout
        self._api = Answering(Plan(source, precision, *batching, settings.follow), self._events)
        metrics = Metrics()
        self._lit = LitServer(
            self._api, accelerator=device, devices=1, workers_per_device=settings.workers, timeout=settings.timeout,
            restart_workers=True, middlewares=[(Counted, {"metrics": metrics, "routes": PATHS}), Heads],
        )  # fmt: skip
        self._lit.monitor_internal = WATCH
        waiting = Waiting(self._lit, settings.queue_size, metrics)
        metrics.watch(self.status, lambda: waiting.count)
        app = self._lit.app
        app.router.routes[:] = [route for route in app.router.routes if getattr(route, "path", None) not in REPLACED]
        app.router.redirect_slashes = False
        answer_problems(app)
        Routes(settings, keys, self.status, waiting, self._writer, metrics).add_to(app)
        self.status.pass_on(self._remember)

    def run(self, ready: Callable[[str], None]) -> None:
        """Serves until SIGINT, SIGTERM or SIGHUP, answers what was accepted, and ends.

        Args:
            ready: is given the server's URL when the model is warm.

        Raises:
            UserError: the port is taken, or there is no model to serve.
        """
        with ExitStack() as stack:
            opened = stack.enter_context(_opened(self.settings.host, self.settings.port))
            if self._writer is not None:
                stack.callback(self._writer.close)
            stack.enter_context(self._listening())
            with starting():
                stack.enter_context(wrap_litserve_start(self._lit, worker_monitor=True))
            stack.callback(self._dismiss)
            self._wait_for_model()
            opened.listen(BACKLOG)  # who comes now waits until uvicorn takes over
            ready(url(opened))
            config = uvicorn.Config(
                self._lit.app, log_config=None, access_log=False, server_header=False, lifespan="on", ws="none",
                http=protocol(Hall(most_waiting())),
                timeout_graceful_shutdown=int(self.settings.timeout + GRACE),
            )  # fmt: skip
            with suppress(KeyboardInterrupt, Terminated):  # uvicorn raises the signal again once all is answered
                _Hearing(config).run([opened])

    def _remember(self, event: Event) -> None:
        if isinstance(event, Taken):  # a worker that is started anew falls back on it
            self._api.fallback = event.named

    @contextmanager
    def _listening(self) -> Iterator[None]:
        """Hears what workers tell, in a thread."""

        def listen() -> None:
            while (event := self._events.get()) is not None:
                self.status.hear(event)

        thread = threading.Thread(target=listen, name="events", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._events.put(None)
            thread.join()

    def _wait_for_model(self) -> None:
        workers = list(self._lit.inference_workers)
        while self.status.newest is None:
            if self.status.failed is not None:
                raise UserError(f"There is nothing to serve: {self.status.failed.reason}")
            if not any(worker.is_alive() for worker in workers):
                time.sleep(0.5)  # its last words are on their way
                if self.status.failed is None and self.status.newest is None:
                    raise RunError(f"The process that opens the model has died (status {workers[0].exitcode}).")
            time.sleep(0.02)

    def _dismiss(self) -> None:
        """Lets the workers end by themselves: they ignore the signal that LitServe would send."""
        ended: Any = self._lit._shutdown_event
        ended.set()
        for thread in threading.enumerate():
            if thread.name == "litserve-monitoring":  # or it would start them anew
                thread.join()
        for _ in self._lit.inference_workers:
            self._lit._get_request_queue(PATH).put(END)
        end = time.monotonic() + GRACE
        for worker in self._lit.inference_workers:
            worker.join(max(0.0, end - time.monotonic()))
            if worker.is_alive():
                worker.kill()


@contextmanager
def _opened(host: str, port: int) -> Iterator[socket.socket]:
    """A socket that is bound and not yet listening.

    Raises:
        UserError: it cannot be.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as opened:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            opened.bind((host.strip("[]"), port))
        except OSError as error:
            reason = error.strerror or error
            raise UserError(
                f"stage.host={host} stage.port={port} cannot be opened: {reason}. stage.port=0 takes a free one."
            ) from None
        yield opened


def url(opened: socket.socket) -> str:
    """Where a browser on this machine finds it."""
    host, port = opened.getsockname()[:2]
    name = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"
