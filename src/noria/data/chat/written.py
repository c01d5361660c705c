"""Conversations as the text that a chat template makes of them, with the places of the answers in it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from noria.data.chat.chat import OWN, need_template, render_all
from noria.data.chat.conversations import Conversation
from noria.data.chat.messages import BadConversationError
from noria.data.rows.rows import Rows

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

TEXT, SPANS = "written", "answers"  # columns of what the template makes of a conversation

Spans = list[tuple[int, int]]


def write_all(
    tokenizer: PreTrainedTokenizerBase, template: str | None, chats: Sequence[tuple[Conversation, str]]
) -> list[dict[str, str] | BadConversationError]:
    """For each conversation, given with where it stands, the columns TEXT and SPANS, or why it cannot be written.

    Args:
        template: the file that `data.chat_template` names, for messages; None: the tokenizer's own template.
    """
    named = OWN if template is None else f"data.chat_template={template}"
    found = render_all(tokenizer, [(chat.messages, chat.tools, where) for chat, where in chats], named)
    return [
        one if isinstance(one, BadConversationError) else {TEXT: one[0], SPANS: json.dumps(one[1])} for one in found
    ]


def written(
    rows: Rows, tokenizer: PreTrainedTokenizerBase, template: str | None = None
) -> tuple[list[str], list[Spans]]:
    """The text of each conversation and where its answers stand: as they were read, or written now.

    Raises:
        UserError: a conversation cannot be written.
    """
    if TEXT in rows.table.column_names:
        found: list[Any] = rows.table.select([TEXT, SPANS]).to_pylist()
    else:
        need_template(tokenizer, template)
        stored = rows.table.select(["id", "messages", "tools"]).to_pylist()
        chats = [(Conversation(json.loads(r["messages"]), json.loads(r["tools"] or "[]")), r["id"]) for r in stored]
        found = write_all(tokenizer, template, chats)
        if bad := [one for one in found if isinstance(one, BadConversationError)]:
            raise bad[0]
    return [row[TEXT] for row in found], [[(a, b) for a, b in json.loads(row[SPANS])] for row in found]
