"""Conversations to text through a tokenizer's chat template, and where in that text the answers stand.

Knows no files and no tokens.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from noria.common.errors import UserError
from noria.data.opening import read_text

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


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


def render(
    tokenizer: PreTrainedTokenizerBase, messages: list[dict[str, str]], where: str
) -> tuple[str, list[tuple[int, int]]]:
    """A conversation as text, and the [start, end) of each answer in it.

    An answer is all that the model would have to write: what follows the prompt that asks for it, with the token
    that ends its turn but not the white space after that.

    Raises:
        UserError: the template refuses the conversation, or does not write it as its beginning and the rest.
    """
    whole = _written(tokenizer, messages, False, where)
    answers = []
    for place, message in enumerate(messages):
        if message["role"] != "assistant":
            continue
        before = _written(tokenizer, messages[:place], True, where)
        after = whole if place + 1 == len(messages) else _written(tokenizer, messages[: place + 1], False, where)
        if not (whole.startswith(before) and whole.startswith(after) and len(before) < len(after)):
            raise UserError(
                f"{where}: the chat template writes the first {place} messages in another way when more follow, so "
                "the answers cannot be told from the prompts. Give another one: data.chat_template=<file>."
            )
        answers.append((len(before), len(after.rstrip())))
    return whole, answers


def ends_turns(tokenizer: PreTrainedTokenizerBase, text: str, answers: list[tuple[int, int]]) -> bool:
    """Whether the last answer ends in a special token, by which a model can learn to stop."""
    special = (token.content for token in tokenizer.added_tokens_decoder.values() if token.special)
    return text[: answers[-1][1]].endswith(tuple(special))


def _written(tokenizer: PreTrainedTokenizerBase, messages: list[dict[str, str]], ask: bool, where: str) -> str:
    from jinja2 import TemplateError

    try:
        return str(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=ask))
    except TemplateError as error:
        raise UserError(f"{where}: the chat template refuses this conversation: {error}") from error
