"""A tokenizer that makes only what its model has a place for. Knows no texts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from noria.common.console import say_once

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

PADDING = ("pad", "eos", "sep", "cls", "bos", "mask", "unk")  # what rows are padded with: the first that there is


def fitted_tokenizer(tokenizer: PreTrainedTokenizerBase, config: Any, model: str) -> PreTrainedTokenizerBase:
    """The tokenizer, changed in place.

    One without a padding token that the model has an embedding for pads with its end of sequence, or else another
    special token. One of a model with a single type of tokens does not tell the texts of a pair apart by types.

    Args:
        config: of the model's text part.
        model: its name, for what is said.
    """
    size = getattr(config, "vocab_size", None)
    named = {name: getattr(tokenizer, f"{name}_token") for name in PADDING}
    known = [name for name, token in named.items() if token is not None and _is_known(tokenizer, token, size)]
    if known:
        tokenizer.pad_token = named[known[0]]
    if known[:1] not in (["pad"], ["eos"]):
        by = "token 0" if tokenizer.pad_token is None else f"'{tokenizer.pad_token}'"
        say_once(f"model.name={model}: its tokenizer has no padding and no end of sequence: {by} pads rows.")
    if getattr(config, "type_vocab_size", None) == 1:
        tokenizer.model_input_names = [name for name in tokenizer.model_input_names if name != "token_type_ids"]
    return tokenizer


def _is_known(tokenizer: PreTrainedTokenizerBase, token: str, size: int | None) -> bool:
    """Whether a model with so many embeddings has one for a token."""
    number: Any = tokenizer.convert_tokens_to_ids(token)
    return size is None or number < size
