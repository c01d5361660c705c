"""Conversations from the user's own JSON files, for a model that learns to answer as they do.

Knows which tokens are answers, not how they are learnt.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from typing import Any

from noria.common.errors import UserError
from noria.data.chat import ends_turns, need_template, render
from noria.data.conversations import Columns, read_conversations
from noria.data.encoded import padding_id
from noria.data.encoded_text import EncodedText
from noria.data.module import DataModule
from noria.data.rows import Rows
from noria.data.tokens import cached_tokens, length_limit

log = logging.getLogger(__name__)

CUT_OFF = "answer_beyond_max_length"


class Instructions(DataModule):
    """Chats, or prompts with responses; only the assistant's answers are targets.

    A row is cut at `max_length` tokens; one of which no answer is left then is left out and counted.

    Args:
        path: a JSON list of objects, or one object a line.
        messages: the column of the chat messages; where the file has none (or it is null), `conversations` of
            ShareGPT's form is looked for, and then prompt and response.
        prompt: the column of what is asked.
        input: a column that is put below the prompt, after a blank line.
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
        chat_template: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(kind, tokenizer, seed, labels, **kwargs)
        self.paths = {"train": path, "val": val_path, "test": test_path}
        self.columns = Columns(messages, prompt, response, input)
        self.chat_template = chat_template

    def read(self) -> dict[str, Rows]:
        if self.tokenizer is not None:
            need_template(self.tokenizer, self.chat_template)
        return {split: read_conversations(path, self.columns) for split, path in self.paths.items() if path is not None}

    def encode(self, split: str) -> EncodedText:
        assert self.tokenizer is not None
        need_template(self.tokenizer, self.chat_template)
        rows = self.splits[split]
        written = [
            render(self.tokenizer, json.loads(messages), name)
            for name, messages in zip(rows.ids, rows.table["messages"].to_pylist(), strict=True)
        ]
        if not ends_turns(self.tokenizer, *written[0]):
            log.warning("The chat template ends an answer without a special token: a model will not learn to stop.")
        texts, answers = [text for text, _ in written], [spans for _, spans in written]
        tokens = cached_tokens(self.tokenizer, texts, None, None, spans=answers, special=False)
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
        chats = [json.loads(row) for row in self.splits[split].table["messages"].slice(0, count).to_pylist()]
        return [(chat[:-1], chat[-1]["content"]) for chat in chats]

    def contents(self, rows: Rows) -> list[Iterable[str]]:
        return [rows.table["id"], rows.table["messages"]]
