"""What a network has no room for: texts longer than its table of positions, tokens without an embedding.

Knows no data and no loss.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from noria.common.console import say_once
from noria.common.errors import UserError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

LEAST = 8  # rows of a table of positions
MARGIN = 8  # rows at most that are no token's: RoBERTa counts from 2
SHOWN = 3


def readable_length(network: Any, wanted: int) -> int:
    """How many tokens of a text it can read, up to `wanted`: measured where a table of positions may end before.

    Raises:
        UserError: it can read none.
    """
    tables = [rows for rows in _tables(network) if LEAST <= rows < wanted + MARGIN]
    if not tables or _reads(network, wanted):
        return wanted
    for rows in sorted(tables, reverse=True):
        for length in range(min(rows, wanted), max(rows - MARGIN, 0), -1):
            if _reads(network, length):
                return length
    raise UserError(f"A '{network.config.model_type}' model cannot read {wanted} tokens. Lower data.max_length.")


def limit_length(network: Any, tokenizer: PreTrainedTokenizerBase, wanted: int) -> None:
    """Makes the tokenizer cut texts, by its own limit, where the network can read no more, and says so.

    Args:
        wanted: tokens that are asked for, `data.max_length`.
    """
    wanted = min(wanted, tokenizer.model_max_length or wanted)
    length = readable_length(network, wanted)
    if length < wanted:
        tokenizer.model_max_length = length
        say_once(f"data.max_length={wanted}, but this model reads {length} tokens at most: longer texts are cut there.")


def embed_all(network: Any, tokenizer: PreTrainedTokenizerBase) -> None:
    """Gives a classifier, in place, an embedding for each token of the tokenizer: new ones are the mean of the others.

    Raises:
        UserError: it is of a kind that cannot be given any.
    """
    rows = embeddings(network)
    lacking = unknown_tokens(tokenizer, rows)
    if not lacking or rows is None:
        return
    try:
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            network.resize_token_embeddings(1 + max(tokenizer.get_vocab().values()), mean_resizing=False)
            weight = network.get_input_embeddings().weight
            weight[rows:] = weight[:rows].mean(0)
    except (NotImplementedError, AttributeError, ValueError) as error:
        raise UserError(
            f"The tokenizer has tokens for which the model has no embedding ({_named(lacking)}), and a "
            f"'{network.config.model_type}' model cannot be given any. Take them out of the tokenizer."
        ) from error
    say_once(
        f"The tokenizer has tokens for which the model had no embedding ({_named(lacking)}): each begins as the mean "
        "of all others."
    )


def refuse_unknown_tokens(network: Any, tokenizer: PreTrainedTokenizerBase, highest: int, where: str) -> None:
    """Refuses texts of a decoder with tokens that it has no embedding for: one that it would also have to predict
    cannot be made up.

    Args:
        highest: the highest id in the texts.
    """
    rows = embeddings(network)
    if rows is not None and highest >= rows:
        raise UserError(
            f"{where}: the tokenizer makes tokens for which the model has no embedding "
            f"({_named(unknown_tokens(tokenizer, rows))}). Take them out of the texts or of the tokenizer, or give the "
            "model some: model.resize_token_embeddings(len(tokenizer))."
        )


def embeddings(network: Any) -> int | None:
    """For how many tokens there are embeddings; None for a network without a table of them."""
    try:
        table = network.get_input_embeddings()
    except (NotImplementedError, AttributeError):
        return None
    return int(table.weight.shape[0]) if isinstance(getattr(table, "weight", None), torch.Tensor) else None


def unknown_tokens(tokenizer: PreTrainedTokenizerBase, rows: int | None) -> list[str]:
    """The tokens that lie beyond so many embeddings, by id."""
    if rows is None or (len(tokenizer) <= rows and max(tokenizer.get_vocab().values(), default=0) < rows):
        return []
    found = sorted((number, token) for token, number in tokenizer.get_vocab().items() if number >= rows)
    return [token for _, token in found]


def _tables(network: Any) -> list[int]:
    """The sizes of what may be a table of positions."""
    try:
        own = network.get_input_embeddings()
    except (NotImplementedError, AttributeError):
        own = None
    embeddings = [m.num_embeddings for m in network.modules() if isinstance(m, nn.Embedding) and m is not own]
    named = [x.shape[-2] for name, x in network.state_dict().items() if "pos" in name and x.ndim >= 2]
    buffers = [x.shape[-2] for name, x in network.named_buffers() if "pos" in name and x.ndim >= 2]
    return sorted({*embeddings, *named, *buffers})


def _reads(network: Any, length: int) -> bool:
    """Whether a text of so many tokens goes through it."""
    config = network.config.get_text_config()
    size = embeddings(network) or int(getattr(config, "vocab_size", None) or 128)
    pad = getattr(config, "pad_token_id", None)
    usual = next(number for number in range(size - 1, -2, -1) if number != pad)
    ids = torch.full((1, length), max(usual, 0), device=network.device)
    end = getattr(config, "eos_token_id", None)
    if network.config.is_encoder_decoder and isinstance(end, int):
        ids[:, :-1][ids[:, :-1] == end] = max(usual - 1, 0)
        ids[0, -1] = end
    training = network.training
    network.eval()
    try:
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            both = {"decoder_input_ids": ids} if network.config.is_encoder_decoder else {}
            network(input_ids=ids, attention_mask=torch.ones_like(ids), **both)
    except (IndexError, RuntimeError):
        return False
    finally:
        network.train(training)
    return True


def _named(tokens: Collection[str]) -> str:
    shown = ", ".join(list(tokens)[:SHOWN])
    return shown if len(tokens) <= SHOWN else f"{shown}, … {len(tokens)} in all"
