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
_PASSWORD = re.compile(r"(?<=://)([^:/\s]{0,200}):(?!\d+(?:/|$))[^\s]{0,1000}@")
# In that of a database a password may hold spaces, and may look like a port: `user:80/x@host`.
_DATABASE = re.compile(
    r"(?i)((?:postgres\w*|mysql|mariadb|mssql|oracle|rediss?|mongodb|clickhouse|snowflake)(?:\+\w+)?://"
    r"(?:[^:/@\s]{0,200}|[^:/\s]{0,200}(?!:\d+(?:[/\s]|$)))):(?!\d+\s)(?:(?!://)[^\n]){0,1000}@"
)
_SECRET_OPTION = r"(?:password|passwd|pwd|secret|token|api_?key|access_?key|account_?key|signature)"
_OPTION = re.compile(rf"(?i)([?&;][\w.-]*{_SECRET_OPTION}=|[?&;]sig=)[^&;\s'\"]+")
# `host=h user=u password=p`, as libpq and ODBC have it
_PARTS = re.compile(r"(?i)(?:^|.*[\s;])(?:host|server|user|dbname|data source)\s*=")
_PART = re.compile(r"(?i)((?:^|[\s;])(?:password|passwd|pwd)\s*=\s*)(?:'(?:[^'\\]|\\.)*'|[^\s;]+)")
# What a dict on the command line holds: `{user:u,password:p}`
_INSIDE = re.compile(r"""([{,]\s*['"]?([\w-]+)['"]?\s*:\s*)('[^']*'|"[^"]*"|[^,{}\[\]]+)""")
_NAME = re.compile(
    r"passwords?$|(^|_)(passwd|pwd|passphrase|secrets?|credentials?|authorization"
    r"|(api|access|secret|private|account)_?keys?)$"
    r"|(^|_)((hf|auth|access|api|bearer|refresh|wandb|session|security|secret|sas|bot|hub|git_?hub|gh|git_?lab)_?)token$"
    r"|^token$"
)
_TYPED = re.compile(r"([+~]*(?:[\w/@-]+\.)*([\w-]+)=)(.+)", re.DOTALL)


def masked(value: Any, name: str = "") -> Any:
    """The value with `***` for each password in a URL, and for each text or number whose key is that of a secret.

    Args:
        value: a config or a part of one, as plain containers.
        name: the key that it stands at: `password`, `api_key`, `token` and the like are secrets, and so is all that
            stands in a dict or list there.
    """
    if isinstance(value, dict):
        return {key: masked(item, _inner(name, str(key))) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [masked(item, name) for item in value]
    if isinstance(value, bool) or value is None or value == "":
        return value
    if _is_secret(name):  # YAML reads `password: 12345` as a number
        return MASK
    return _masked_word(value) if isinstance(value, str) else value


def masked_text(text: str) -> str:
    """A text with `***` for each password of a URL in it, and of `host=… password=…`."""
    for url in (_DATABASE, _PASSWORD):
        text = url.sub(rf"\1:{MASK}@", text)
    text = _OPTION.sub(rf"\1{MASK}", text)
    return _PART.sub(rf"\1{MASK}", text) if _PARTS.match(text) else text


def masked_words(words: list[str]) -> list[str]:
    """A command line, whose words may be `key=secret`."""
    return [_masked_word(word) for word in words]


def secrets(config: dict[str, Any]) -> dict[str, Any]:
    """The values of a config that are written with a mask, by dotted key (`data.url`, `data.urls[0]`)."""
    return {key: value for key, name, value in _leaves(config) if masked(value, name) != value}


def lost(config: dict[str, Any]) -> list[str]:
    """The dotted keys of a saved config whose value is a mask alone. The passwords of URLs are not among them."""
    return [key for key, _, value in _leaves(config) if value == MASK]


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
    if typed and _is_secret(typed[2]) and typed[3] not in ("null", "''", '""'):
        return f"{typed[1]}{MASK}"
    if typed and "{" in typed[3]:
        word = _INSIDE.sub(lambda found: found[1] + (MASK if _is_secret(found[2]) else found[3]), word)
    return masked_text(word)


def _is_secret(name: str) -> bool:
    """Whether that is the key of a secret, in any of the ways to write one: `api_key`, `apiKey`, `API-KEY`."""
    return bool(_NAME.search(re.sub(r"(?<=[a-z\d])(?=[A-Z])", "_", name).replace("-", "_").lower()))


def _inner(outer: str, name: str) -> str:
    """What a key goes by inside a dict that stands at `outer`. Which class is made (`_target_`) is no secret."""
    return outer if _is_secret(outer) and not name.startswith("_") else name


def _leaves(value: Any, key: str = "", name: str = "") -> Iterator[tuple[str, str, Any]]:
    if isinstance(value, dict):
        for inner, item in value.items():
            yield from _leaves(item, f"{key}.{inner}".lstrip("."), _inner(name, str(inner)))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _leaves(item, f"{key}[{index}]", name)
    else:
        yield key, name, value
