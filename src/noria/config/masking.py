"""Passwords and keys of a config are written nowhere: a mask stands in their place. Knows no files.

What is written (records, artifacts, W&B) is masked. A config that is read again has lost its passwords: a database
takes its own from the environment (PGPASSWORD, ~/.pgpass), anything else has to be typed again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

MASK = "***"

# Of a URL: all between the colon behind the user and the last `@`. A port is no password.
_PASSWORD = re.compile(r"(?<=://)([^:/@\s]*):(?!\d+(?:/|$))[^\s]*@")
_OPTION = re.compile(r"(?i)([?&;][\w.-]*(?:password|passwd|pwd|secret|token|api_?key|access_?key)=)[^&;\s'\"]+")
_NAME = re.compile(
    r"(?i)(^|_)(password|passwd|pwd|passphrase|secret|api_?key|access_?key|secret_?key|private_?key|credentials?)$"
    r"|^((hf|auth|access|api|bearer|refresh|wandb|use_auth)_?)?token$"
)
_TYPED = re.compile(r"([+~]*(?:[\w/@-]+\.)*([\w-]+)=)(.+)", re.DOTALL)


def masked(value: Any, name: str = "") -> Any:
    """The value with `***` for each password in a URL, and for each text whose key is that of a secret.

    Args:
        value: a config or a part of one, as plain containers.
        name: the key that it stands at: `password`, `api_key`, `token` and the like are secrets.
    """
    if isinstance(value, dict):
        return {key: masked(item, str(key)) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [masked(item, name) for item in value]
    if not isinstance(value, str) or not value:
        return value
    return MASK if _NAME.search(name) else _masked_word(value)


def masked_text(text: str) -> str:
    """A text with `***` for each password of a URL in it."""
    return _OPTION.sub(rf"\1{MASK}", _PASSWORD.sub(rf"\1:{MASK}@", text))


def masked_words(words: list[str]) -> list[str]:
    """A command line, whose words may be `key=secret`."""
    return [_masked_word(word) for word in words]


def secrets(config: dict[str, Any]) -> dict[str, str]:
    """The texts of a config that are written with a mask, by dotted key (`data.url`, `data.urls[0]`)."""
    return {key: text for key, name, text in _texts(config) if masked(text, name) != text}


def lost(config: dict[str, Any]) -> list[str]:
    """The dotted keys of a saved config whose value is a mask alone. The passwords of URLs are not among them."""
    return [key for key, _, text in _texts(config) if text == MASK]


def without_passwords(value: Any) -> Any:
    """A saved config with its masked URLs as URLs without a password: their drivers look for one in the environment."""
    if isinstance(value, dict):
        return {key: without_passwords(item) for key, item in value.items()}
    if isinstance(value, list):
        return [without_passwords(item) for item in value]
    if not isinstance(value, str) or value == MASK:
        return value
    text = value.replace(f":{MASK}@", "@")
    return re.sub(rf"[?&;][\w.-]+={re.escape(MASK)}", "", text)


def _masked_word(word: str) -> str:
    typed = _TYPED.fullmatch(word)
    if typed and _NAME.search(typed[2]) and typed[3] not in ("null", "''", '""'):
        return f"{typed[1]}{MASK}"
    return masked_text(word)


def _texts(value: Any, key: str = "", name: str = "") -> Iterator[tuple[str, str, str]]:
    if isinstance(value, dict):
        for inner, item in value.items():
            yield from _texts(item, f"{key}.{inner}".lstrip("."), str(inner))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _texts(item, f"{key}[{index}]", name)
    elif isinstance(value, str):
        yield key, name, value
