"""A Transformer that begins at random, with a tokenizer trained on the texts it will learn from. Knows no loss."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt, Interval

from noria.common.errors import UserError
from noria.model.head import SEQUENCE, Head, name_labels
from noria.model.transformer.network import Classifier, EncoderDecoder, LanguageModel
from noria.model.transformer.saved import library_config
from noria.model.transformer.shape import Shape
from noria.model.vocabulary import BEGIN, END, Vocabulary

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from noria.model.peft import Adapter

Rate = Annotated[float, Interval(ge=0, lt=1)]
FRAMES: dict[str, tuple[str, str | None]] = {
    "encoder": (f"{BEGIN} $A {END}", f"{BEGIN} $A {END} $B {END}"),
    "decoder": ("$A", None),
    "both": (f"$A {END}", f"$A {END} $B {END}"),
}
"""What stands around a text, and around the two of a pair."""


class Transformer:
    """Makes the tokenizer and the network; it is saved as one of the transformers library's own architectures.

    Args:
        architecture: `encoder` (classification), `decoder` (language models) or `both` (text to text).
        vocabulary: how the tokenizer is trained.
        d_model, num_heads, d_ff, num_encoder_layers, num_decoder_layers, max_position_embeddings, norm, norm_first,
            positions, activation, tie_embeddings, dropout, attention_dropout, activation_dropout: as `Shape` says.
        peft: none: all weights are new.

    Raises:
        UserError: the width cannot be shared by so many heads, or there is an adapter.
    """

    homes: ClassVar[dict[str, dict[str, tuple[object, ...]]]] = {
        "Marian": {
            "architecture": ("both",),
            "norm": ("layer",),
            "norm_first": (False,),
            "positions": ("sinusoidal",),
            "activation": ("relu", "gelu", "silu"),
        },
        "BART": {
            "architecture": ("both",),
            "norm": ("layer",),
            "norm_first": (False,),
            "positions": ("learned",),
            "activation": ("relu", "gelu", "silu"),
        },
        "Pegasus": {
            "architecture": ("both",),
            "norm": ("layer",),
            "norm_first": (True,),
            "positions": ("sinusoidal", "learned"),
            "activation": ("relu", "gelu", "silu"),
        },
        "GPT-2": {
            "architecture": ("decoder",),
            "norm": ("layer",),
            "norm_first": (True,),
            "positions": ("sinusoidal", "learned"),
            "activation": ("relu", "gelu", "silu"),
        },
        "OPT": {
            "architecture": ("decoder",),
            "norm": ("layer",),
            "norm_first": (False,),
            "positions": ("sinusoidal", "learned"),
            "activation": ("relu", "gelu", "silu"),
        },
        "Llama": {
            "architecture": ("decoder",),
            "norm": ("rms",),
            "norm_first": (True,),
            "positions": ("rotary",),
            "activation": ("swiglu",),
        },
        "BERT": {
            "architecture": ("encoder",),
            "norm": ("layer",),
            "norm_first": (False,),
            "positions": ("sinusoidal", "learned"),
            "activation": ("relu", "gelu", "silu"),
        },
    }
    """Which choices each architecture of the library stands for: a rule of the config refuses what is in none."""

    revision: None = None
    dtype = "float32"

    def __init__(
        self,
        *,
        architecture: Literal["encoder", "decoder", "both"] = "both",
        vocabulary: Vocabulary,
        d_model: Annotated[int, Gt(0)] = 256,
        num_heads: Annotated[int, Gt(0)] = 4,
        d_ff: Annotated[int, Gt(0)] = 1024,
        num_encoder_layers: Annotated[int, Ge(1)] = 3,
        num_decoder_layers: Annotated[int, Ge(1)] = 3,
        max_position_embeddings: Annotated[int, Gt(1)] = 512,
        norm: Literal["layer", "rms"] = "layer",
        norm_first: bool = False,
        positions: Literal["sinusoidal", "learned", "rotary"] = "sinusoidal",
        activation: Literal["relu", "gelu", "silu", "swiglu"] = "relu",
        tie_embeddings: bool = True,
        dropout: Rate = 0.1,
        attention_dropout: Rate = 0.0,
        activation_dropout: Rate = 0.0,
        peft: Adapter | None = None,
    ) -> None:
        if peft is not None:
            raise UserError(
                "model.peft: an adapter stands beside weights that are kept, and model=transformer begins without any. "
                "Take model/peft=none."
            )
        if d_model % num_heads or d_model // num_heads % 2:
            raise UserError(
                f"model.d_model={d_model} cannot be shared by model.num_heads={num_heads}: each head takes an even "
                f"part of it. Take {2 * num_heads * max(d_model // (2 * num_heads), 1)}, or other heads."
            )
        self.architecture = architecture
        self.name = f"transformer ({architecture})"
        self.attn_implementation = "auto"
        self._vocabulary = vocabulary
        self._sizes: dict[str, Any] = {
            "architecture": architecture,
            "d_model": d_model,
            "num_heads": num_heads,
            "d_ff": d_ff,
            "num_encoder_layers": num_encoder_layers,
            "num_decoder_layers": num_decoder_layers,
            "max_position_embeddings": max_position_embeddings,
            "norm": norm,
            "norm_first": norm_first,
            "positions": positions,
            "activation": activation,
            "tie_embeddings": tie_embeddings,
            "dropout": dropout,
            "attention_dropout": attention_dropout,
            "activation_dropout": activation_dropout,
        }
        self._tokenizer: PreTrainedTokenizerBase | None = None

    def files(self) -> list[Path]:
        """None: all of it comes from the config, the seed and the texts."""
        return []

    def tokenizer(self, texts: Callable[[], Iterable[str]] | None = None) -> PreTrainedTokenizerBase:
        """Trains the tokenizer, or takes it from the cache.

        Args:
            texts: gives those to train on.

        Raises:
            UserError: there are none.
        """
        made = self._vocabulary.trained(texts() if texts is not None else (), FRAMES[self.architecture])
        made.model_max_length = self._sizes["max_position_embeddings"]
        self._tokenizer = made
        return made

    def language_model(self) -> LanguageModel:
        """A decoder that predicts each token from those before it."""
        shape = self._shape()
        return LanguageModel(shape, library_config(shape, end=self._end)).train()

    def encoder_decoder(self) -> EncoderDecoder:
        """An encoder that reads a source, and a decoder that writes a target."""
        shape = self._shape()
        return EncoderDecoder(shape, library_config(shape, end=self._end)).train()

    def classifier(
        self,
        labels: list[str],
        problem_type: Literal["regression", "single_label_classification", "multi_label_classification"] | None,
        pad_token_id: int | None = None,
        tokenizer: PreTrainedTokenizerBase | None = None,
        head: Head = SEQUENCE,
    ) -> Classifier:
        """An encoder with a head, as `Pretrained.classifier` gives it."""
        shape = self._shape()
        config = library_config(shape, end=self._end)
        rows = name_labels(config, labels, problem_type)
        return Classifier(shape, config, rows, tokens=head.adapted_as == "TOKEN_CLS").train()

    @property
    def _end(self) -> int:
        assert self._tokenizer is not None
        return int(self._tokenizer.eos_token_id)

    def _shape(self) -> Shape:
        known = self._tokenizer
        assert known is not None, "the tokenizer is trained before a network is made"
        return Shape(vocab_size=len(known), pad=int(known.pad_token_id), **self._sizes)
