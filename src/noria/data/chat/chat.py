"""Conversations to text through a tokenizer's chat template, and where in that text the answers stand.

Knows no files and no tokens.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from noria.common.errors import UserError
from noria.data.chat.messages import REASONING, BadConversationError, Message
from noria.data.chat.template import Asked, Part, Refused, Runaway, filled
from noria.data.source.opening import read_text

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Tools = Sequence[dict[str, Any]] | None
Written = tuple[str, list[tuple[int, int]]]

MARK = "noria"  # of the words that stand in for what a template is given, to see what it writes
IDENTITY = "noria0000"  # of a call; Mistral's templates want nine letters or digits
OWN = "the tokenizer's own"
ANOTHER = "Give another one: data.chat_template=<file>."


def need_template(tokenizer: PreTrainedTokenizerBase, path: str | None) -> None:
    """Sets the tokenizer's chat template from a file, where one is named; it is saved with the tokenizer.

    Raises:
        UserError: there is no such file, or neither a file nor a template of the tokenizer's own.
    """
    if path is not None:
        if not Path(path).expanduser().is_file():
            raise UserError(f"data.chat_template={path}: there is no such file. null takes the tokenizer's own.")
        tokenizer.chat_template = read_text(path)
    if not tokenizer.chat_template:
        raise UserError(
            "This model's tokenizer has no chat template, so there is no way to write a conversation down. Choose a "
            "model that was made for chats (model=smollm2), or give a Jinja file: data.chat_template=<file>."
        )


def words_of(tokenizer: PreTrainedTokenizerBase) -> frozenset[str]:
    """All words of the chat template. It cannot read a key of a message that is not among them."""
    template = tokenizer.chat_template
    texts = template.values() if isinstance(template, dict) else [template or ""]
    return frozenset(word for text in texts for word in re.findall(r"\w+", str(text)))


def asked(tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message], tools: Tools = None) -> str:
    """The text of a conversation whose next message is to be answered, up to where the answer begins.

    Raises:
        UserError: the template refuses the conversation, or runs away.
    """
    try:
        return _one(tokenizer, _given(tokenizer, messages, tools), tools, [(len(messages), True)])[0]
    except Refused as said:
        raise BadConversationError(f"the chat template refuses these messages: {said}") from None


def render(
    tokenizer: PreTrainedTokenizerBase,
    messages: Sequence[Message],
    where: str,
    tools: Tools = None,
    named: str = OWN,
) -> Written:
    """One conversation as `render_all` writes it.

    Raises:
        BadConversationError: the template refuses the conversation, leaves something of it out, or does not write it
            as its beginning and the rest.
        Runaway: the template does not come to an end.
    """
    (found,) = render_all(tokenizer, [(messages, tools, where)], named)
    if isinstance(found, BadConversationError):
        raise found
    return found


def render_all(
    tokenizer: PreTrainedTokenizerBase, chats: Sequence[tuple[Sequence[Message], Tools, str]], named: str = OWN
) -> list[Written | BadConversationError]:
    """Conversations as text, each with the [start, end) of every answer in it that is to be learnt, or what is wrong.

    An answer is all that the model would have to write: what follows the prompt that asks for it, with the token
    that ends its turn but not the white space after that.

    Args:
        chats: messages in one form (`data/messages.py`; one with `weight` 0 is written and not learnt), descriptions
            of what they may call, and where they stand.
        named: what messages call the template.

    Raises:
        Runaway: the template does not come to an end.
    """
    given = [_given(tokenizer, messages, tools) for messages, tools, _ in chats]
    learnt = [
        [n for n, one in enumerate(messages) if one["role"] == "assistant" and one.get("weight", 1)]
        for messages, _, _ in chats
    ]
    wanted = [
        Asked(one, tools, [(len(one), False), *(part for n in places for part in ((n, True), (n + 1, False)))])
        for one, places, (_, tools, _) in zip(given, learnt, chats, strict=True)
    ]
    try:
        found = filled(tokenizer, wanted)
    except Runaway as said:
        raise Runaway(f"{chats[said.place][2]}: {said} (template: {named}) {ANOTHER}", said.place) from None
    except Refused as said:  # several templates, and none for these conversations
        raise UserError(f"Conversations cannot be written down ({named}): {said} {ANOTHER}") from None
    written: list[Written | BadConversationError] = []
    for one, places, (_, tools, where), texts in zip(given, learnt, chats, found, strict=True):
        try:
            if isinstance(texts, Refused):
                raise BadConversationError(
                    f"{where}: the chat template refuses this conversation: {texts} (template: {named})"
                )
            answers = _answers(texts, places, where)
            spans = dict(zip(places, answers, strict=True))
            left_out = _left_out(tokenizer, one, tools, places) or next(_unwritten(one, texts[0], spans), None)
            if left_out is not None:
                raise BadConversationError(f"{where}: the chat template ({named}) does not write {left_out}. {ANOTHER}")
            written.append((texts[0], answers))
        except BadConversationError as problem:
            written.append(problem)
    return written


def _answers(texts: Sequence[str], places: Sequence[int], where: str) -> list[tuple[int, int]]:
    """Where the answers stand in the first of the texts, which come with what asks for each and what ends with it."""
    whole, *rest = texts
    answers = []
    for n, before, after in zip(places, rest[::2], rest[1::2], strict=True):
        if not (whole.startswith(before) and whole.startswith(after) and len(before) < len(after)):
            raise BadConversationError(
                f"{where}: the chat template writes the first {n} messages in another way when more follow, so "
                f"the answers cannot be told from the prompts. {ANOTHER}"
            )
        answers.append((len(before), len(after.rstrip())))
    return answers


def _one(
    tokenizer: PreTrainedTokenizerBase, given: Sequence[Message], tools: Tools, parts: Sequence[Part]
) -> list[str]:
    (found,) = filled(tokenizer, [Asked(given, tools, parts)])
    if isinstance(found, Refused):
        raise found
    return found


def ends_turns(tokenizer: PreTrainedTokenizerBase, text: str, answers: list[tuple[int, int]]) -> bool:
    """Whether the last answer ends in a special token, by which a model can learn to stop."""
    special = (token.content for token in tokenizer.added_tokens_decoder.values() if token.special)
    return text[: answers[-1][1]].endswith(tuple(special))


def end_of_turn(tokenizer: PreTrainedTokenizerBase) -> int | None:
    """The special token that the chat template writes after an answer, if it writes one.

    Raises:
        Runaway: the template does not come to an end.
    """
    if not tokenizer.chat_template:
        return None
    turns = [{"role": "user", "content": "question"}, {"role": "assistant", "content": MARK}]
    try:
        after = _one(tokenizer, turns, None, [(len(turns), False)])[0].rpartition(MARK)[2]
    except Refused:
        return None
    ids = tokenizer(after.lstrip(), add_special_tokens=False)["input_ids"]
    return ids[0] if ids and ids[0] in tokenizer.added_tokens_decoder else None


def _given(tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message], tools: Tools) -> list[Message]:
    """The messages as this template reads them: what is thought under its name, arguments as text or as objects."""
    words = words_of(tokenizer)
    thoughts = next((key for key in REASONING if key in words), REASONING[0])
    given = []
    for one in messages:
        message = {key: value for key, value in one.items() if key not in ("weight", "reasoning_content")}
        if "reasoning_content" in one:
            message[thoughts] = one["reasoning_content"]
        if "tool_calls" in one and not _takes_objects(*_key(tokenizer, tools)):
            message["tool_calls"] = [_with_text(call) for call in one["tool_calls"]]
        given.append(message)
    return given


def _with_text(call: dict[str, Any]) -> dict[str, Any]:
    """A call with its arguments in JSON, as some templates write them out."""
    function = call["function"]
    return {**call, "function": {**function, "arguments": json.dumps(function["arguments"], ensure_ascii=False)}}


class _Template:
    """A template and its special tokens alone, for questions that are asked once."""

    def __init__(self, template: str, special: str) -> None:
        self.template, self.special_tokens_map = template, json.loads(special)

    def get_chat_template(self, tools: Any = None) -> str:
        return self.template


def _key(tokenizer: PreTrainedTokenizerBase, tools: Tools) -> tuple[str, str]:
    try:
        template = tokenizer.get_chat_template(tools=list(tools) if tools else None)
    except ValueError as error:
        raise BadConversationError(str(error)) from None
    return template, json.dumps(tokenizer.special_tokens_map, default=str)


@lru_cache(maxsize=16)
def _takes_objects(template: str, special: str) -> bool:
    """Whether the template writes the arguments of a call as JSON when it is given an object.

    transformers' documentation says so; some templates join them to a text, or write what Python shows of them.
    """
    call = {"type": "function", "function": {"name": "f", "arguments": {MARK: MARK}}}
    messages = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "", "tool_calls": [call]}]
    written = _written(template, special, json.dumps(messages), "null")
    return written is not None and f"'{MARK}': '{MARK}'" not in written


@lru_cache(maxsize=1024)
def _written(template: str, special: str, messages: str, tools: str) -> str | None:
    """What the template makes of messages in JSON; None where it refuses them."""
    asked: Any = _Template(template, special)
    given = json.loads(messages)
    try:
        return _one(asked, given, json.loads(tools), [(len(given), False)])[0]
    except Refused:
        return None


def _left_out(
    tokenizer: PreTrainedTokenizerBase, given: Sequence[Message], tools: Tools, learnt: Sequence[int]
) -> str | None:
    """What the template has no place for in a conversation of this shape, if there is such a thing.

    A word that stands nowhere else takes the place of each text; it has to turn up.
    """
    marks: dict[str, str] = {}

    def mark(what: str) -> str:
        word = f"{MARK}{len(marks)}x"
        marks[word] = what
        return word

    messages = []
    for number, one in enumerate(given, 1):
        name = f"message {number} ({one['role']})"
        message = dict(one)
        if one["content"].strip():
            message["content"] = mark(f"the content of {name}")
        for key in REASONING:
            if key in one:
                message[key] = mark(f"the {key} of {name}") if number - 1 in learnt else MARK
        if "tool_calls" in one:
            message["tool_calls"] = [
                _marked_call(call, mark(f"the tool_calls of {name}")) for call in one["tool_calls"]
            ]
        messages.append(message | {key: IDENTITY for key in ("tool_call_id", "name") if key in one})
    shown = [_marked_tool(tool, mark("the tools")) for tool in tools or []]
    written = _written(*_key(tokenizer, tools), json.dumps(messages), json.dumps(shown or None))
    return next((what for word, what in marks.items() if word not in written), None) if written is not None else None


def _marked_call(call: dict[str, Any], word: str) -> dict[str, Any]:
    arguments = call["function"]["arguments"]
    some: dict[str, str] = {MARK: MARK} if arguments not in ({}, "{}") else {}
    told: Any = json.dumps(some) if isinstance(arguments, str) else some
    identity = {"id": IDENTITY} if "id" in call else {}
    return {**identity, "type": "function", "function": {"name": word, "arguments": told}}


def _marked_tool(tool: dict[str, Any], word: str) -> dict[str, Any]:
    function = tool.get("function")
    if isinstance(function, dict):
        return {**tool, "function": {**function, "name": word}}
    return {**tool, "name": word}


def _unwritten(given: Sequence[Message], whole: str, spans: dict[int, tuple[int, int]]) -> Iterator[str]:
    """What of these very messages does not stand in the text: templates cut out what looks like thoughts, say."""
    for number, one in enumerate(given):
        if one["role"] == "assistant" and number not in spans:
            continue  # what is not learnt may be cut as it is when the model is asked
        text = whole[slice(*spans[number])] if number in spans else whole
        for key in ("content", *REASONING):
            said = one.get(key, "").strip()
            if said not in text and not (one["role"] == "tool" and any(form in text for form in _in_json(said))):
                yield f"the {key} of message {number + 1} ({one['role']}) as it is"


def _in_json(text: str) -> list[str]:
    """How templates write what a tool has said where they put it into JSON (Llama 3, Mistral)."""
    return [json.dumps(text, ensure_ascii=is_ascii)[1:-1] for is_ascii in (False, True)]
