"""Conversations from the user's own files, for a model that learns to answer as they do.

Knows which tokens are answers, not how they are learnt.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from annotated_types import Interval

from noria.data.chat.chat import need_template, words_of
from noria.data.chat.conversations import Columns, Conversation, Reading, read_conversations
from noria.data.chat.messages import BadConversationError, Understood
from noria.data.chat.written import write_all
from noria.data.module import DataModule
from noria.data.rows.rows import Rows


class Instructions(DataModule):
    """Chats, or prompts with responses; only the assistant's answers are targets.

    A message with `weight: 0` (or `train: false`) is read and not learnt. What an answer holds besides its content,
    `reasoning_content` and `tool_calls`, is learnt as the chat template writes it; a conversation of which the
    template leaves something out is a bad row.

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

    gives = ("messages", "tools")

    def __init__(
        self,
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
        super().__init__(**kwargs)
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

    @property
    def written(self) -> dict[str, Any]:
        return {"chat_template": self.chat_template}

    def _write(self, chats: Sequence[tuple[Conversation, str]]) -> list[dict[str, str] | BadConversationError]:
        assert self.tokenizer is not None
        return write_all(self.tokenizer, self.chat_template, chats)
