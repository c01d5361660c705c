"""Conversations from the user's own files, for a model that learns to answer as they do.

Knows which tokens are answers, not how they are learnt.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Sequence
from typing import Annotated, Any

from annotated_types import Interval

from noria.common.errors import UserError
from noria.data.batch.encoded import padding_id
from noria.data.batch.encoded_text import EncodedText
from noria.data.batch.tokens import cached_tokens, length_limit
from noria.data.chat.chat import OWN, ends_turns, need_template, render_all, words_of
from noria.data.chat.conversations import Columns, Conversation, Reading, read_conversations
from noria.data.chat.messages import BadConversationError, Understood
from noria.data.module import DataModule
from noria.data.rows.rows import Rows

log = logging.getLogger(__name__)

CUT_OFF = "answer_beyond_max_length"
TEXT, SPANS = "written", "answers"  # columns of what the template makes of a conversation


class Instructions(DataModule):
    """Chats, or prompts with responses; only the assistant's answers are targets.

    A message with `weight: 0` (or `train: false`) is read and not learnt. What an answer holds besides its content,
    `reasoning_content` and `tool_calls`, is learnt as the chat template writes it; a conversation of which the
    template leaves something out is a bad row.

    A row is cut at `max_length` tokens; one of which no answer is left then is left out and counted.

    Args:
        path: a JSON list of objects, one object a line, or a Parquet file.
        messages: the column of the chat messages; where the file has none (or it is null), `conversations` of
            ShareGPT's form is looked for, and then prompt and response.
        prompt: the column of what is asked.
        input: a column that is put below the prompt, after a blank line.
        system: the column of a system message, where the file has it; None: not read.
        history: the column of the turns before, as pairs of a prompt and its answer; those answers are learnt too.
        tools: the column of the tools that may be called, as `apply_chat_template` takes them.
        ignore: columns, or keys of messages, that are left unread though they may say what is to be learnt.
        max_bad_share: the share of a file's rows that may be left out because they cannot be understood or written.
        chat_template: a Jinja file to be used, and saved, in place of the tokenizer's own chat template.
    """

    kinds = ("causal_lm",)

    def __init__(
        self,
        kind: str,
        tokenizer: Any,
        seed: int,
        labels: list[str] | None = None,
        *,
        path: str,
        val_path: str | None = None,
        test_path: str | None = None,
        messages: str | None = "messages",
        prompt: str = "prompt",
        input: str | None = None,
        response: str = "response",
        system: str | None = "system",
        history: str | None = "history",
        tools: str | None = "tools",
        ignore: list[str] | None = None,
        max_bad_share: Annotated[float, Interval(ge=0, lt=1)] = 0.02,
        chat_template: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(kind, tokenizer, seed, labels, **kwargs)
        self.paths = {"train": path, "val": val_path, "test": test_path}
        self.columns = Columns(messages, prompt, response, input, system, history, tools)
        self.ignore = frozenset(ignore or ())
        self.max_bad_share = max_bad_share
        self.chat_template = chat_template

    def read(self) -> dict[str, Rows]:
        """Every conversation is written down here, so that one that cannot be is found before anything is learnt."""
        words: frozenset[str] = frozenset()
        if self.tokenizer is not None:
            need_template(self.tokenizer, self.chat_template)
            words = words_of(self.tokenizer)
        write = self._write if self.tokenizer is not None else None
        reading = Reading(Understood(words, self.ignore), self.max_bad_share, write)
        given = {name: path for name, path in self.paths.items() if path is not None}
        return {split: read_conversations(path, self.columns, reading) for split, path in given.items()}

    def encode(self, split: str) -> EncodedText:
        assert self.tokenizer is not None
        rows = self.splits[split]
        texts, answers = self._written(rows)
        if not ends_turns(self.tokenizer, texts[0], answers[0]):
            log.warning("The chat template ends an answer without a special token: a model will not learn to stop.")
        tokens = cached_tokens(self.tokenizer, texts, None, None, spans=answers, special=False, sized=split != "train")
        limit = length_limit(self.tokenizer, self.max_length)
        encoded = EncodedText(tokens, padding_id(self.tokenizer), limit, first=True)
        if not len(encoded):
            raise UserError(
                f"{rows.where}: in the split '{split}' no answer begins within {limit} tokens. Raise data.max_length."
            )
        self.report["truncated"][split] = encoded.truncated
        self.leave_out(split, CUT_OFF, encoded.left_out)
        return encoded

    def prompts(self, split: str, count: int) -> list[tuple[Any, str]]:
        found: list[tuple[Any, str]] = []
        for row in self.splits[split].table.slice(0, count).select(["messages", "tools"]).to_pylist():
            *messages, last = json.loads(row["messages"])
            prompt = {"messages": messages, "tools": json.loads(row["tools"])} if row["tools"] else messages
            found.append((prompt, last["content"]))
        return found

    def contents(self, rows: Rows) -> list[Iterable[str]]:
        tools = rows.table["tools"].to_pylist()
        return [rows.table["id"], rows.table["messages"], *([tools] if any(tools) else [])]

    def _write(self, chats: Sequence[tuple[Conversation, str]]) -> list[dict[str, str] | BadConversationError]:
        assert self.tokenizer is not None
        named = OWN if self.chat_template is None else f"data.chat_template={self.chat_template}"
        found = render_all(self.tokenizer, [(chat.messages, chat.tools, where) for chat, where in chats], named)
        return [
            one if isinstance(one, BadConversationError) else {TEXT: one[0], SPANS: json.dumps(one[1])} for one in found
        ]

    def _written(self, rows: Rows) -> tuple[list[str], list[list[tuple[int, int]]]]:
        """The text of each conversation and where its answers stand, made now where there was no tokenizer before."""
        if TEXT in rows.table.column_names:
            found: list[Any] = rows.table.select([TEXT, SPANS]).to_pylist()
        else:
            assert self.tokenizer is not None
            need_template(self.tokenizer, self.chat_template)
            stored = rows.table.select(["id", "messages", "tools"]).to_pylist()
            found = self._write(
                [(Conversation(json.loads(r["messages"]), json.loads(r["tools"] or "[]")), r["id"]) for r in stored]
            )
            if bad := [one for one in found if isinstance(one, BadConversationError)]:
                raise bad[0]
        return [row[TEXT] for row in found], [[(a, b) for a, b in json.loads(row[SPANS])] for row in found]
