"""Reads what is to be answered: chat messages or plain prompts. Knows neither models nor tokens."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from noria.common.errors import UserError, did_you_mean
from noria.data.files import read_table
from noria.inference.inputs import read_records

FIELDS = ("messages", "prompt", "text")

Messages = list[dict[str, Any]]
Prompt = str | Messages  # a text to go on from, or a conversation to answer


def read_prompts(source: str) -> Iterator[dict[str, Any]]:
    """One dict an input, in order, holding `messages`, `prompt` or `text`; where it has several, the first counts.

    Args:
        source: a file (JSON, JSONL, CSV, TSV, Parquet by suffix; else plain lines), or `-` for standard input. A
            plain line is a prompt; one that is a JSON object is read as one.

    Raises:
        UserError: an unreadable file, a line that is no JSON, neither of the fields, or messages that are none.
    """
    for where, found in read_records(source, ["prompt"], _table):
        row = {"prompt": found} if isinstance(found, str) else found
        name = _field(row)
        if name is None:
            raise UserError(
                f"{where}: there is no 'prompt' and there are no 'messages'. {did_you_mean('prompt', row)}".rstrip()
            )
        if row[name] is not None and name == "messages":
            check_messages(row[name], where)
        elif not isinstance(row[name], str | None):
            raise UserError(f"{where}: '{name}' is {json.dumps(row[name], default=str)}, which is no text.")
        yield row


def prompt_of(row: dict[str, Any], chat: bool) -> Prompt | None:
    """What a row asks, None where it is blank.

    Args:
        chat: a plain prompt becomes the message of a user.
    """
    value = row[_field(row) or "prompt"]
    said = value[-1]["content"] if isinstance(value, list) and value else value
    if not said or not said.strip():
        return None
    return [{"role": "user", "content": value}] if chat and isinstance(value, str) else value


def check_messages(messages: object, where: str) -> None:
    """Refuses what is no conversation that waits for an answer.

    Raises:
        UserError: it names the message.
    """
    example = '[{"role": "user", "content": "…"}]'
    if not isinstance(messages, list):
        raise UserError(f"{where}: 'messages' must be a list such as {example}.")
    for number, message in enumerate(messages, 1):
        if not isinstance(message, dict):
            raise UserError(f"{where}: message {number} is no object such as those in {example}.")
        for key in ("role", "content"):
            if not isinstance(message.get(key), str):
                what = "is no text" if message.get(key) is not None else "is missing"
                raise UserError(f"{where}: the '{key}' of message {number} {what}. Messages look like {example}.")
    if messages and messages[-1]["role"] == "assistant":
        raise UserError(f"{where}: the last message is the assistant's own. Leave it out, and it will be written anew.")


def _field(row: dict[str, Any]) -> str | None:
    """The first of the fields that holds something, or else that is there."""
    there = [name for name in FIELDS if name in row]
    return next((name for name in there if row[name] is not None), there[0] if there else None)


def _table(path: Path) -> pa.Table:
    """The column of the prompts."""
    problems = []
    for name in FIELDS:
        try:
            return read_table(path, [name])
        except UserError as error:
            problems.append(str(error))
    if len(set(problems)) == 1:  # it is not about the column
        raise UserError(problems[0])
    raise UserError(f"'{path}' has none of the columns {', '.join(FIELDS)}.")
