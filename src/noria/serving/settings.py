"""How a server is set up, and the API keys that it knows. Knows nothing of models."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import math
from dataclasses import dataclass

from noria.common.errors import UserError
from noria.feedback.text import NAME_LIMIT

KEYS = "NORIA_API_KEYS"
SCHEME = "bearer"


@dataclass(frozen=True)
class Settings:
    """Limits and places, as `conf/stage/serve.yaml` explains them. Times are seconds, `max_body` bytes.

    Raises:
        UserError: they contradict each other.
    """

    host: str
    port: int
    max_batch_size: int
    batch_timeout: float
    queue_size: int
    timeout: float
    max_texts: int
    max_body: int
    follow: float
    workers: int

    def __post_init__(self) -> None:
        if self.max_texts > self.queue_size:
            raise UserError(
                f"stage.max_texts={self.max_texts} is more than stage.queue_size={self.queue_size}: a request of so "
                "many texts would never be let in. Raise queue_size or lower max_texts."
            )
        for name in ("timeout", "follow"):
            if not math.isfinite(getattr(self, name)):
                raise UserError(f"stage.{name} is a number of seconds, not {getattr(self, name)}: a server must end.")
        if self.batch_timeout >= self.timeout:
            raise UserError(
                f"stage.batch_timeout={self.batch_timeout} is how long a text waits for others, and stage.timeout="
                f"{self.timeout} when it is given up: make batch_timeout the shorter one, such as 0.002."
            )


class Keys:
    """Who may ask: the names and keys of NORIA_API_KEYS, `name:key` and commas between. No keys: everyone may.

    Only digests are kept, so that no key can get into a log.

    Raises:
        UserError: something in it is no `name:key`, a name is too long to be kept, or a name or a key comes twice.
    """

    def __init__(self, given: str | None) -> None:
        entries = [entry.strip() for entry in (given or "").split(",") if entry.strip()]
        self._names: list[tuple[str, bytes]] = []
        for number, entry in enumerate(entries, 1):
            name, _, key = (part.strip() for part in entry.partition(":"))
            if not name or not key or not key.isascii():
                raise UserError(f"{KEYS}: entry {number} is no name:key (such as alice:…, in ASCII).")
            if len(name) > NAME_LIMIT:
                raise UserError(f"{KEYS}: the name of entry {number} has more than {NAME_LIMIT} characters.")
            self._names.append((name, _digest(key)))
        for place, what in enumerate(("names", "keys")):
            if len({entry[place] for entry in self._names}) < len(self._names):
                raise UserError(f"{KEYS}: two of its {what} are the same.")

    def __bool__(self) -> bool:
        return bool(self._names)

    def client(self, authorization: str | None) -> str | None:
        """The name of the client that sends this header; None for an unknown key. Every wrong key takes as long."""
        scheme, _, key = (authorization or "").partition(" ")
        found = None
        digest = _digest(key.strip())
        for name, known in self._names:
            if hmac.compare_digest(digest, known):
                found = name
        return found if scheme.lower() == SCHEME else None


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches that host."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def refuse_open_door(host: str, keys: Keys) -> None:
    """Without keys a server is for its own machine.

    Raises:
        UserError: others would reach it.
    """
    if not keys and not is_loopback(host):
        raise UserError(
            f"stage.host={host} can be reached from elsewhere, and there are no API keys: set {KEYS}=name:key in the "
            "environment (several with commas between), or leave stage.host=127.0.0.1."
        )


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
