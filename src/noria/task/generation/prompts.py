"""Reads what is to be answered: chat messages or plain prompts, also out of files that are there to learn from.

Knows neither models nor tokens.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from noria.common.errors import UserError, did_you_mean
from noria.data.chat.conversations import SHAREGPT, begun
from noria.data.chat.messages import (
    CALL,
    ROLES,
    SAME_ROLES,
    WEIGHTS,
    BadConversationError,
    Understood,
    absent,
    one_form,
    parsed,
    text_of,
    tools_of,
)
from noria.data.source.files import read_rows
from noria.data.source.inputs import read_records

INSTRUCTION = "instruction"  # the column of Alpaca-like files, which has a column `input` beside it

Messages = list[dict[str, Any]]
# A text to go on from, or a conversation to answer; with `tools` beside its `messages` where it has any.
Prompt = str | Messages | dict[str, Any]


@dataclass(frozen=True)
class Fields:
    """The names of the fields that hold what is asked, as `data` names its columns; the usual names are known as well.

    Args:
        messages: a chat; answers that it ends with are cut off.
        prompt: what is asked.
        input: what goes below the prompt, after a blank line.
        response: what answered the prompt before.
        text: a text to go on from.
        system, history, tools: what stands beside a chat, as `data=instructions` reads it.
        only: the one field that holds what is asked, a text or a chat; None: any of the others.
    """

    messages: str = "messages"
    prompt: str = "prompt"
    input: str | None = None
    response: str = "response"
    text: str = "text"
    system: str = "system"
    history: str = "history"
    tools: str = "tools"
    only: str | None = None

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Fields:
        """Those that a config of data names."""
        names = ("messages", "prompt", "input", "response", "text", "system", "history", "tools")
        return cls(**{name: data[name] for name in names if isinstance(data.get(name), str)})

    @property
    def chats(self) -> list[str]:
        """The fields that may hold a chat."""
        return list(dict.fromkeys([self.messages, "messages", SHAREGPT]))

    @property
    def all(self) -> list[str]:
        """Every field that may hold what is asked; where a row has several, the first that holds something counts."""
        if self.only is not None:
            return [self.only]
        return list(dict.fromkeys([*self.chats, self.prompt, "prompt", INSTRUCTION, self.text, "text"]))

    def is_chat(self, name: str, value: object) -> bool:
        """Whether what a field holds is a chat, or should be one: its name says so, or it is a list."""
        return isinstance(value, list) or (self.only is None and name in self.chats)

    def find(self, row: Mapping[str, Any]) -> str | None:
        """The first of them that holds something, or else that is there."""
        there = [name for name in self.all if name in row]
        return next((name for name in there if row[name] is not None), there[0] if there else None)


USUAL = Fields()


def read_prompts(source: str, fields: Fields = USUAL, quoted: bool | None = None) -> Iterator[dict[str, Any]]:
    """One dict an input, in order, with all of its fields, one of `fields` among them.

    Args:
        source: a file (JSON, CSV, TSV, Parquet by its ending; else plain lines), or `-` for standard input. A plain
            line is a prompt; one that is a JSON object is read as one.
        quoted: as `read_inputs` takes it.

    Raises:
        UserError: an unreadable file, a line that is no JSON, none of the fields, or messages that are none.
    """
    names = sorted(fields.all, key=lambda name: name not in ("messages", "prompt", "text"))  # the best known first
    for where, found in read_records(source, lambda path: read_rows(path, [], names, quoted)):
        row = {fields.only or "prompt": found} if isinstance(found, str) else found
        name = fields.find(row)
        if name is None:
            lacking = "there is no 'prompt' and there are no 'messages'"
            lacking = lacking if fields.only is None else f"there is no '{fields.only}'"
            raise UserError(f"{where}: {lacking}. {did_you_mean(fields.only or 'prompt', row)}".rstrip())
        if row[name] is not None and fields.is_chat(name, row[name]):
            check_messages(_asked(row[name]), where)
        elif not isinstance(row[name], str | None):
            raise UserError(f"{where}: '{name}' is {json.dumps(row[name], default=str)}, which is no text.")
        yield row


def prompt_of(row: dict[str, Any], chat: bool, fields: Fields = USUAL) -> Prompt | None:
    """What a row asks, None where it is blank.

    Args:
        chat: a plain prompt becomes the message of a user.
    """
    name = fields.find(row) or "prompt"
    value = row[name]
    if fields.is_chat(name, value):
        messages: Messages = _asked(value or [])
        if not messages or not str(messages[-1].get("content") or messages[-1].get("tool_calls") or "").strip():
            return None
        return _with_what_is_beside(messages, row, fields)
    if not value or not value.strip():
        return None
    below = row.get(fields.input or ("input" if name == INSTRUCTION else ""))
    text = f"{value}\n\n{below}" if isinstance(below, str) and below.strip() else value
    return _with_what_is_beside([{"role": "user", "content": text}], row, fields) if chat else text


def _with_what_is_beside(messages: Messages, row: Mapping[str, Any], fields: Fields) -> Prompt:
    beside = {"system": fields.system, "history": fields.history, "tools": fields.tools}
    found = {key: row[name] for key, name in beside.items() if not absent(row.get(name))}
    return {"messages": messages, **found} if found else messages


def reference_of(row: dict[str, Any], fields: Fields = USUAL) -> Any:
    """The earlier answer to a row: the answers at the end of its chat, or its response; None without one."""
    name = fields.find(row)
    said = None if name is None or not fields.is_chat(name, row[name]) else _messages(row[name])
    if isinstance(said, list):
        cut = said[len(_asked(said)) :]
        return "\n\n".join(map(_said, cut)) if cut else row.get(fields.response)
    return row.get(fields.response)


def _said(message: Mapping[str, Any]) -> str:
    """What a message says, for people; also where it has parts of text."""
    content = message.get("content") or ""
    try:
        return text_of(content, "an answer")
    except BadConversationError:
        return str(content)


def _asked(value: Any) -> Any:
    """Messages up to the last one that is not the assistant's; anything but a list of messages stays as it is."""
    messages = _messages(value)
    if not isinstance(messages, list):
        return messages
    stop = len(messages)
    while stop and _is_answer(messages[stop - 1]):
        stop -= 1
    return messages[:stop]


def _is_answer(message: Any) -> bool:
    role = message.get("role") if isinstance(message, dict) else None
    return isinstance(role, str) and SAME_ROLES.get(role, role) == "assistant"


def _messages(value: Any) -> Any:
    """Messages of {role, content}, also from ShareGPT's {from, value} and from a list in JSON; a field that is null is
    no field."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        with suppress(BadConversationError):  # then it is no list, which is said where its place is known
            value = parsed(value, "a chat")
    if not isinstance(value, list):
        return value
    return [_message(given) if isinstance(given, dict) else given for given in value]


def _message(given: dict[str, Any]) -> dict[str, Any]:
    message = {name: value for name, value in given.items() if value is not None}
    if not {"from", "value"} <= {*message}:
        return message
    role, content = message.pop("from"), message.pop("value")
    if isinstance(role, str) and role != CALL:  # whose text is a call: `one_form` makes one of it
        role = SAME_ROLES.get(role, role)
    return {"role": role, "content": content, **message}


def conversation(prompt: Sequence[dict[str, Any]] | dict[str, Any], where: str) -> tuple[Messages, Messages]:
    """The messages of a prompt in one form (`data/chat/messages.py`), and the tools that may be called.

    A role that only the template knows is left to it, and so are keys that learning has no use for.

    Raises:
        UserError: a message has not the form of one, or the last one is the assistant's own; it names the message.
    """
    beside: dict[str, Any] = prompt if isinstance(prompt, dict) else {"messages": prompt}
    messages: Messages = beside["messages"]
    check_messages(messages, where)
    keys = frozenset(key for message in messages for key in message)
    if all(message["role"] in (*ROLES, *SAME_ROLES) for message in messages):
        messages = one_form(messages, where, Understood(keys, frozenset(WEIGHTS)))
    messages = begun(messages, beside.get("system"), beside.get("history"), where)
    return messages, tools_of(beside.get("tools"), where)


def last_said(prompt: Prompt) -> str:
    """What a prompt ends with, for people; of a text to be answered the whole of it."""
    if isinstance(prompt, str):
        return prompt
    if isinstance(prompt, dict) and "messages" not in prompt:
        return str(prompt["text"])
    messages = prompt["messages"] if isinstance(prompt, dict) else prompt
    return str(messages[-1]["content"])


def check_messages(messages: object, where: str) -> None:
    """Checks that these are the messages of a conversation, and that the next one is for the assistant to write.

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
            parts = message.get(key)
            in_parts = isinstance(parts, list) and parts and all(isinstance(part, dict) for part in parts)
            if key == "content" and (in_parts or (parts is None and message.get("tool_calls"))):
                continue
            if not isinstance(message.get(key), str):
                what = "is no text" if message.get(key) is not None else "is missing"
                raise UserError(f"{where}: the '{key}' of message {number} {what}. Messages look like {example}.")
    if messages and _is_answer(messages[-1]):
        raise UserError(f"{where}: the last message is the assistant's own. Leave it out, and it will be written anew.")
