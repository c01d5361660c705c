"""Commands that people are told to type: they work as they stand, in a shell, and find components of one's own."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

PLAIN = re.compile(r"[\w./-]*/[\w./-]*|[A-Za-z_][\w-]*", re.ASCII)  # that Hydra reads as the text it is, unquoted
NOT_TEXT = ("null", "true", "false", "nan", "inf", "auto", "yes", "no", "on", "off")
OF_TRUST = ("hydra.searchpath=", "model.trust_remote_code=")
FOLDER_OPTIONS = ("--config-dir", "-cd")


def command(*words: str) -> str:
    """A whole command of Noria's, with what of this one's command line others need too (`own_words`)."""
    script = Path(sys.argv[0])
    name = f"python {_in_shell(str(script))}" if script.name == "run.py" else "noria"
    return " ".join([name, *map(_in_shell, [*words, *own_words(sys.argv[1:])])])


def word(key: str, value: object) -> str:
    """`key=value` as Hydra reads it, whatever the value is."""
    text = str(value)
    plain = PLAIN.fullmatch(text) and text.lower() not in NOT_TEXT
    return f"{key}={text}" if plain else f"{key}='{_escaped(text)}'"


def own_words(argv: list[str]) -> list[str]:
    """The words of a command line that say whose code is trusted: folders of configs, targets, a model's own Python."""
    kept = []
    for place, typed in enumerate(argv):
        if typed in FOLDER_OPTIONS:
            kept += argv[place : place + 2]
        elif typed.startswith("--config-dir=") or "_target_=" in typed or typed.startswith(OF_TRUST):
            kept.append(typed)
    return kept


def own_folders(argv: list[str]) -> list[Path]:
    """The folders of configs that a command line names."""
    found = []
    for place, typed in enumerate(argv):
        if typed in FOLDER_OPTIONS:
            found += argv[place + 1 : place + 2]
        elif typed.startswith("--config-dir="):
            found.append(typed.partition("=")[2])
        elif typed.startswith("hydra.searchpath="):
            found += re.findall(r"file://([^,\]'\"]+)", typed)
    return [Path(folder).expanduser() for folder in found]


def _in_shell(typed: str) -> str:
    """A word as a shell takes it; Hydra's own quotes stay readable where they can."""
    return f'"{typed}"' if "'" in typed and not set(typed) & set('"$`\\!') else shlex.quote(typed)


def _escaped(text: str) -> str:
    """Inside single quotes: a quote is escaped, and so are the backslashes in front of one, or at the end."""
    return re.sub(r"(\\*)('|$)", lambda at: at[1] * 2 + ("\\'" if at[2] else ""), text)
