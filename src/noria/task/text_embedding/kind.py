"""Texts as vectors. Knows not where texts come from, nor how vectors are searched."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
import torch
import torch.nn.functional as F
from annotated_types import Ge, Gt
from torch import Tensor, nn

from noria.data.batch.encoded import Encoded, padding_id
from noria.model.head import scores_of
from noria.model.pretrained import Pretrained
from noria.task.kind import Batch
from noria.task.text_embedding import losses
from noria.task.text_embedding.encoded import NO_TEXT
from noria.task.text_embedding.form import TextEmbeddingForm
from noria.task.text_embedding.library import write_modules
from noria.task.text_embedding.pooling import pooled
from noria.task.whole_step import WholeStepKind

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

NETWORK_INPUTS = ("input_ids", "attention_mask", "token_type_ids")


class TextEmbedding(WholeStepKind):
    """A bi-encoder: one network makes a vector of length 1 of each text; the nearness of two is their cosine.

    Args:
        kind: `retrieval` learns from queries with their documents, `similarity` from pairs of texts with a number.
        pooling: the vector of a text is the `mean` over its tokens, or that of the `first` or the `last` one.
        query_prompt, document_prompt: stand before every query and every document; both texts of a similarity are
            queries.
        loss: of retrieval `in_batch` or `triplet`, of similarity `cosent` or `squared`; `auto` is the first of these.
        temperature: what cosines are divided by, of `in_batch`.
        margin: of `triplet`, in cosines.
        matryoshka: the loss is the mean over these numbers of a vector's first dimensions, so that a vector may be cut
            there (Kusupati et al. 2022, Matryoshka Representation Learning, equation 1); None: over all of it.
    """

    form_path = "noria.task.text_embedding.form.TextEmbeddingForm"
    architectures = ("encoder", "decoder")
    only_for: ClassVar[dict[str, tuple[str, ...]]] = {"document_prompt": ("retrieval",)}
    packed: ClassVar[bool] = True
    batch_size: ClassVar[int] = 16  # documents are long: more at once only leave the processor's cache
    chunk: ClassVar[int] = 128
    untrained: ClassVar[bool] = True
    teacher_says: ClassVar[tuple[str, ...]] = ("vectors",)
    teacher_settings: ClassVar[tuple[str, ...]] = ("query_prompt", "document_prompt")
    compared: ClassVar[tuple[str, ...]] = ("index", "texts", "targets")

    form: TextEmbeddingForm

    def __init__(
        self,
        *,
        kind: Literal["retrieval", "similarity"] = "retrieval",
        pooling: Literal["mean", "first", "last"] = "mean",
        query_prompt: str = "",
        document_prompt: str = "",
        loss: Literal["auto", "in_batch", "triplet", "cosent", "squared"] = "auto",
        temperature: Annotated[float, Gt(0)] = 0.05,
        margin: Annotated[float, Ge(0)] = 0.2,
        matryoshka: list[Annotated[int, Gt(0)]] | None = None,
        **shared: Any,
    ) -> None:
        super().__init__(**shared)
        self.form = TextEmbeddingForm(
            kind=kind, pooling=pooling, query_prompt=query_prompt, document_prompt=document_prompt, loss=loss,
            temperature=temperature, margin=margin,
        )  # fmt: skip
        self.matryoshka = matryoshka

    def network(self, pretrained: Pretrained, tokenizer: PreTrainedTokenizerBase) -> nn.Module:
        made: nn.Module = pretrained.backbone(padding_id(tokenizer))
        return made

    def forward(self, network: nn.Module, batch: Batch) -> Tensor:
        """Vectors (examples, texts, width) of length 1."""
        states = scores_of(network(**{name: batch[name] for name in NETWORK_INPUTS if name in batch}))
        vectors = F.normalize(pooled(states, batch["attention_mask"], self.form.pooling), dim=-1)
        return vectors.unflatten(0, (-1, len(batch["index"]))).transpose(0, 1)

    def part(self, batch: Batch, rows: slice) -> Batch:
        parts, count = batch["texts"].shape[1], len(batch["index"])
        found = {name: x[rows] for name, x in batch.items() if isinstance(x, Tensor) and x.shape[:1] == (count,)}
        longest = None
        for name in ("attention_mask", *NETWORK_INPUTS):
            if name in batch:
                of_rows = batch[name].unflatten(0, (parts, count))[:, rows].flatten(0, 1)
                longest = int(of_rows.sum(1).max()) if longest is None else longest
                found[name] = of_rows[:, :longest]
        return found

    def losses(self, made: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        sizes = self.matryoshka or [made.shape[-1]]
        each = [self._loss(F.normalize(made[..., :size].float(), dim=-1), batch) for size in sizes]
        return torch.stack(each).mean(0), torch.ones_like(each[0])

    def _loss(self, made: Tensor, batch: Batch) -> Tensor:
        there = batch["index"] >= 0
        name = self.form.loss
        if name == "in_batch":
            return losses.in_batch(made, batch["texts"], there, self.form.temperature)
        if name == "triplet":
            return losses.triplet(made, batch["texts"], self.form.margin)
        cosines = (made[:, 0] * made[:, 1]).sum(-1)
        if name == "squared":
            return losses.squared(cosines, batch["targets"])
        return losses.cosent(cosines, batch["targets"], there)

    def outputs(self, made: Tensor, batch: Batch) -> dict[str, np.ndarray]:
        return {"vectors": made.detach().float().cpu().numpy()}

    def says(self, made: Tensor, batch: Batch, temperature: float, top: int) -> dict[str, np.ndarray]:
        return {"vectors": made.detach().half().cpu().numpy()}

    def distance(self, made: Tensor, batch: Batch, temperature: float) -> Tensor:
        there = (batch["texts"] != NO_TEXT) & (batch["index"] >= 0)[:, None]
        return losses.from_teacher(made, batch["teacher_vectors"].to(made.dtype), there)

    def weights(self, encoded: Encoded) -> np.ndarray:
        return np.ones(len(encoded), np.float32)

    def write(self, folder: Path, width: int, max_length: int) -> None:
        write_modules(folder, self.form, width, max_length)
