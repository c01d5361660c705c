"""Losses over vectors of a whole optimiser step. They know neither network nor texts."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from noria.task.text_embedding.encoded import NO_TEXT

SCALE = 20.0  # of CoSENT, as its author and sentence-transformers have it


def in_batch(made: Tensor, texts: Tensor, there: Tensor, temperature: float) -> Tensor:
    """The cross-entropy of each query's document among all documents of the step (van den Oord et al. 2018, equation 4;
    Henderson et al. 2017, section 4.3), with cosines over a temperature as logits.

    A document of the step that is right for a query, too, is no negative of it: one with the same text as its own, one
    that stands beside the same query elsewhere, and the query's own text.

    Args:
        made: (n, 2 + negatives, width), of length 1: queries, their documents, and documents that are wrong for them.
        texts: (n, 2 + negatives), int64: which text each is; `NO_TEXT` where there is none.
        there: (n,), bool: whether an example counts; the documents of others are nobody's negatives.

    Returns:
        (n,)
    """
    count, parts = texts.shape
    documents, ids = made[:, 1:].transpose(0, 1).flatten(0, 1), texts[:, 1:].T.flatten()
    logits = made[:, 0] @ documents.T / temperature  # (n, documents); the first n are the right ones, in order
    right = texts[:, 1, None] == ids
    same = texts[:, :1] == texts[None, :, 0]
    if int(same.sum()) > count:  # one query with several documents
        right = (same.float() @ right.float()) > 0
    left_out = right | (texts[:, :1] == ids) | ~there.repeat(parts - 1) | (ids == NO_TEXT)
    left_out[:, :count].fill_diagonal_(False)
    logits = logits.masked_fill(left_out, -torch.inf)
    return F.cross_entropy(logits, torch.arange(count, device=made.device), reduction="none")


def triplet(made: Tensor, texts: Tensor, margin: float) -> Tensor:
    """How far each query's document is from being nearer by `margin` than those that are wrong for it, in cosines, the
    mean over them (Schroff et al. 2015, section 3.1).

    Args:
        made, texts: (n, 2 + negatives, width) and (n, 2 + negatives), as of `in_batch`.

    Returns:
        (n,)
    """
    near = (made[:, :1] * made[:, 1:]).sum(-1)
    counts = texts[:, 2:] != NO_TEXT
    return (F.relu(margin - near[:, :1] + near[:, 1:]) * counts).sum(1) / counts.sum(1).clamp(min=1)


def squared(cosines: Tensor, wanted: Tensor) -> Tensor:
    """How far cosines are from what they should be, squared (Reimers and Gurevych 2019, section 3.1)."""
    return (cosines - wanted) ** 2


def cosent(cosines: Tensor, wanted: Tensor, there: Tensor) -> Tensor:
    """One number for all examples, at each of them: by how much pairs that should be less similar are more so (Su 2022,
    CoSENT; the log of one and a sum over all two pairs in the wrong order).

    Args:
        there: (n,), bool: whether an example counts.

    Returns:
        (n,)
    """
    gaps = SCALE * (cosines[None] - cosines[:, None])  # (i, j): j is more similar than i
    counts = (wanted[:, None] > wanted[None]) & there[:, None] & there[None]
    gaps = torch.cat([gaps.new_zeros(1), gaps[counts]])
    return gaps.logsumexp(0).expand(len(cosines))


def from_teacher(made: Tensor, teacher: Tensor, there: Tensor) -> Tensor:
    """How far each example's vectors are from a teacher's, the mean over its texts: 1 less their cosine; where they
    have another width, the squared difference of the cosines between each text and all others of the step (Tung and
    Mori 2019, Similarity-Preserving Knowledge Distillation, section 3.1, with cosines in place of products).

    Args:
        made, teacher: (n, texts, width), of length 1.
        there: (n, texts), bool: which texts there are and count.

    Returns:
        (n,)
    """
    if made.shape[-1] == teacher.shape[-1]:
        each = 1 - (made * teacher).sum(-1)
    else:
        own, other = (x.flatten(0, 1) @ x.flatten(0, 1).T for x in (made, teacher))
        others = there.flatten()[None] & ~torch.eye(len(own), dtype=torch.bool, device=own.device)
        each = (((own - other) ** 2 * others).sum(-1) / others.sum(-1).clamp(min=1)).view(there.shape)
    return (each * there).sum(-1) / there.sum(-1).clamp(min=1)
