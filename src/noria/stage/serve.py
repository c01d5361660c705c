"""`stage=serve`: an artifact, or the champion of a registry, behind HTTP until Ctrl-C."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, cast

from annotated_types import Ge, Gt, Le
from omegaconf import DictConfig
from sqlalchemy import URL

from noria.artifact import bundle
from noria.common.console import get_console
from noria.feedback.engine import is_open_to_others, parse, shown
from noria.feedback.scrub import coverage, personal
from noria.feedback.store import Store
from noria.serving.model import describe
from noria.serving.server import Device, Server
from noria.serving.settings import KEYS, Keys, Settings, refuse_open_door
from noria.serving.source import Source
from noria.stage.parts import device_of, precision_of


def serve(
    cfg: DictConfig,
    choices: dict[str, Any],
    multirun: bool,
    *,
    host: str = "127.0.0.1",
    port: Annotated[int, Ge(0), Le(65535)] = 8000,
    max_batch_size: Annotated[int, Gt(0)] = 32,
    batch_timeout: Annotated[float, Ge(0)] = 0.002,
    queue_size: Annotated[int, Gt(0)] = 256,
    timeout: Annotated[float, Gt(0)] = 30.0,
    max_texts: Annotated[int, Gt(0)] = 64,
    max_body: Annotated[int, Gt(0)] = 1 << 20,
    feedback: str | None = "sqlite:///feedback.db",
    keep_texts: bool = True,
    scrub: bool = True,
    workers: Annotated[int, Gt(0)] = 1,
    follow: Annotated[float, Gt(0)] = 2.0,
    force: bool = False,
) -> None:
    """Answers texts over HTTP, keeps what it predicted, and takes feedback on it. `/` is a page for people.

    Of a registry it serves the champion, and takes a new one without losing a request.

    Args:
        host: where to listen; only this machine's own without API keys.
        port: 0: a free one.
        max_batch_size: how many texts at once.
        batch_timeout: seconds that the first text of a batch waits for others.
        queue_size: how many texts may be let in and not yet answered and stored.
        timeout: seconds until a request is given up.
        max_texts: of a request.
        max_body: bytes of a request.
        feedback: the URL of the database for predictions and feedback; None: nothing is kept.
        keep_texts: keep the texts too.
        scrub: mask what looks personal in the texts that are kept.
        workers: how many processes answer, each with the model in memory.
        follow: seconds between two looks at the champion.
        force: serve an exported artifact that was not shown to be as good and as quick as the one it was made from.

    Raises:
        UserError: a model that is not served, keys that are missing, or a port, a database or the finder of names that
            cannot be opened.
    """
    settings = Settings(
        host, port, max_batch_size, batch_timeout, queue_size, timeout, max_texts, max_body, follow, workers
    )
    keys = Keys(os.environ.get(KEYS))
    refuse_open_door(host, keys)
    source = Source(Path(cfg.artifact).expanduser())
    named = source.current()
    facts = bundle.read_facts(named.folder)
    describe(facts, named)
    if not force:
        bundle.refuse_marked(named.folder, facts, "stage.force=true serves it all the same.")
    precision, device = precision_of(cfg), device_of(cfg)
    scrubs = feedback is not None and keep_texts and scrub
    texts = _kept_texts(feedback, keep_texts, scrub)
    store = None if feedback is None else Store(feedback, keep_texts=keep_texts, scrub=None)
    try:
        server = Server(
            source, settings, keys, store, precision, cast(Device, device.type), personal if scrubs else None
        )
        _run(server, lambda url: _greeting(url, server, feedback, texts, keys))
    finally:
        if store is not None:
            store.close()


def _run(server: Server, greeting: Callable[[str], list[str]]) -> None:
    """Serves until a signal; says where, once it is there, and at the end what was done."""
    console = get_console()

    def ready(url: str) -> None:
        for line in greeting(url):
            console.print(line, highlight=False, soft_wrap=True)

    try:
        server.run(ready)
    finally:
        if server.status.newest is not None:
            console.print(_farewell(server), highlight=False)


def _place(url: URL) -> str:
    """Where feedback is kept, for people."""
    if is_open_to_others(url):
        return f"{shown(url)} (OTHER USERS of this machine can read it: chmod 600 {url.database}*)"
    return shown(url)


def _kept_texts(feedback: str | None, keep_texts: bool, scrub: bool) -> str:
    """What becomes of the texts, for people."""
    if feedback is None or not keep_texts:
        return "not kept"
    return f"kept {coverage()}" if scrub else "kept as they are, with all personal data in them (stage.scrub=false)"


def _greeting(url: str, server: Server, feedback: str | None, texts: str, keys: Keys) -> list[str]:
    key = ' -H "Authorization: Bearer $KEY"' if keys else ""
    assert server.status.newest is not None, "a server starts with a model"
    service = server.status.newest.description.service
    body = json.dumps({service.asks: service.examples()[0]})
    return [
        f"Serving {' '.join(server.status.versions)} at {url} (Ctrl-C ends)",
        f"feedback: {'kept nowhere' if feedback is None else _place(parse(feedback))}",
        f"texts: {texts}",
        f"try: curl {url}/predict{key} -H 'Content-Type: application/json' -d '{body}'",
    ]


def _farewell(server: Server) -> str:
    done = {name: f"{count:,}" for name, count in server.status.answered.items()}
    return f"answered: {done['texts']} texts in {done['requests']} requests, feedback taken: {done['feedback']}"
