"""Conversations out of JSON and Parquet files: chat messages, or a prompt and its response, checked row by row.

Knows no chat template and no tokens.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from noria.common.errors import UserError
from noria.data.chat.messages import (
    PLAIN,
    WEIGHTS,
    BadConversationError,
    Message,
    Understood,
    absent,
    one_form,
    parsed,
    text_of,
    tools_of,
)
from noria.data.rows.rows import Rows, require_columns
from noria.data.source.files import PARQUET, read_rows
from noria.data.source.json_files import JSON, Records, read_records
from noria.data.source.opening import ending, find

log = logging.getLogger(__name__)

NO_PROMPT = "no_prompt"
NO_ANSWER = "no_answer"
NOT_LEARNT = "no_answer_is_to_be_learnt"
BAD_ROW = "bad_row"
OPENING = "the assistant speaks before anybody has asked: that is read and not learnt"
UNANSWERED = "nobody answers what is asked last: that is left out"
TOGETHER = 256  # conversations that are written down at a time
SHOWN = 3  # bad rows that are named
SHAREGPT = "conversations"  # the column of ShareGPT-like files, whose messages are {"from": …, "value": …}
NAMED_BY = "data.messages names the column of a chat, data.prompt, data.input and data.response those of one answer."
ALPACA = "data.prompt=instruction data.input=input data.response=output"
# Columns that say what is learnt in a way that is not understood, each with what may be meant.
REFUSED = {
    **dict.fromkeys(("images", "image", "audios", "audio", "videos", "video"), "only texts can be learnt from"),
    **dict.fromkeys(("chosen", "rejected"), "preferences are not learnt"),
    **dict.fromkeys((*WEIGHTS, "mask"), "rows are not weighted; messages may have a weight of 0"),
    **dict.fromkeys(("system_prompt", "system_message"), "a column of system messages is named by data.system"),
    "functions": "a column of tools is named by data.tools",
    "documents": "documents are not given to the chat template",
    "chat_template_kwargs": "the chat template is given messages and tools alone",
}


@dataclass(frozen=True)
class Columns:
    """Where a file keeps its conversations: in `messages`, or else in `prompt` (with `input`) and `response`.

    `system` (a text), `history` (pairs of a prompt and its answer, which come before) and `tools` (a list of
    descriptions) are read where the file has them; None: not at all.
    """

    messages: str | None
    prompt: str
    response: str
    input: str | None
    system: str | None = "system"
    history: str | None = "history"
    tools: str | None = "tools"


@dataclass(frozen=True)
class Conversation:
    """Messages in one form, and descriptions of the tools that they may call."""

    messages: list[Message]
    tools: list[dict[str, Any]] = field(default_factory=list)
    notes: tuple[str, ...] = ()  # what of it is not learnt, and why


@dataclass(frozen=True)
class Reading:
    """How a file is read beyond its columns.

    Args:
        understood: keys that are read, and keys and columns that are passed over.
        max_bad_share: of the rows; so many are left out and counted, more are refused.
        write: makes of conversations, and of where they stand, further columns of their rows, or says what is wrong.
    """

    understood: Understood = PLAIN
    max_bad_share: float = 0.0
    write: Callable[[Sequence[tuple[Conversation, str]]], list[dict[str, str] | BadConversationError]] | None = None


STRICT = Reading()


def read_conversations(path: str, columns: Columns, reading: Reading = STRICT) -> Rows:
    """The conversations of a file, as `messages` (JSON of a list) and `tools` (JSON, or "") in a table of rows.

    `text` is all that the model is given, the answers left out: so a prompt stays on one side of a split, whatever
    its answers, and different conversations that begin alike do not stick together. Rows with a blank prompt or
    answer, or without an answer that is to be learnt, are left out and counted, and so are a few bad ones.

    Raises:
        UserError: the file or too many rows of it are not built as they must be, or no row is left.
    """
    records = _records(path, [name for name in (columns.messages, SHAREGPT, columns.prompt) if name])
    read = _reader(records, columns, reading.understood)
    chats_read: list[tuple[int, Conversation]] = []
    problems: dict[int, BadConversationError] = {}
    for index, record in enumerate(records.objects):
        try:
            chats_read.append((index, read(record, records.where(index))))
        except BadConversationError as problem:
            problems[index] = problem
    found: list[tuple[int, Conversation, dict[str, str]]] = []
    for start in range(0, len(chats_read), TOGETHER):
        some = chats_read[start : start + TOGETHER]
        written = reading.write([(chat, records.where(index)) for index, chat in some]) if reading.write else None
        for (index, chat), more in zip(some, written or [{}] * len(some), strict=True):
            if isinstance(more, BadConversationError):
                problems[index] = more
            else:
                found.append((index + 1, chat, more))
    bad = [problems[index] for index in sorted(problems)]
    _refuse_many(bad, len(records.objects), path, reading.max_bad_share)
    if names := unread(records.names, columns, reading.understood.ignored):
        log.warning("%s: nothing is made of %s.", path, ", ".join(names))
    for note, count in Counter(note for _, chat, _ in found for note in chat.notes).items():
        log.warning("%s: in %s conversations %s.", path, f"{count:,}", note)
    chats = [chat.messages for _, chat, _ in found]
    table = {
        "id": [f"{records.path.name}:{number}" for number, _, _ in found],
        "text": ["\n\n".join(m["content"] for m in chat if m["role"] != "assistant") for chat in chats],
        "messages": [json.dumps(chat, ensure_ascii=False) for chat in chats],
        "tools": [json.dumps(chat.tools, ensure_ascii=False) if chat.tools else "" for _, chat, _ in found],
        **{name: [more[name] for _, _, more in found] for name in found[0][2]},
    }
    rows = Rows(pa.table({name: pa.array(values, pa.string()) for name, values in table.items()}), path)
    if bad:
        rows = Rows(rows.table, path, {BAD_ROW: len(bad)})
    for reason, tells in ((NO_PROMPT, _asks_nothing), (NO_ANSWER, _says_nothing), (NOT_LEARNT, _teaches_nothing)):
        out = np.array([tells(chat) for chat in chats])
        rows, chats = rows.without(out, reason), [chat for chat, gone in zip(chats, out, strict=True) if not gone]
    return rows


def _records(path: str, fields: Sequence[str]) -> Records:
    """The objects of a file. A table has each key in each row, at any depth: those that are null are left out."""
    place = find(path)
    kind = ending(place)
    if kind in JSON:
        return read_records(place, fields)
    if kind not in PARQUET:
        known = f"{', '.join(JSON)}; or a Parquet file: {', '.join(PARQUET)}"
        raise UserError(f"'{path}': a JSON file is needed; it ends in {known}.")
    objects = [row for _, row in read_rows(place, ())]
    if not objects:
        raise UserError(f"'{path}' is empty.")
    names = dict.fromkeys(objects[0])
    objects = [_without_nulls(row) for row in objects]
    objects[0] = {**names, **objects[0]}  # a column is one of the file's, whatever is in it
    return Records(place, objects, list(range(1, len(objects) + 1)), "row")


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


def unread(names: Sequence[str], columns: Columns, ignored: Collection[str]) -> list[str]:
    """The columns of a file that nothing is made of, but for a row's own id."""
    used = {value for value in vars(columns).values() if value} | {"id"} | set(ignored)
    if columns.messages is not None and ({columns.messages, SHAREGPT} & set(names)):
        chat = columns.messages if columns.messages in names else SHAREGPT
        used = (used - {columns.prompt, columns.response, columns.input, SHAREGPT}) | {chat, *ignored}
    return sorted(set(names) - used)


def messages_of(value: Any, where: str, understood: Understood = PLAIN) -> list[Message]:
    """Chat messages in one form (`one_form`), from the first to the last answer.

    What the assistant says before anybody has asked is context and not learnt (`weight` 0); what is asked after the
    last answer is left out.

    Raises:
        BadConversationError: something in it is not understood, or there is no answer to anybody.
    """
    return _answered(one_form(value, where, understood), where)


def _answered(messages: list[Message], where: str) -> list[Message]:
    roles = [message["role"] for message in messages]
    if "assistant" not in roles or roles[-1] == "system":
        raise BadConversationError(
            f"{where}: the last message is of the {roles[-1]}; a conversation to learn from ends with the assistant's."
        )
    end = len(roles) - roles[::-1].index("assistant")
    begin = roles.index("user") if "user" in roles[:end] else end
    if "assistant" not in roles[begin:end]:
        raise BadConversationError(
            f"{where}: the first message is the assistant's: there is no prompt that it answers."
        )
    openings = [{**one, "weight": 0} if one["role"] == "assistant" else one for one in messages[:begin]]
    return [*openings, *messages[begin:end]]


def _reader(
    records: Records, columns: Columns, understood: Understood
) -> Callable[[dict[str, Any], str], Conversation]:
    """How a conversation is read from an object of this file."""
    names = records.names
    named = [name for name in (columns.messages, SHAREGPT) if name in names] if columns.messages is not None else []
    if not named:
        inputs = [columns.input] if columns.input is not None else []
        is_alpaca = {"instruction", "input", "output"} <= set(names)
        named_by = f"{NAMED_BY} Here: {ALPACA}." if is_alpaca else NAMED_BY
        require_columns(names, [columns.prompt, *inputs, columns.response], f"'{records.path}'", named_by)
    used = {*vars(columns).values(), *understood.ignored}
    refused = [name for name in REFUSED if name in names and name not in used]

    def read(record: dict[str, Any], where: str) -> Conversation:
        for name in refused:
            if not absent(record.get(name)):
                raise BadConversationError(
                    f"{where}: there is a '{name}', and {REFUSED[name]}. To leave it unread: data.ignore=[{name}]"
                )
        turns = (
            one_form(record.get(named[0]), where, understood) if named else _asked(record, columns, understood, where)
        )
        system, history = (record.get(name) if name else None for name in (columns.system, columns.history))
        turns = begun(turns, system, history, where)
        tools = tools_of(record.get(columns.tools), where) if columns.tools else []
        answered = _answered(turns, where)
        notes = [OPENING] if answered[: len(turns)] != turns[: len(answered)] else []
        notes += [UNANSWERED] if len(answered) < len(turns) else []
        return Conversation(answered, tools, tuple(notes))

    return read


def _asked(record: dict[str, Any], columns: Columns, understood: Understood, where: str) -> list[Message]:
    """A prompt and its response; both may be messages, of which the response's alone are learnt (as in TRL)."""
    said, answer = record.get(columns.prompt), record.get(columns.response)
    if _is_chat(said) and (_is_chat(answer) or isinstance(answer, str)):
        asked = [
            {**one, "weight": 0} if one["role"] == "assistant" else one for one in one_form(said, where, understood)
        ]
        found = one_form(answer, where, understood) if _is_chat(answer) else None
        return [*asked, *(found or [{"role": "assistant", "content": text_of(answer, where)}])]
    prompt, more = _cell(record, columns.prompt, where), _cell(record, columns.input, where)
    prompt = "\n\n".join([prompt, *([more] if more.strip() else [])])
    response = _cell(record, columns.response, where)
    return [{"role": "user", "content": prompt}, {"role": "assistant", "content": response}]


def _is_chat(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, dict) and "role" in one for one in value)


def begun(turns: list[Message], system: Any, history: Any, where: str) -> list[Message]:
    """The turns with what stands beside them put before: a system message, and pairs of a prompt and its answer.

    Raises:
        BadConversationError: they are none, or the turns begin with another system message.
    """
    system = "" if system is None else text_of(system, f"{where}: its system message")
    history = parsed(history, f"{where}: its history") if isinstance(history, str) and history.strip() else history
    is_first = turns[0]["role"] == "system"
    first = text_of(turns[0].get("content") or "", f"{where}: its first message") if is_first else ""
    if system.strip() and is_first and first.strip() != system.strip():
        raise BadConversationError(f"{where}: the column and the first message are two system messages.")
    before = [{"role": "system", "content": system}] if system.strip() and not is_first else turns[: int(is_first)]
    return [*before, *_history(history, where), *turns[int(is_first) :]]


def _history(pairs: Any, where: str) -> list[Message]:
    if absent(pairs):
        return []
    if not isinstance(pairs, list) or not all(isinstance(pair, list | tuple) and len(pair) == 2 for pair in pairs):
        raise BadConversationError(f"{where}: its history is no list of pairs: [[<prompt>, <answer>], …].")
    said = [text_of(text, f"{where}: its history") for pair in pairs for text in pair]
    return [{"role": ("user", "assistant")[place % 2], "content": text} for place, text in enumerate(said)]


def _cell(record: dict[str, Any], name: str | None, where: str) -> str:
    value = record.get(name) if name is not None else None
    return "" if value is None else text_of(value, f"{where}: '{name}'")


def _refuse_many(bad: Sequence[BadConversationError], rows: int, path: str, share: float) -> None:
    """Names the first bad rows: in a warning, or as an error where they are too many."""
    if not bad:
        return
    few = "".join(f"\n  {problem}" for problem in bad[:SHOWN]) + ("\n  …" if len(bad) > SHOWN else "")
    said = f"{path}: {len(bad):,} of {rows:,} rows cannot be used"
    if len(bad) > share * rows:
        raise UserError(f"{said}; data.max_bad_share={share:g} leaves out fewer:{few}")
    log.warning("%s and are left out:%s", said, few)


def _asks_nothing(chat: list[Message]) -> bool:
    return any(one["role"] == "user" and not one["content"].strip() for one in chat)


def _says_nothing(chat: list[Message]) -> bool:
    answers = [one for one in chat if one["role"] == "assistant" and "tool_calls" not in one]
    return any(not one["content"].strip() for one in answers)


def _teaches_nothing(chat: list[Message]) -> bool:
    return all(one.get("weight") == 0 for one in chat if one["role"] == "assistant")
