"""A pretrained model, by package, local folder or hub name. Knows neither data nor loss."""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, nullcontext, redirect_stderr
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import torch
from annotated_types import Ge
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer
from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES
from transformers.utils import logging as transformers_logging

from noria.common.console import say_once
from noria.common.errors import UserError
from noria.common.names import ARTIFACT_FILE, ONNX_FILE
from noria.common.paths import PACKAGE_PREFIX, packaged
from noria.model.head import SEQUENCE, Head, name_labels, own_labels, settle_head
from noria.model.layers import BLOCK
from noria.model.limits import embed_all
from noria.model.packed_weights import run_packed
from noria.model.padding import drop_unknown_padding, refuse_unfit_decoder, settle_padding
from noria.model.plausible import refuse_implausible
from noria.model.tokenizer import fitted_tokenizer
from noria.model.unpadded import NAME as UNPADDED

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

from noria.model.peft import Adapter

DTYPES = ("float32", "bfloat16", "float16")

MADE_UP = ("embed_positions.weight", "final_logits_bias")  # of an encoder-decoder: fixed, or zero where it is missing
NETWORK_FILES = ("config.json", "generation_config.json", "*.safetensors", "*.index.json", "*.bin", "*.py")


class Pretrained:
    """Opens the tokenizer and the network of one pretrained model.

    Args:
        name: `package:<package>/<folder>`, a local folder, or a name on the hub.
        architecture: what the model is; says which tasks it can do.
        revision: a branch, tag or commit on the hub.
        trust_remote_code: run Python that came with the model. Refused unless asked for.
        new_head: replace a head that was made for other labels.
        head_labels: what the rows of the model's own head are, in the words of the data, where it has other names for
            them.
        freeze: what is not trained: `embeddings`, the whole `backbone`, or a number: the embeddings
            and that many of the first layers.
        peft: trains an adapter in place of the network's own weights.
        attn_implementation: as transformers names them; `unpadded` packs the tokens of a batch (`model/unpadded.py`);
            `auto` takes what suits the device.
        gradient_checkpointing: computes each layer again in the backward pass in place of keeping what it computed.
    """

    def __init__(
        self,
        *,
        name: str,
        architecture: Literal["encoder", "decoder", "both"] = "encoder",
        revision: str | None = None,
        trust_remote_code: bool = False,
        new_head: bool = False,
        head_labels: list[str] | None = None,
        freeze: Literal["none", "embeddings", "backbone"] | Annotated[int, Ge(0)] = "none",
        peft: Adapter | None = None,
        attn_implementation: Literal["auto", "eager", "sdpa", "flash_attention_2", "unpadded"] = "auto",
        gradient_checkpointing: bool = False,
    ) -> None:
        self.name = name
        self.architecture = architecture
        self.new_head = new_head
        self.head_labels = None if head_labels is None else list(head_labels)
        self.freeze = freeze
        self.peft = peft
        self.attn_implementation = attn_implementation
        self.gradient_checkpointing = gradient_checkpointing
        self.source = str(packaged(name.removeprefix(PACKAGE_PREFIX))) if name.startswith(PACKAGE_PREFIX) else name
        self._options = {"revision": revision, "trust_remote_code": trust_remote_code}
        self._config: PretrainedConfig | None = None
        self._own_labels: list[str] = []
        self._own_dtype = ""
        self._tokenizer: PreTrainedTokenizerBase | None = None

    @property
    def config(self) -> PretrainedConfig:
        """The model's own config, read once."""
        if self._config is None:
            self._config = self._open(AutoConfig)
            drop_unknown_padding(self._config)
            self._own_dtype = str(getattr(self._config, "dtype", None)).removeprefix("torch.")
            self._own_labels = own_labels(self._config)  # a classifier's config gets those of the data
        return self._config

    @property
    def dtype(self) -> str:
        """The type of the weights as they came: `float32`, `bfloat16` or `float16`; of any other, `float32`."""
        _ = self.config
        return self._own_dtype if self._own_dtype in DTYPES else DTYPES[0]

    @property
    def revision(self) -> str | None:
        """The commit that was opened, for a model from the hub."""
        return getattr(self.config, "_commit_hash", None)

    def files(self) -> list[Path]:
        """The files of a local folder that the network is made of; of a model from the hub none: it has a commit."""
        folder = Path(self.source).expanduser()
        return sorted(path for pattern in NETWORK_FILES for path in folder.glob(pattern) if path.is_file())

    def tokenizer(self, texts: Callable[[], Iterable[str]] | None = None) -> PreTrainedTokenizerBase:
        """The model's tokenizer, which makes only what the model has a place for. The networks that are made after it
        go by it.

        Args:
            texts: those of the data, for a model whose tokenizer is trained on them; this one has its own.
        """
        tokenizer = fitted_tokenizer(self._open(AutoTokenizer), self.config.get_text_config(), self.name)
        self._tokenizer = tokenizer
        return tokenizer

    def classifier(
        self,
        labels: list[str],
        problem_type: Literal["regression", "single_label_classification", "multi_label_classification"] | None,
        pad_token_id: int | None = None,
        tokenizer: PreTrainedTokenizerBase | None = None,
        head: Head = SEQUENCE,
    ) -> Any:
        """The network in fp32, with a head that its own library defines.

        Its forward takes input_ids and attention_mask (batch, seq) and gives logits (batch, labels), or a row of them
        for each token; without labels there is one logit. Padding changes no logit.

        Args:
            problem_type: as transformers names them.
            pad_token_id: what rows are padded with, at the right; None: the tokenizer's, the model's own, or else 0.
            tokenizer: each of its tokens gets an embedding; None: that of the last `tokenizer()`.

        Raises:
            UserError: the model has no such head, or its weights do not fit.
        """
        config = self.config
        name_labels(config, head.rows or labels, problem_type)
        network, loading = self._network(head.auto_class, head.name)
        self._check_weights(network, loading)
        if labels and not _lacks_head(network, loading):
            settle_head(network, self._own_labels, labels, self.head_labels, self.new_head, self.name)
        if (known := tokenizer or self._tokenizer) is not None:
            embed_all(network, known)
        if settle_padding(network, self._pad(pad_token_id)) in ("lengths", "rows"):
            say_once(
                f"A '{config.model_type}' model takes padding for text, so only texts of one length run together: "
                "slower, but no answer depends on its batch."
            )
        return self._made_ready(network, head.adapted_as, _new_modules(network, loading["missing_keys"]))

    def backbone(self, pad_token_id: int | None = None) -> Any:
        """The network in fp32 without a head.

        Its forward takes input_ids and attention_mask (batch, seq) and gives `last_hidden_state` (batch, seq, width).
        Padding changes none of it. A pooler that comes with it is not trained: nothing looks at what it says.

        Args:
            pad_token_id: what rows are padded with, at the right; None: the tokenizer's, the model's own, or else 0.

        Raises:
            UserError: the model has none, or its weights do not fit.
        """
        network, loading = self._network(AutoModel, "bare")
        if wrong := sorted(key for key, *_ in loading["mismatched_keys"]):
            raise self._wrong_shape(wrong[0])
        self._refuse_missing([key for key in loading["missing_keys"] if "pooler" not in key])
        if self._tokenizer is not None:
            embed_all(network, self._tokenizer)
        settle_padding(network, self._pad(pad_token_id))
        network = self._made_ready(network, "FEATURE_EXTRACTION", [])
        for name, weight in network.named_parameters():
            if "pooler" in name:
                weight.requires_grad_(False)
        return network

    def language_model(self, pad_token_id: int | None = None) -> Any:
        """The network in fp32 that predicts each token from those before it.

        Its forward takes input_ids and attention_mask (batch, seq) and gives logits (batch, seq, vocab).

        Args:
            pad_token_id: what rows are padded with, at the right; None: the tokenizer's, the model's own, or else 0.

        Raises:
            UserError: the model is no decoder, or its weights do not fit.
        """
        config = self.config
        masked = config.model_type in MODEL_FOR_MASKED_LM_MAPPING_NAMES and not getattr(config, "is_decoder", False)
        if masked or getattr(config, "is_encoder_decoder", False):  # transformers would make a decoder of it
            raise UserError(
                f"model.name={self.name}: a '{config.model_type}' model has an encoder, which sees the words that it "
                "is to predict. Choose a decoder, such as model=smollm2."
            )
        network, loading = self._network(AutoModelForCausalLM, "language modelling")
        if wrong := sorted(key for key, *_ in loading["mismatched_keys"]):
            raise self._wrong_shape(wrong[0])
        self._refuse_missing(loading["missing_keys"])  # an output embedding tied to the input's is none of them
        refuse_unfit_decoder(network, self._pad(pad_token_id))
        return self._made_ready(network, "CAUSAL_LM", [])

    def encoder_decoder(self) -> Any:
        """The network in fp32 that reads a source and predicts each token of a target from it and those before.

        Its forward takes input_ids and attention_mask (batch, source) and decoder_input_ids (batch, target) and gives
        logits (batch, target, vocab).

        Raises:
            UserError: the model has no encoder and decoder, or its weights do not fit.
        """
        if not getattr(self.config, "is_encoder_decoder", False):
            raise UserError(
                f"model.name={self.name}: a '{self.config.model_type}' model is no encoder with a decoder. Choose one "
                "that is, such as T5, BART or Marian (model=hub), or model=transformer."
            )
        network, loading = self._network(AutoModelForSeq2SeqLM, "text to text")
        if wrong := sorted(key for key, *_ in loading["mismatched_keys"]):
            raise self._wrong_shape(wrong[0])
        self._refuse_missing([key for key in loading["missing_keys"] if not key.endswith(MADE_UP)])
        return self._made_ready(network, "SEQ_2_SEQ_LM", [])

    def _pad(self, given: int | None) -> int:
        named = [getattr(self._tokenizer, f"{name}_token_id", None) for name in ("pad", "eos")]
        own = getattr(self.config.get_text_config(), "pad_token_id", None)
        return int(next((number for number in (given, *named, own) if number is not None), 0))

    def _network(self, auto_class: Any, head: str) -> tuple[PreTrainedModel, dict[str, Any]]:
        """The network of an auto class in fp32, and what was missing or did not fit."""
        config = self.config
        if type(config) not in auto_class._model_mapping and not getattr(config, "auto_map", None):
            raise UserError(
                f"model.name={self.name}: transformers has no {head} head for "
                f"a '{config.model_type}' model. Choose another model."
            )
        options: dict[str, Any] = {"output_loading_info": True, "ignore_mismatched_sizes": True}
        if self.attn_implementation not in ("auto", UNPADDED):
            options["attn_implementation"] = self.attn_implementation
        if (folder := Path(self.source)).is_dir():
            refuse_implausible(folder, self.name)
        network, loading = self._open(auto_class, config=config, dtype=torch.float32, **options)
        return run_packed(network), loading

    def _made_ready(self, network: PreTrainedModel, task: str, new: list[str]) -> Any:
        """Ready to train: with its adapter, or with what is not trained frozen."""
        if self.gradient_checkpointing:
            if not network.supports_gradient_checkpointing:
                raise UserError(
                    f"model.gradient_checkpointing=true: transformers cannot do that with a "
                    f"'{network.config.model_type}' model. Leave it out."
                )
            network.gradient_checkpointing_enable({"use_reentrant": False})
        if self.peft is not None:
            network = self.peft.apply(network, task, self.name, new)
        else:
            freeze(network, self.freeze)
        return network.train()  # it comes in evaluation mode, in which Lightning would leave it

    def _check_weights(self, network: PreTrainedModel, loading: dict[str, Any]) -> None:
        backbone = network.base_model_prefix + "."
        wrong_shape = sorted(key for key, *_ in loading["mismatched_keys"])
        if body := [key for key in wrong_shape if key.startswith(backbone)]:
            raise self._wrong_shape(body[0])
        if wrong_shape and not self.new_head:
            raise UserError(
                f"model.name={self.name} comes with a head for other labels than these "
                f"{network.config.num_labels} ({wrong_shape[0]}). model.new_head=true trains a new one."
            )
        # A pooler is part of the head's path and missing from some encoders: it is trained from scratch.
        self._refuse_missing([k for k in loading["missing_keys"] if k.startswith(backbone) and "pooler" not in k])

    def _wrong_shape(self, key: str) -> UserError:
        return UserError(f"model.name={self.name}: the weights have another shape than the config says: {key}.")

    def _refuse_missing(self, missing: Collection[str]) -> None:
        if missing:
            raise UserError(
                f"model.name={self.name}: {len(missing)} of its weights are missing ({sorted(missing)[0]}, …): "
                "this is not a checkpoint of that architecture."
            )

    def _open(self, auto_class: Any, **more: Any) -> Any:
        if (Path(self.source) / "adapter_config.json").is_file():  # transformers would open what that names, too
            raise UserError(
                f"model.name={self.name}: this folder holds an adapter (adapter_config.json). Name one that holds a "
                "whole model, such as the artifact that the adapter lies in."
            )
        packed = getattr(more.get("config"), "quantization_config", None) is not None
        with quiet(), without_bars() if packed else nullcontext():
            try:
                return auto_class.from_pretrained(self.source, **self._options, **more)
            except ImportError as error:
                raise UserError(self._missing(error)) from error
            except Exception as error:  # transformers raises whatever a value of a wrong type happens to lead to
                raise UserError(self._explain(error)) from error

    def _missing(self, error: ImportError) -> str:
        """A package is not there: the chosen attention needs it, or else tokenizer, weights or the model's own code."""
        said, chosen = _first_line(error), self.attn_implementation
        if chosen not in ("auto", "eager", "sdpa") and re.search("attention|attn|kernel", str(error), re.IGNORECASE):
            return f"model.attn_implementation={chosen}: {said}"
        return f"model.name={self.name} needs a Python package that is not installed, or another version of one: {said}"

    def _explain(self, error: Exception) -> str:
        text, first = str(error), _first_line(error)
        if "trust_remote_code" in text:
            return (
                f"model.name={self.name} wants to run Python of its own. If you trust its author, say "
                "model=hub model.trust_remote_code=true (and pin model.revision)."
            )
        if isinstance(error, pickle.UnpicklingError):
            return f"model.name={self.name}: its weights are a pickle that would run code. Ask for safetensors."
        if isinstance(error, SafetensorError):
            return f"model.name={self.name}: its weights are damaged or cut short: {first} Copy or train them anew."
        if (folder := Path(self.source)).is_dir() and not (folder / "config.json").is_file():
            return f"model.name={self.name}: this folder holds no config.json, so it is no model of transformers."
        if (folder / ONNX_FILE).is_file():
            return (
                f"model.name={self.name}: this folder holds an ONNX file ({ONNX_FILE}), which cannot be trained. Name "
                f"the artifact that it was made from: its {ARTIFACT_FILE} says it (source)."
            )
        if folder.is_dir():
            return f"model.name={self.name}: transformers cannot open this folder: {first}"
        if self.name.startswith((".", "/", "~")) or self.name.count("/") > 1:  # no name on the hub
            return f"model.name={self.name}: there is no such folder."
        return (
            f"model.name={self.name} is not a local folder and could not be had from the hub: {first} "
            "Without a network, name a folder that holds the model (model.name=<folder>)."
        )


def _first_line(error: Exception) -> str:
    text = str(error).strip()
    return text.splitlines()[0].rstrip(".: ") + "." if text else type(error).__name__


@contextmanager
def without_bars() -> Iterator[None]:
    """Without what is written to standard error meanwhile: the package compressed-tensors draws bars that cannot be
    turned off."""
    with redirect_stderr(StringIO()):
        yield


@contextmanager
def quiet() -> Iterator[None]:
    """Without the warnings and progress bars of transformers: what matters of them is said in our own words."""
    verbosity = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(verbosity)


def _lacks_head(network: PreTrainedModel, loading: dict[str, Any]) -> bool:
    """Whether some of the head did not come with the weights, or was drawn anew for its shape."""
    backbone = network.base_model_prefix + "."
    keys = [*loading["missing_keys"], *(key for key, *_ in loading["mismatched_keys"])]
    return any(not key.startswith(backbone) for key in keys)


def _new_modules(network: PreTrainedModel, missing: Collection[str]) -> list[str]:
    """The modules that an adapter leaves to be trained whole: the head, and a pooler that starts at random."""
    parts = [(name, part) for name, part in network.named_children() if name != network.base_model_prefix]
    heads = [name for name, part in parts if any(True for _ in part.parameters())]
    poolers = {key[: key.index("pooler") + len("pooler")] for key in missing if "pooler" in key}
    return heads + sorted(poolers)


def freeze(network: PreTrainedModel, what: str | int) -> None:
    """Stop the training of `embeddings`, of the `backbone`, or of the embeddings and the first n layers."""
    if what == "none":
        return
    bare = getattr(network, "base_model", None) is network
    prefix = "" if bare else network.base_model_prefix + "."
    for name, parameter in network.named_parameters():
        if not name.startswith(prefix):
            continue
        block = BLOCK.search(name)
        frozen = what == "backbone"
        if block:
            frozen = frozen or (isinstance(what, int) and int(block.group(1)) < what)
        else:
            frozen = frozen or "embed" in name or name.removeprefix(prefix).startswith(("wte", "wpe", "shared"))
        parameter.requires_grad_(not frozen)
