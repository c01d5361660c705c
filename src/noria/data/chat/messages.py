"""Messages of a conversation in one form, out of the forms that people write them in: OpenAI's, ShareGPT's, Alpaca's.

Knows no file, no chat template and no tokens. What it does not understand it refuses by name: a key that is passed
over may be the one that says what is to be learnt.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from noria.common.errors import UserError, did_you_mean

ROLES = ("system", "user", "assistant", "tool")
CALL = "function_call"  # a role of ShareGPT's, and a key of OpenAI's older form
# Other names of the same roles: ShareGPT's and LLaMA-Factory's, OpenAI's newer and older ones.
SAME_ROLES = {
    "human": "user", "gpt": "assistant", CALL: "assistant", "observation": "tool",
    "developer": "system", "function": "tool",
}  # fmt: skip
WEIGHTS = ("weight", "train", "training")  # of OpenAI, and of Axolotl: 0 or false is context, and is not learnt
REASONING = ("reasoning_content", "reasoning", "thinking")  # names of what a model thinks before it answers
UNDERSTOOD = {"role", "content", "from", "value", *WEIGHTS, *REASONING, "tool_calls", "function_call", "tool_call_id"}
# What says where a message came from, and not what it is.
BOOKKEEPING = {
    "name", "id", "message_id", "parent_id", "index", "timestamp", "date", "time", "created_at", "lang", "language",
    "model", "source", "metadata", "html", "markdown", "tokens",
}  # fmt: skip
PARTS = '[{"type": "text", "text": …}]'

Message = dict[str, Any]


class BadConversationError(UserError):
    """A conversation that cannot be learnt from, while others can."""


@dataclass(frozen=True)
class Understood:
    """What else is understood, and what is passed over because the user says so.

    Args:
        read: keys of messages that the chat template reads.
        ignored: keys that are left unread.
    """

    read: Collection[str] = field(default_factory=frozenset)
    ignored: Collection[str] = field(default_factory=frozenset)


PLAIN = Understood()


def one_form(value: Any, where: str, understood: Understood = PLAIN) -> list[Message]:
    """A list of {"role", "content"}, a message with `weight` 0 where it is not to be learnt.

    An answer may have `reasoning_content`, and `tool_calls` with arguments as objects; a tool's message may have its
    `tool_call_id`. A list in JSON is understood too.

    Raises:
        BadConversationError: this is no list of messages, or something in it is not understood.
    """
    value = parsed(value, where) if isinstance(value, str) and value.lstrip().startswith("[") else value
    if not isinstance(value, list) or not value:
        raise BadConversationError(f"{where}: there are no messages. A list of {{role, content}} is needed.")
    return [_message(given, f"{where}, message {number}", understood) for number, given in enumerate(value, 1)]


def tools_of(value: Any, where: str) -> list[dict[str, Any]]:
    """The descriptions of tools as `apply_chat_template(tools=…)` takes them; a list in JSON is understood too.

    Raises:
        BadConversationError: it is no list of objects.
    """
    value = (
        parsed(value, f"{where}: the list of tools (data.tools=null: not read)")
        if isinstance(value, str) and value.strip()
        else value
    )
    if not value:
        return []
    if not isinstance(value, list) or not all(isinstance(tool, dict) for tool in value):
        said = "the tools are no list of objects that describe a function each (data.tools=null: they are not read)"
        raise BadConversationError(f"{where}: {said}.")
    return [tool if "function" in tool or "name" not in tool else _wrapped(tool) for tool in value]


def absent(value: Any) -> bool:
    """Whether a key says nothing: tables have every key in every row."""
    return value is None or (isinstance(value, str | list | dict) and not value)


def text_of(value: Any, what: str) -> str:
    """Text, out of text or of parts that are all text.

    Raises:
        BadConversationError: an image or the like, or no text at all.
    """
    if isinstance(value, list) and value and all(isinstance(part, dict) for part in value):
        return "".join(_part(part, what) for part in value)
    if not isinstance(value, str):
        raise BadConversationError(f"{what} is of type {type(value).__name__}, not text.")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise BadConversationError(f"{what} is not valid text: {error}.") from None
    return value


def parsed(text: str, what: str) -> Any:
    """JSON that stands in a string."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadConversationError(f"{what} is not valid JSON: {error}.") from None


def _wrapped(tool: dict[str, Any]) -> dict[str, Any]:
    return {"type": "function", "function": {key: value for key, value in tool.items() if key != "type"}}


def _part(part: dict[str, Any], what: str) -> str:
    there = {key: value for key, value in part.items() if not absent(value)}
    kind = there.pop("type", "text")
    if kind != "text" or set(there) - {"text"}:
        name = kind if kind != "text" else ", ".join(sorted(set(there) - {"text"}))
        raise BadConversationError(f"{what} has a part of the type {name}: only texts can be learnt from, {PARTS}.")
    return text_of(part.get("text", ""), what)


def _message(given: Any, where: str, understood: Understood) -> Message:
    there = {key: value for key, value in given.items() if not absent(value)} if isinstance(given, dict) else {}
    keys = set(given) if isinstance(given, dict) else set()
    role_key, content_key = (
        ("from", "value") if {"from", "value"} <= keys and "role" not in there else ("role", "content")
    )
    calls = _calls(there, where)
    if role_key not in keys or (content_key not in keys and not calls):
        said = f"has {', '.join(sorted(keys))}" if keys else "is no such object"
        raise BadConversationError(f"{where} {said}: 'role' and 'content' are needed (or 'from' and 'value').")
    role = _role(given[role_key], where)
    content = given.get(content_key)
    if given[role_key] == CALL:
        content, calls = "", [_call(each, where) for each in _listed(parsed(str(content), f"{where}: its content"))]
    if content is None and calls:
        content = ""
    message: Message = {"role": role, "content": text_of(content, f"{where}: its content")}
    if calls and role != "assistant":
        raise BadConversationError(f"{where}: only the assistant calls tools, and this is the {role}'s message.")
    _refuse_unknown(there, where, understood)
    _refuse_two(there, role_key, where, understood)
    thoughts = [text_of(there[key], f"{where}: its {key}") for key in REASONING if key in there]
    if thoughts and not set(REASONING) & set(understood.ignored):
        if role != "assistant":
            raise BadConversationError(
                f"{where}: only the assistant's messages have thoughts, and this is the {role}'s."
            )
        message["reasoning_content"] = thoughts[0]
    if calls:
        message["tool_calls"] = calls
    kept = [key for key in ("tool_call_id", "name") if key in there]
    message |= {key: there[key] for key in (*kept, *(key for key in there if key in _extra(understood)))}
    if role == "assistant" and not _is_learnt(there, where, understood):
        message["weight"] = 0
    elif role != "assistant" and any(
        there.get(key) in (True, 1) for key in WEIGHTS[1:] if key not in understood.ignored
    ):
        raise BadConversationError(f"{where}: it is to be learnt, and only the assistant's answers are (data.ignore).")
    return message


def _extra(understood: Understood) -> set[str]:
    return set(understood.read) - UNDERSTOOD - BOOKKEEPING - set(understood.ignored)


def _refuse_unknown(there: dict[str, Any], where: str, understood: Understood) -> None:
    unknown = set(there) - UNDERSTOOD - BOOKKEEPING - set(understood.read) - set(understood.ignored)
    if unknown:
        name = sorted(unknown)[0]
        raise BadConversationError(
            f"{where}: it is not known what '{name}' means for what is learnt. To leave it unread: data.ignore=[{name}]"
        )


def _refuse_two(there: dict[str, Any], role_key: str, where: str, understood: Understood) -> None:
    """Two keys for one thing: which of them is meant cannot be known, unless they say the same."""
    other = {"from": "role", "value": "content"} if role_key == "role" else {"role": "from", "content": "value"}
    pairs = [*other.items(), ("tool_calls", "function_call")]
    pairs += [(REASONING[0], REASONING[1]), (REASONING[0], REASONING[2]), (REASONING[1], REASONING[2])]
    said = {
        key: SAME_ROLES.get(str(value), value) if key in ("role", "from") else value for key, value in there.items()
    }
    for one, two in pairs:
        if {one, two} <= set(there) - set(understood.ignored) and said[one] != said[two]:
            raise BadConversationError(f"{where}: '{one}' and '{two}' say different things. Keep one of them.")


def _role(given: Any, where: str) -> str:
    role = SAME_ROLES.get(given, given) if isinstance(given, str) else given
    if role not in ROLES:
        raise BadConversationError(
            f"{where}: unknown role {given!r}. {did_you_mean(str(given), [*ROLES, *SAME_ROLES])}"
        )
    return str(role)


def _is_learnt(there: dict[str, Any], where: str, understood: Understood) -> bool:
    said = {key: there[key] for key in WEIGHTS if key in there and key not in understood.ignored}
    for key, value in said.items():
        if not isinstance(value, bool | int | float) or value not in (0, 1):
            raise BadConversationError(f"{where}: its {key} is {value!r}: an answer is learnt (1) or not (0).")
    if len({bool(value) for value in said.values()}) > 1:
        raise BadConversationError(f"{where}: {' and '.join(said)} say different things.")
    return all(said.values())


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _calls(there: dict[str, Any], where: str) -> list[dict[str, Any]]:
    calls = there.get("tool_calls", there.get("function_call"))
    calls = parsed(calls, f"{where}: its tool_calls") if isinstance(calls, str) else calls
    return [] if calls is None else [_call(each, where) for each in _listed(calls)]


def _call(given: Any, where: str) -> dict[str, Any]:
    """One call as templates take it: {"type", "function": {"name", "arguments"}}, with its id where it has one."""
    inner = given.get("function", given) if isinstance(given, dict) else None
    name = inner.get("name") if isinstance(inner, dict) else None
    if not isinstance(name, str):
        raise BadConversationError(f"{where}: a tool call needs the name of a function and its arguments.")
    assert isinstance(inner, dict)
    arguments = inner.get("arguments")
    if isinstance(arguments, str):
        arguments = parsed(arguments, f"{where}: the arguments of {name}") if arguments.strip() else {}
    if not isinstance(arguments, dict | None):
        raise BadConversationError(f"{where}: the arguments of {name} are no object.")
    identity = {"id": given["id"]} if isinstance(given.get("id"), str) else {}
    return {**identity, "type": "function", "function": {"name": name, "arguments": arguments or {}}}
