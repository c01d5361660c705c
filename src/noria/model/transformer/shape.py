"""How a Transformer is built: its sizes, and the choices that the literature names. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Shape:
    """The plain values that a Transformer is made from.

    Args:
        architecture: `encoder`, `decoder`, or `both`: an encoder, and a decoder that looks at its output.
        vocab_size: tokens that have an embedding.
        d_model: the width of the vectors.
        num_heads: of each attention; they share the width.
        d_ff: the inner width of the feed-forward layer.
        num_encoder_layers, num_decoder_layers: blocks of each half.
        max_position_embeddings: tokens of a text at most.
        norm: `layer` (Ba et al. 2016) or `rms` (Zhang and Sennrich 2019).
        norm_first: norms stand before attention and feed-forward layers (pre-norm, Xiong et al. 2020), with one more at
            the end of each stack; False: after each residual sum (post-norm, Vaswani et al. 2017).
        positions: `sinusoidal`, `learned` or `rotary`.
        activation: of the feed-forward layer.
        tie_embeddings: the output layer has the embeddings' own matrix (Press and Wolf 2017).
        dropout: of embeddings and of what each layer adds to the residual.
        attention_dropout, activation_dropout: of attention weights, and inside the feed-forward layer.
        pad: the token with which rows are padded.
    """

    architecture: Literal["encoder", "decoder", "both"]
    vocab_size: int
    d_model: int
    num_heads: int
    d_ff: int
    num_encoder_layers: int
    num_decoder_layers: int
    max_position_embeddings: int
    norm: Literal["layer", "rms"] = "layer"
    norm_first: bool = False
    positions: Literal["sinusoidal", "learned", "rotary"] = "sinusoidal"
    activation: Literal["relu", "gelu", "silu", "swiglu"] = "relu"
    tie_embeddings: bool = True
    dropout: float = 0.1
    attention_dropout: float = 0.0
    activation_dropout: float = 0.0
    pad: int = 0

    @property
    def scales_embeddings(self) -> bool:
        """Whether embeddings are multiplied by √d_model (Vaswani et al. 2017, section 3.4), as for translation."""
        return self.architecture == "both"

    @property
    def norms_embeddings(self) -> bool:
        """Whether a norm follows the embeddings: BERT has it, and BART, which is post-norm with learned positions."""
        learned = self.architecture == "both" and self.positions == "learned" and not self.norm_first
        return self.architecture == "encoder" or learned
