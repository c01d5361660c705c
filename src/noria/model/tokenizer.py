"""A tokenizer that makes only what its model has a place for. Knows no texts."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
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


def difference(one: PreTrainedTokenizerBase, other: PreTrainedTokenizerBase, texts: Sequence[str]) -> str | None:
    """In what two tokenizers differ; None where they have the same tokens and make the same of these texts."""
    first, second = one.get_vocab(), other.get_vocab()
    if first != second:
        token = next(iter(sorted({token for token, _ in first.items() ^ second.items()})))
        numbers = " and ".join(str(vocabulary.get(token, "none")) for vocabulary in (first, second))
        return f"they have {len(first):,} and {len(second):,} tokens, and '{token}' is {numbers}"
    if ("token_type_ids" in one.model_input_names) != ("token_type_ids" in other.model_input_names):
        return "only one of them tells the texts of a pair apart by types"
    for text in texts:
        made = [list(tokenizer(text, verbose=False)["input_ids"]) for tokenizer in (one, other)]
        if made[0] == made[1]:
            continue
        pieces = [one.convert_ids_to_tokens(ids) for ids in made]
        begin = next(n for n, (a, b) in enumerate(zip_longest(*pieces)) if a != b)
        shown = "' and '".join(" ".join(row[max(begin - 2, 0) : begin + 3]) for row in pieces)
        return f"of the same text they make '{shown}'"
    return None
