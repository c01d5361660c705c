"""The loss of tokens that are predicted out of a vocabulary, and their sums over rows. Knows no network."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from noria.model.residual_norm import low_type

IGNORED = -100  # the label of a place that is no target, as torch's cross entropy has it
LEAST = 1e-7  # of a probability that is a difference to 1, in fp32
CHUNK = 1 << 21  # logits that are held at a time


def row_sums(losses: Tensor, there: Tensor) -> Tensor:
    """The sums over each row (rows,) of what stands at these places (rows, length)."""
    places = there.nonzero()[:, 0]
    return torch.zeros(len(there), dtype=losses.dtype, device=losses.device).index_add(0, places, losses)


def wanted(labels: Tensor) -> Tensor:
    """Which places of labels (rows, length) are targets, bool."""
    return labels != IGNORED


def token_losses(logits: Tensor, targets: Tensor, smoothing: float = 0.0) -> tuple[Tensor, Tensor]:
    """The loss of each target by which it is learnt, and its negative log-likelihood, both (targets,), fp32.

    With smoothing the target has the probability 1 - ε in place of 1, and ε is shared by all tokens (Szegedy et al.
    2016, section 7): (1 - ε) · -log p(target) + ε · mean over the vocabulary of -log p. Without it both are the
    same.

    Args:
        logits: (targets, vocabulary).
        targets: (targets,), token ids.
        smoothing: ε, from 0 to below 1.
    """
    scores = logits if logits.dtype == torch.float64 else logits.float()
    losses = F.cross_entropy(scores, targets, reduction="none", label_smoothing=smoothing)
    if not smoothing:
        return losses, losses.detach()
    with torch.no_grad():
        return losses, F.cross_entropy(scores, targets, reduction="none")


def divergence(logits: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """T² · KL(teacher ‖ student) over the last dimension, of logits (…, classes) divided by the temperature T (Hinton
    et al. 2015, section 2): (…,)."""
    wanted, found = (teacher / temperature).log_softmax(-1), (logits / temperature).log_softmax(-1)
    return temperature**2 * (wanted.exp() * (wanted - found)).sum(-1)


def likeliest(logits: Tensor, temperature: float, top: int) -> tuple[Tensor, Tensor, Tensor]:
    """What is kept of the probabilities of logits (targets, vocabulary) divided by a temperature: the ids of the `top`
    likeliest tokens and their log-probabilities, both (targets, top), and the probability of all others (targets,)."""
    logs = (logits.float() / temperature).log_softmax(-1)
    kept, ids = logs.topk(min(top, logs.shape[-1]))
    return ids, kept, (1 - kept.exp().sum(-1)).clamp(min=0)


def divergence_of_likeliest(logits: Tensor, ids: Tensor, logs: Tensor, rest: Tensor, temperature: float) -> Tensor:
    """`divergence` from a teacher of which `likeliest` is known; all other tokens are one: (targets,), fp32.

    Args:
        logits: of the student (targets, vocabulary).
        ids, logs, rest: of the teacher, as `likeliest` gives them.
    """
    scaled = logits.float() / temperature
    found = scaled.gather(-1, ids.long()) - scaled.logsumexp(-1, keepdim=True)
    others = (1 - found.exp().sum(-1)).clamp(min=LEAST).log()
    logs = logs.float()
    return temperature**2 * ((logs.exp() * (logs - found)).sum(-1) + torch.xlogy(rest, rest) - rest * others)


def linear_token_losses(x: Tensor, weight: Tensor, targets: Tensor, smoothing: float = 0.0) -> tuple[Tensor, Tensor]:
    """`token_losses` of the logits `x @ weight.T`, without ever holding the logits of all targets.

    They are made for some targets at a time, and so are their gradients, while they lie in the processor's cache: over
    a whole vocabulary, reading and writing them would take longer than the products.

    Args:
        x: (targets, width).
        weight: (vocabulary, width).
        targets, smoothing: as `token_losses` takes them.
    """
    losses, plain = _LinearTokenLosses.apply(x, weight, targets, smoothing, low_type(x))
    return losses, plain


class _LinearTokenLosses(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, targets: Tensor, smoothing: float, low: torch.dtype
    ) -> tuple[Tensor, Tensor]:
        learns = any(ctx.needs_input_grad[:2])
        rows, vocabulary = max(CHUNK // len(weight), 1), len(weight)
        with torch.autocast(x.device.type, enabled=False):
            x, own = x.to(low), weight.to(low)
            exact = torch.float64 if low == torch.float64 else torch.float32
            plain = x.new_empty(len(x), dtype=exact)
            losses = torch.empty_like(plain) if smoothing else plain
            of_x = torch.empty_like(x) if learns else None
            of_weight = torch.zeros_like(weight, dtype=exact) if learns else None
            for start in range(0, len(x), rows):
                part, target = x[start : start + rows], targets[start : start + rows, None]
                scores = (part @ own.T).to(exact)
                total = scores.logsumexp(-1)
                found = torch.sub(total, scores.gather(1, target)[:, 0], out=plain[start : start + rows])
                if smoothing:
                    even = (total - scores.mean(-1)).mul_(smoothing)
                    torch.add(even, found, alpha=1 - smoothing, out=losses[start : start + rows])
                if of_x is None or of_weight is None:
                    continue
                made = scores.sub_(total[:, None]).exp_()  # probabilities; then the gradients of the logits
                if smoothing:
                    made.sub_(smoothing / vocabulary)
                made.scatter_add_(1, target, made.new_full(target.shape, smoothing - 1))
                made = made.to(low)
                torch.mm(made, own, out=of_x[start : start + rows])
                of_weight += made.T @ part
        if not smoothing:
            losses = plain.clone()
        ctx.save_for_backward(of_x, of_weight, x, own, targets)
        ctx.smoothing, ctx.types = smoothing, (x.dtype, weight.dtype)
        ctx.mark_non_differentiable(plain)
        return losses, plain

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, _: Tensor) -> tuple[Tensor, Tensor, None, None, None]:
        of_x, of_weight, x, own, targets = ctx.saved_tensors
        scaled = of_x * gradient[:, None].to(of_x.dtype)
        if len(gradient) and bool((gradient == gradient[0]).all()):  # as where all targets count alike
            return scaled, (of_weight * gradient[0]).to(ctx.types[1]), None, None, None
        # rows of different weight: the logits are made once more
        with torch.enable_grad():
            again = own.detach().requires_grad_()
            losses, _ = token_losses(x @ again.T, targets, ctx.smoothing)
            (of_weight,) = torch.autograd.grad(losses, again, gradient)
        return scaled, of_weight.to(ctx.types[1]), None, None, None
