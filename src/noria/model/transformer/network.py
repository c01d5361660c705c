"""Networks that are trained: a Transformer with what its work needs on top."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from noria.model.dropout import cheap_dropout
from noria.model.token_losses import linear_token_losses, wanted
from noria.model.transformer.shape import Shape
from noria.model.transformer.stack import Stack


@dataclass(frozen=True)
class Output:
    """What a network gives, under the name that networks of the transformers library give it."""

    logits: Tensor


class Network(nn.Module):
    """What all of them have: embeddings, a config of the library's own for the same mathematics, and a way to be saved.

    Args:
        shape: what it is made from.
        config: of the transformers architecture as which it is saved (`noria.model.transformer.saved`).
    """

    _no_split_modules: ClassVar[list[str]] = ["Block"]  # what may lie on a device of its own
    base_model_prefix = "body"
    supports_gradient_checkpointing = False

    def __init__(self, shape: Shape, config: Any) -> None:
        super().__init__()
        self.shape, self.config = shape, config
        self.generation_config: Any = None  # of a network that came from the library
        self.embeddings = nn.Embedding(shape.vocab_size, shape.d_model, padding_idx=shape.pad)

    @property
    def device(self) -> torch.device:
        return self.embeddings.weight.device

    @property
    def dtype(self) -> torch.dtype:
        return self.embeddings.weight.dtype

    def get_input_embeddings(self) -> nn.Embedding:
        return self.embeddings

    def draw(self) -> None:
        """Draws all weights anew: matrices from ±√(6 / (rows + columns)) (Glorot and Bengio 2010, equation 16),
        embeddings with a deviation of 1 / √d_model, biases zero, norms one."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        for name, weight in self.named_parameters():
            if name.endswith(("embeddings.weight", "positions.weight")):
                nn.init.normal_(weight, std=self.shape.d_model**-0.5)
        with torch.no_grad():
            self.embeddings.weight[self.shape.pad] = 0

    def save_pretrained(self, folder: Path, state_dict: dict[str, Tensor] | None = None) -> None:
        """Writes weights and config as the library's own architecture that computes the same."""
        from noria.model.pretrained import quiet
        from noria.model.transformer.saved import as_library_network

        with quiet():
            as_library_network(self, state_dict).save_pretrained(folder)


class Predictor(Network):
    """A network that gives scores of tokens."""

    def __init__(self, shape: Shape, config: Any) -> None:
        super().__init__(shape, config)
        self.output = nn.Linear(shape.d_model, shape.vocab_size, bias=False)
        if shape.tie_embeddings:
            self.output.weight = self.embeddings.weight

    def get_output_embeddings(self) -> nn.Linear:
        return self.output


class LanguageModel(Predictor):
    """A decoder that predicts each token from those before it."""

    def __init__(self, shape: Shape, config: Any) -> None:
        super().__init__(shape, config)
        self.decoder = Stack(shape, self.embeddings, decodes=True, looks=False)
        self.draw()

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Output:
        """Scores of the next token at each place, (batch, places, vocabulary); rows are padded at the right."""
        return Output(self.output(self.decoder(input_ids)))


class EncoderDecoder(Predictor):
    """An encoder that reads a source, and a decoder that predicts each token of the target from it and those before."""

    def __init__(self, shape: Shape, config: Any) -> None:
        super().__init__(shape, config)
        self.encoder = Stack(shape, self.embeddings, decodes=False, looks=False)
        self.decoder = Stack(shape, self.embeddings, decodes=True, looks=True)
        self.draw()

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        decoder_input_ids: Tensor | None = None,
        labels: Tensor | None = None,
        label_smoothing: float = 0.0,
    ) -> Any:
        """Scores of the next token of the target, `Output` with (batch, targets, vocabulary); or its losses.

        Args:
            input_ids, attention_mask: (batch, places) of the source.
            decoder_input_ids: (batch, targets), each the token before the one that is predicted; None: the source.
            labels: (batch, targets), the tokens that are predicted, -100 where none is. With them the loss of each, by
                which it is learnt, and its negative log-likelihood come instead, (predicted, 2).
            label_smoothing: of the first of these.
        """
        memory = self.encoder(input_ids, attention_mask)
        x = self.decoder(input_ids if decoder_input_ids is None else decoder_input_ids, None, memory, attention_mask)
        if labels is None:
            return Output(self.output(x))
        at = wanted(labels)
        return torch.stack(linear_token_losses(x[at], self.output.weight, labels[at], label_smoothing), 1)


class Classifier(Network):
    """An encoder with a head: a row of scores for a whole text from its first token, as BERT has it (Devlin et al.
    2019, section 4.1), or for each token.

    Args:
        labels: how many there are.
        tokens: a row of scores for each token.
    """

    def __init__(self, shape: Shape, config: Any, labels: int, tokens: bool) -> None:
        super().__init__(shape, config)
        self.encoder = Stack(shape, self.embeddings, decodes=False, looks=False)
        self.pooler = None if tokens else nn.Linear(shape.d_model, shape.d_model)
        self.classifier = nn.Linear(shape.d_model, labels)
        self.draw()

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Output:
        """(batch, labels), or (batch, places, labels)."""
        x = self.encoder(input_ids, attention_mask)
        if self.pooler is not None:
            x = self.pooler(x[:, 0]).tanh()
        return Output(self.classifier(cheap_dropout(x, self.shape.dropout, self.training)))
