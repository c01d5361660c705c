"""Padding that changes no answer: what a network makes of rows that others pad is measured when it is opened, and
mended where it differs.

Most networks are told by the attention mask, or by the id of the padding, which tokens are none. Some look at a fixed
place (XLNet at the last one), and some at all places (FNet has no mask at all). Knows no data and no loss.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import GenerationConfig
from transformers.modeling_outputs import SequenceClassifierOutput

from noria.common.errors import UserError
from noria.model.head import scores_of

Way = Literal["right", "left", "lengths", "rows"]
WAYS: tuple[Way, ...] = ("right", "left", "lengths", "rows")  # of which the first that changes no answer is taken
LENGTHS = 5, 7, 9, 5, 14  # tokens of the rows that are measured, of which the last pads the others
MARGIN = 4  # places of a position table that may be no token's
# How far apart two answers may be, relative to the largest number in them: nothing but rounding; surely more than that;
# and rounding, where all but a few sums are in fp64.
NOISE, CLEAR, EXACT = 1e-5, 1e-4, 3e-6
COARSE = 0.1  # surely more than rounding where weights are in half precision
LARGE = 10**9  # weights: no room for them in fp64


class Rearranged:
    """Stands in for the forward of a classifier: takes rows padded at the right, and gives the network what it needs.

    Args:
        way: `left`: rows padded at the left; `lengths`: rows of one length at a time, without padding; `rows`: one
            row at a time.
        least: the fewest tokens that the network can read: a row of fewer is padded up to them.
    """

    def __init__(self, network: nn.Module, way: Way, least: int = 1) -> None:
        self.network, self.way, self.least = network, way, least

    def __call__(self, **given: Any) -> Any:
        forward: Any = type(self.network).forward
        mask = given.get("attention_mask")
        if mask is None:
            return forward(self.network, **given)
        lengths = mask.sum(1)
        if self.way == "left":
            return forward(self.network, **_each(given, mask, lambda x: _rolled(x, lengths)))
        groups = _rows(lengths, self.way)
        sizes = [max(int(lengths[rows[0]]), self.least) for rows in groups]
        parts = [
            scores_of(forward(self.network, **_each(given, mask, partial(_cut, rows=rows, size=size))))
            for rows, size in zip(groups, sizes, strict=True)
        ]
        if parts[0].ndim == 3:  # of each token: those that were cut off are padding
            parts = [functional.pad(part, (0, 0, 0, mask.shape[1] - part.shape[1])) for part in parts]
        order = torch.cat(groups).argsort()
        return SequenceClassifierOutput(logits=torch.cat(parts)[order])


def settle_padding(network: Any, pad_id: int) -> Way:
    """Makes a classifier, in place, answer a row of tokens alike whatever pads it at the right.

    Returns:
        What it needed: `right` is nothing.

    Raises:
        UserError: it cannot read plain texts, or answers the same row in two ways.
    """
    name_padding(network, pad_id)
    rows = _rows_to_measure(network, pad_id)
    with _undisturbed(network):
        for way in WAYS:
            vars(network).pop("forward", None)
            if way != "right":
                network.forward = Rearranged(network, way, least=_least(network, pad_id))
            if _holds(network, rows, pad_id):
                return way
    raise UserError(
        f"A '{network.config.model_type}' model gives the same text another answer each time, so nothing that it says "
        "can be measured. Choose another model."
    )


def refuse_unfit_decoder(network: Any, pad_id: int) -> None:
    """Refuses a network that sees the tokens that it is to predict, or takes padding at the right for tokens.

    Raises:
        UserError: as above.
    """
    name_padding(network, pad_id)
    *_, short, long = _rows_to_measure(network, pad_id)
    kind, size = network.config.model_type, len(short)

    def differs(row: list[int]) -> bool:
        """Whether the first tokens of a row, beside a longer one, are answered in another way than alone."""
        alone, beside = _logits(network, [long[:size]], pad_id), _logits(network, [row, long], pad_id)
        return _differ(alone[0], beside[0, :size], CLEAR)

    with _undisturbed(network):
        if differs(long):
            raise UserError(
                f"A '{kind}' model sees the words that it is to predict. Choose a decoder, such as model=smollm2."
            )
        if differs(long[:size]):
            raise UserError(
                f"A '{kind}' model takes padding for tokens: what it says of a text would depend on its batch. Choose "
                "another decoder."
            )


def generates_beside(network: Any, pad_id: int) -> Literal["all", "one length", "none"]:
    """Beside which other prompts a decoder goes on from one as it does alone; longer ones pad it at the left.

    Three tokens are made, always the same ones: some decoders keep their place right for the first alone.
    """
    *_, short, long = _rows_to_measure(network, pad_id)
    forced = long[:3]

    def next_logits(rows: list[list[int]]) -> Tensor:
        ids, mask = _padded(network, rows, pad_id, left=True)
        config = GenerationConfig(
            max_new_tokens=len(forced), min_new_tokens=len(forced), do_sample=False, pad_token_id=pad_id
        )
        found: Any = network.generate(
            input_ids=ids, attention_mask=mask, generation_config=config, return_dict_in_generate=True,
            output_logits=True, prefix_allowed_tokens_fn=lambda _, made: [forced[len(made) - ids.shape[1]]],
        )  # fmt: skip
        return torch.stack([logits[0] for logits in found.logits]).float()

    def alike(row: list[int], other: list[int]) -> bool:
        limit = CLEAR if network.dtype == torch.float32 else COARSE
        return not _differ(next_logits([row]), next_logits([row, other]), limit)

    with _undisturbed(network):
        if alike(short, long):
            return "all"
        return "one length" if alike(long, long[::-1]) else "none"


def drop_unknown_padding(config: Any) -> None:
    """Takes out of a config an id of padding that there is no embedding for, such as the -1 of early Llamas."""
    for part in (config, config.get_text_config()):
        pad, size = getattr(part, "pad_token_id", None), getattr(part, "vocab_size", None)
        if isinstance(pad, int) and isinstance(size, int) and not 0 <= pad < size:
            vars(part)["pad_token_id"] = None  # some configs demand a number of whoever sets it


def name_padding(network: Any, pad_id: int) -> None:
    """Writes into the network's config what rows are padded with: heads find the last token by it.

    A network that counts its positions from its own id of padding (RoBERTa) keeps it: those of all tokens would move.
    """
    if counts_from_padding(network):
        return
    for config in {id(config): config for config in (network.config, network.config.get_text_config())}.values():
        config.pad_token_id = pad_id


def counts_from_padding(network: nn.Module) -> bool:
    """Whether a row of the position table is set aside for padding."""
    tables = (module for name, module in network.named_modules() if "position" in name)
    return any(isinstance(table, nn.Embedding) and table.padding_idx is not None for table in tables)


def is_rearranged(network: Any) -> bool:
    """Whether `settle_padding` has changed how a network runs."""
    bare = network.get_base_model() if hasattr(network, "get_base_model") else network
    return isinstance(vars(bare).get("forward"), Rearranged)


def runs_in_parts(network: Any) -> bool:
    """Whether one forward is several, and on other ranks another number of them."""
    bare = network.get_base_model() if hasattr(network, "get_base_model") else network
    return is_rearranged(bare) and vars(bare)["forward"].way != "left"


def _each(given: dict[str, Any], mask: Tensor, change: Callable[[Tensor], Tensor]) -> dict[str, Any]:
    """What is given, with `change` of all that has a value for each token."""
    return {n: change(x) if isinstance(x, Tensor) and x.shape == mask.shape else x for n, x in given.items()}


def _rolled(values: Tensor, lengths: Tensor) -> Tensor:
    """Rows padded at the right (rows, length) as rows padded at the left."""
    length = values.shape[1]
    places = torch.arange(length, device=values.device) + lengths[:, None]
    return values.gather(1, places % length)


def _rows(lengths: Tensor, way: Way) -> list[Tensor]:
    """The numbers of the rows that run together."""
    if way == "rows":
        return list(torch.arange(len(lengths), device=lengths.device)[:, None])
    return [(lengths == length).nonzero()[:, 0] for length in lengths.unique()]


def _cut(values: Tensor, rows: Tensor, size: int) -> Tensor:
    """So many first places of some rows; zeros where there are no more."""
    found = values[rows, :size]
    return functional.pad(found, (0, size - found.shape[1]))


@contextmanager
def _undisturbed(network: Any) -> Iterator[None]:
    """The network in evaluation mode; then as it was, like torch's generator."""
    training = network.training
    network.eval()
    try:
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            yield
    finally:
        network.train(training)


def _rows_to_measure(network: Any, pad_id: int) -> list[list[int]]:
    """Rows of tokens that mean nothing in particular."""
    config = network.config.get_text_config()
    count = int(getattr(config, "vocab_size", None) or 128)
    named = [getattr(config, name, None) for name in ("bos_token_id", "eos_token_id", "cls_token_id", "sep_token_id")]
    special = {pad_id, 0, *(number for one in named for number in (one if isinstance(one, list) else [one]))}
    usual = [number for number in range(min(count, 10_000)) if number not in special] or [0]
    table = getattr(config, "max_position_embeddings", None) or -1  # XLNet says -1: it has none
    room = max(table - MARGIN, 1) if table > 0 else max(LENGTHS)
    lengths = [min(length, room) for length in LENGTHS]
    rows = [[usual[(31 * row + 7919 * place) % len(usual)] for place in range(n)] for row, n in enumerate(lengths, 1)]
    end = getattr(config, "eos_token_id", None)
    if network.config.is_encoder_decoder and isinstance(end, int):  # whose heads look for the last token, which it is
        rows = [[*row[:-1], end] for row in rows]
    return rows


def _least(network: Any, pad_id: int) -> int:
    """The fewest tokens that it can read: some put several into one."""
    shortest = min(_rows_to_measure(network, pad_id), key=len)
    for size in range(1, len(shortest)):
        ids, mask = _padded(network, [shortest[-size:]], pad_id)
        try:
            type(network).forward(network, input_ids=ids, attention_mask=mask)
        except (RuntimeError, IndexError):
            continue
        return size
    return len(shortest)


def _holds(network: Any, rows: list[list[int]], pad_id: int) -> bool:
    """Whether rows have the same answers alone and together, where one pads the others."""

    def differs(limit: float) -> bool:
        together = _logits(network, rows, pad_id)
        alone = [_logits(network, [row], pad_id)[0] for row in rows]
        pairs = zip(alone, together, strict=True)
        # a head that says something of each token says it of the padding, too
        return any(_differ(one, beside if one.ndim == 1 else beside[: len(one)], limit) for one, beside in pairs)

    return not _surely(network, differs)


def _surely(network: Any, differs: Callable[[float], bool]) -> bool:
    """Whether answers differ by more than the order of sums: in doubt a network that is not too large is asked again
    in fp64."""
    if not differs(NOISE):
        return False
    weights = [x for x in (*network.parameters(), *network.buffers()) if x.is_floating_point()]
    if differs(CLEAR):
        return True
    if any(x.dtype != torch.float32 for x in weights) or sum(x.numel() for x in weights) > LARGE:
        return False
    network.double()  # in place: there may be no room for a second one
    try:
        return differs(EXACT)
    finally:
        network.float()


def _differ(one: Tensor, other: Tensor, limit: float) -> bool:
    """Whether answers are further apart than so much of the largest. What is no number differs from nothing: broken
    weights are found out elsewhere, and what fp64 cannot tell is left at what fp32 has told."""
    return float((one - other).abs().max()) > limit * max(float(one.abs().max()), 1e-9)


def _logits(network: Any, rows: list[list[int]], pad_id: int) -> Tensor:
    """Of rows padded at the right."""
    ids, mask = _padded(network, rows, pad_id)
    try:
        found = scores_of(network.forward(input_ids=ids, attention_mask=mask))
    except Exception as error:  # of a stranger's code, whatever it may be
        said = " ".join(str(error).split()) or type(error).__name__
        raise UserError(
            f"A '{network.config.model_type}' model cannot read plain texts: {said[:200].rstrip('.')}. Choose another "
            "model."
        ) from error
    return found


def _padded(network: Any, rows: list[list[int]], pad_id: int, left: bool = False) -> tuple[Tensor, Tensor]:
    """Rows side by side, and their mask."""
    longest = max(len(row) for row in rows)
    gaps = [longest - len(row) for row in rows]
    pairs = zip(rows, gaps, strict=True)
    ids = [[pad_id] * gap + row if left else row + [pad_id] * gap for row, gap in pairs]
    pairs = zip(rows, gaps, strict=True)
    mask = [[0] * gap + [1] * len(row) if left else [1] * len(row) + [0] * gap for row, gap in pairs]
    return torch.tensor(ids, device=network.device), torch.tensor(mask, device=network.device)
