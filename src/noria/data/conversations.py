"""Conversations out of JSON files: chat messages, or a prompt and its response, checked row by row.

Knows no chat template and no tokens.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from noria.common.errors import UserError, did_you_mean
from noria.data.json_files import Records, read_records
from noria.data.rows import Rows, require_columns

NO_PROMPT = "no_prompt"
NO_ANSWER = "no_answer"
ROLES = ("system", "user", "assistant")
SHAREGPT = "conversations"  # the column of ShareGPT-like files, whose messages are {"from": …, "value": …}
SHAREGPT_ROLES = {"human": "user", "gpt": "assistant"}
NAMED_BY = "data.messages names the column of a chat, data.prompt, data.input and data.response those of one answer."
ALPACA = "data.prompt=instruction data.input=input data.response=output"

Message = dict[str, str]


@dataclass(frozen=True)
class Columns:
    """Where a file keeps its conversations: in `messages`, or else in `prompt` (with `input`) and `response`."""

    messages: str | None
    prompt: str
    response: str
    input: str | None


def read_conversations(path: str, columns: Columns) -> Rows:
    """The conversations of a JSON file, as `messages` (JSON of a list of role and content) in a table of rows.

    `text` is all that the model is given, the answers left out: so a prompt stays on one side of a split, whatever
    its answers, and different conversations that begin alike do not stick together. Rows with a blank prompt or
    answer are left out and counted.

    Raises:
        UserError: the file or a row of it is not built as it must be, or no row is left.
    """
    records = read_records(path, [name for name in (columns.messages, SHAREGPT, columns.prompt) if name])
    read = _reader(records, columns)
    chats = [read(record, records.where(index)) for index, record in enumerate(records.objects)]
    given = ["\n\n".join(m["content"] for m in chat if m["role"] != "assistant") for chat in chats]
    table = {
        "id": [f"{records.path.name}:{number}" for number in range(1, len(chats) + 1)],
        "text": given,
        "messages": [json.dumps(chat, ensure_ascii=False) for chat in chats],
    }
    no_prompt, no_answer = _blank(chats, "user"), _blank(chats, "assistant")
    rows = Rows(pa.table({name: pa.array(values, pa.string()) for name, values in table.items()}), path)
    return rows.without(no_prompt, NO_PROMPT).without(no_answer[~no_prompt], NO_ANSWER)


def messages_of(value: Any, where: str) -> list[Message]:
    """Chat messages in one form: a list of {"role": …, "content": …}; ShareGPT's form is understood.

    Raises:
        UserError: this is no conversation that begins with the user (or the system) and ends with an answer.
    """
    if not isinstance(value, list) or not value:
        raise UserError(f"{where}: there are no messages. A list of {{role, content}} is needed.")
    messages = [_message(given, f"{where}, message {number}") for number, given in enumerate(value, 1)]
    roles = [message["role"] for message in messages]
    if roles[-1] != "assistant":
        raise UserError(
            f"{where}: the last message is of the {roles[-1]}; a conversation to learn from ends with the assistant's."
        )
    if next(role for role in roles if role != "system") != "user":
        raise UserError(f"{where}: the first message is the assistant's: there is no prompt that it answers.")
    return messages


def _reader(records: Records, columns: Columns) -> Callable[[dict[str, Any], str], list[Message]]:
    """How a conversation is read from an object of this file."""
    names = records.names
    if columns.messages is not None:
        for name in (columns.messages, SHAREGPT):
            if name in names:
                return lambda record, where: messages_of(record.get(name), where)
    inputs = [columns.input] if columns.input is not None else []
    is_alpaca = {"instruction", "input", "output"} <= set(names)
    named_by = f"{NAMED_BY} Here: {ALPACA}." if is_alpaca else NAMED_BY
    require_columns(names, [columns.prompt, *inputs, columns.response], f"'{records.path}'", named_by)

    def read(record: dict[str, Any], where: str) -> list[Message]:
        prompt, *rest = (_cell(record, name, where) for name in (columns.prompt, *inputs))
        prompt = "\n\n".join([prompt, *(part for part in rest if part.strip())])
        response = _cell(record, columns.response, where)
        return [{"role": "user", "content": prompt}, {"role": "assistant", "content": response}]

    return read


def _message(given: Any, where: str) -> Message:
    keys = set(given) if isinstance(given, dict) else set()
    role_key, content_key = ("from", "value") if {"from", "value"} <= keys else ("role", "content")
    if not {role_key, content_key} <= keys:
        there = f"has {', '.join(sorted(keys))}" if keys else "is no such object"
        raise UserError(f"{where} {there}: 'role' and 'content' are needed (or 'from' and 'value').")
    role, content = given[role_key], given[content_key]
    role = SHAREGPT_ROLES.get(role, role) if isinstance(role, str) else role
    if role not in ROLES:
        known = [*ROLES, *SHAREGPT_ROLES]
        raise UserError(f"{where}: unknown role {role!r}. {did_you_mean(str(role), known)}")
    return {"role": role, "content": _text(content, f"{where}: its content")}


def _cell(record: dict[str, Any], name: str, where: str) -> str:
    value = record.get(name)
    return "" if value is None else _text(value, f"{where}: '{name}'")


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str):
        raise UserError(f"{what} is of type {type(value).__name__}, not text.")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise UserError(f"{what} is not valid text: {error}.") from None
    return value


def _blank(chats: list[list[Message]], role: str) -> np.ndarray:
    """In which conversations a message of this role is blank (bool)."""
    return np.array([any(m["role"] == role and not m["content"].strip() for m in chat) for chat in chats])
