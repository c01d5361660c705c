"""Under which names the transformers library knows the same network: every shape is saved as one of its architectures.

So an artifact opens anywhere that library is, with the same outputs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    BertConfig,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MarianConfig,
    MarianMTModel,
    OPTConfig,
    OPTForCausalLM,
    PegasusConfig,
    PegasusForConditionalGeneration,
    PreTrainedConfig,
    PreTrainedModel,
)

from noria.model.transformer.block import EPSILON
from noria.model.transformer.network import Classifier, EncoderDecoder, Network
from noria.model.transformer.positions import sinusoids
from noria.model.transformer.shape import Shape

BART_LIKE: dict[str, tuple[str, ...]] = {
    "embeddings": ("embed_tokens",),
    "positions": ("embed_positions",),
    "embeddings_norm": ("layernorm_embedding",),
    "last_norm": ("layer_norm",),
    "layers.attention.inputs": ("layers.self_attn.q_proj", "layers.self_attn.k_proj", "layers.self_attn.v_proj"),
    "layers.attention.output": ("layers.self_attn.out_proj",),
    "layers.attention_residual.norm": ("layers.self_attn_layer_norm",),
    "layers.cross.query": ("layers.encoder_attn.q_proj",),
    "layers.cross.memory": ("layers.encoder_attn.k_proj", "layers.encoder_attn.v_proj"),
    "layers.cross.output": ("layers.encoder_attn.out_proj",),
    "layers.cross_residual.norm": ("layers.encoder_attn_layer_norm",),
    "layers.feed_forward.inner": ("layers.fc1",),
    "layers.feed_forward.outer": ("layers.fc2",),
    "layers.feed_forward_residual.norm": ("layers.final_layer_norm",),
}
OPT: dict[str, tuple[str, ...]] = {**BART_LIKE, "last_norm": ("final_layer_norm",)}
GPT2: dict[str, tuple[str, ...]] = {
    "embeddings": ("wte",),
    "positions": ("wpe",),
    "last_norm": ("ln_f",),
    "layers.attention.inputs": ("h.attn.c_attn",),
    "layers.attention.output": ("h.attn.c_proj",),
    "layers.attention_residual.norm": ("h.ln_1",),
    "layers.feed_forward.inner": ("h.mlp.c_fc",),
    "layers.feed_forward.outer": ("h.mlp.c_proj",),
    "layers.feed_forward_residual.norm": ("h.ln_2",),
}
LLAMA: dict[str, tuple[str, ...]] = {
    "embeddings": ("embed_tokens",),
    "last_norm": ("norm",),
    "layers.attention.inputs": BART_LIKE["layers.attention.inputs"],
    "layers.attention.output": ("layers.self_attn.o_proj",),
    "layers.attention_residual.norm": ("layers.input_layernorm",),
    "layers.feed_forward.gate": ("layers.mlp.gate_proj",),
    "layers.feed_forward.inner": ("layers.mlp.up_proj",),
    "layers.feed_forward.outer": ("layers.mlp.down_proj",),
    "layers.feed_forward_residual.norm": ("layers.post_attention_layernorm",),
}
BERT: dict[str, tuple[str, ...]] = {
    "embeddings": ("embeddings.word_embeddings",),
    "positions": ("embeddings.position_embeddings",),
    "embeddings_norm": ("embeddings.LayerNorm",),
    "layers.attention.inputs": tuple(f"encoder.layer.attention.self.{name}" for name in ("query", "key", "value")),
    "layers.attention.output": ("encoder.layer.attention.output.dense",),
    "layers.attention_residual.norm": ("encoder.layer.attention.output.LayerNorm",),
    "layers.feed_forward.inner": ("encoder.layer.intermediate.dense",),
    "layers.feed_forward.outer": ("encoder.layer.output.dense",),
    "layers.feed_forward_residual.norm": ("encoder.layer.output.LayerNorm",),
}
NUMBERED = ("layers.", "h.", "encoder.layer.")  # after which the number of a block stands


@dataclass(frozen=True)
class Home:
    """An architecture of the library.

    Args:
        stacks: by our name of a stack, the library's, and the names of what is in it.
        rest: names outside of the stacks.
        offset: places of the table of positions that are no token's.
        transposed: matrices lie the other way round.
    """

    stacks: dict[str, tuple[str, dict[str, tuple[str, ...]]]]
    rest: dict[str, str]
    offset: int = 0
    transposed: bool = False

    def pairs(self, own: str) -> tuple[str, ...]:
        """The library's names of what is in one of our modules, in their order; none for what it has under no name."""
        if own in self.rest:
            return (self.rest[own],)
        stack, _, inner = own.partition(".")
        prefix, names = self.stacks[stack]
        number, _, rest = inner.removeprefix("layers.").partition(".") if inner.startswith("layers.") else ("", "", "")
        theirs = names.get(f"layers.{rest}" if number else inner, ())
        if not number:
            return tuple(f"{prefix}.{name}" for name in theirs)
        start = next((one for one in NUMBERED if theirs[0].startswith(one)), "")
        return tuple(f"{prefix}.{start}{number}.{name.removeprefix(start)}" for name in theirs)


OUTPUT = {"output": "lm_head", "embeddings": "model.shared"}
BOTH = {"encoder": ("model.encoder", BART_LIKE), "decoder": ("model.decoder", BART_LIKE)}
HOMES = {
    "marian": Home(BOTH, OUTPUT),
    "pegasus": Home(BOTH, OUTPUT),
    "bart": Home(BOTH, OUTPUT, offset=2),
    "opt": Home({"decoder": ("model.decoder", OPT)}, {"output": "lm_head"}, offset=2),
    "gpt2": Home({"decoder": ("transformer", GPT2)}, {"output": "lm_head"}, transposed=True),
    "llama": Home({"decoder": ("model", LLAMA)}, {"output": "lm_head"}),
    "bert": Home({"encoder": ("bert", BERT)}, {"pooler": "bert.pooler.dense", "classifier": "classifier"}),
}


def library_config(shape: Shape, start: int | None = None, end: int | None = None) -> PreTrainedConfig:
    """The config of the architecture that computes what this shape does.

    Args:
        start: the token that begins a target.
        end: the token that ends a text.

    Raises:
        ValueError: there is none; a rule of the config refuses such a shape before.
    """
    named: dict[str, Any] = {
        "vocab_size": shape.vocab_size,
        "max_position_embeddings": shape.max_position_embeddings,
        "pad_token_id": shape.pad,
        "bos_token_id": None,
        "eos_token_id": end,
        "tie_word_embeddings": shape.tie_embeddings,
    }
    layers, post = shape.norm == "layer", not shape.norm_first
    plain = layers and shape.activation != "swiglu" and shape.positions != "rotary"
    if shape.architecture == "encoder" and plain and post:
        return BertConfig(
            hidden_size=shape.d_model,
            num_hidden_layers=shape.num_encoder_layers,
            num_attention_heads=shape.num_heads,
            intermediate_size=shape.d_ff,
            hidden_act=shape.activation,
            hidden_dropout_prob=shape.dropout,
            attention_probs_dropout_prob=shape.attention_dropout,
            layer_norm_eps=EPSILON["layer"],
            type_vocab_size=1,
            **named,
        )
    llama = shape.positions == "rotary" and shape.activation == "swiglu" and not layers and not post
    if shape.architecture == "decoder" and llama:
        return LlamaConfig(
            hidden_size=shape.d_model,
            num_hidden_layers=shape.num_decoder_layers,
            num_attention_heads=shape.num_heads,
            num_key_value_heads=shape.num_heads,
            intermediate_size=shape.d_ff,
            rms_norm_eps=EPSILON["rms"],
            attention_dropout=shape.attention_dropout,
            **named,
        )
    if not plain or shape.architecture == "encoder":
        raise ValueError(f"transformers has no architecture for {shape}")
    if shape.architecture == "decoder" and not post:
        return GPT2Config(
            n_embd=shape.d_model,
            n_layer=shape.num_decoder_layers,
            n_head=shape.num_heads,
            n_inner=shape.d_ff,
            n_positions=shape.max_position_embeddings,
            activation_function=shape.activation,
            resid_pdrop=shape.dropout,
            embd_pdrop=shape.dropout,
            attn_pdrop=shape.attention_dropout,
            layer_norm_epsilon=EPSILON["layer"],
            **{name: value for name, value in named.items() if name != "max_position_embeddings"},
        )
    dropout: dict[str, Any] = {"dropout": shape.dropout, "attention_dropout": shape.attention_dropout}
    if shape.architecture == "decoder":
        return OPTConfig(
            hidden_size=shape.d_model,
            word_embed_proj_dim=shape.d_model,
            num_hidden_layers=shape.num_decoder_layers,
            num_attention_heads=shape.num_heads,
            ffn_dim=shape.d_ff,
            activation_function=shape.activation,
            do_layer_norm_before=False,
            **dropout,
            **named,
        )
    made: Any = PegasusConfig if not post else BartConfig if shape.positions == "learned" else MarianConfig
    return made(
        d_model=shape.d_model,
        encoder_layers=shape.num_encoder_layers,
        decoder_layers=shape.num_decoder_layers,
        encoder_attention_heads=shape.num_heads,
        decoder_attention_heads=shape.num_heads,
        encoder_ffn_dim=shape.d_ff,
        decoder_ffn_dim=shape.d_ff,
        activation_function=shape.activation,
        activation_dropout=shape.activation_dropout,
        scale_embedding=True,
        decoder_start_token_id=shape.pad if start is None else start,
        forced_bos_token_id=None,
        forced_eos_token_id=None,
        # what CTranslate2 asks a Pegasus for
        **({"normalize_before": True, "normalize_embedding": False, "add_final_layer_norm": True} if not post else {}),
        **dropout,
        **named,
    )


def library_class(network: Network) -> type[PreTrainedModel]:
    """The class of the library that a network is saved as."""
    if isinstance(network, Classifier):
        from transformers import BertForSequenceClassification, BertForTokenClassification

        return BertForTokenClassification if network.pooler is None else BertForSequenceClassification
    classes = (BartForConditionalGeneration, PegasusForConditionalGeneration, MarianMTModel)
    found: list[Any] = [*classes, GPT2LMHeadModel, OPTForCausalLM, LlamaForCausalLM]
    return next(one for one in found if isinstance(network.config, one.config_class))


def as_library_network(network: Network, state: dict[str, Tensor] | None = None) -> PreTrainedModel:
    """The library's own network with the same weights, in evaluation mode.

    Args:
        state: weights to take in place of the network's own.
    """
    made: Any = library_class(network)(network.config)
    wanted = made.state_dict()
    found = dict(_renamed(network, network.state_dict() if state is None else state))
    for name, weight in found.items():
        assert wanted[name].shape == weight.shape, (name, wanted[name].shape, weight.shape)
    # What we have no name for is zero there: biases of logits, and the one type of tokens.
    missing = {name: torch.zeros_like(weight) for name, weight in wanted.items() if name not in found}
    fixed = {
        name: weight for name, weight in wanted.items() if name.endswith(("position_ids", "embed_positions.weight"))
    }
    made.load_state_dict(missing | fixed | found)
    if isinstance(network, EncoderDecoder):
        # its row of embeddings is zero, so its score is 0 whatever comes before
        made.generation_config.bad_words_ids = [[network.shape.pad]]
        made.generation_config.forced_eos_token_id = None
    return made.eval()


def from_library(found: Any) -> EncoderDecoder | None:
    """The same network as ours, for an encoder-decoder of the library that computes what a shape of ours does; None
    for any other."""
    config: Any = found.config
    if type(found) not in (MarianMTModel, PegasusForConditionalGeneration, BartForConditionalGeneration):
        return None
    sizes = [
        (config.encoder_attention_heads, config.encoder_ffn_dim),
        (config.decoder_attention_heads, config.decoder_ffn_dim),
    ]
    bart = isinstance(found, BartForConditionalGeneration)
    activation = {"swish": "silu"}.get(config.activation_function, config.activation_function)
    bias: Any = getattr(found, "final_logits_bias", None)
    tables = [part.embed_tokens.weight for part in (found.get_encoder(), found.get_decoder())]
    same_tables = tables[0] is tables[1] or torch.equal(*tables)
    scaled = config.scale_embedding or config.d_model == 1
    if sizes[0] != sizes[1] or not scaled or activation not in ("relu", "gelu", "silu") or not same_tables:
        return None
    if bias is not None and bias.any():
        return None
    fixed = sinusoids(config.max_position_embeddings, config.d_model)
    if config.model_type == "marian" and not torch.equal(
        found.get_encoder().embed_positions.weight.cpu().float(), fixed
    ):
        return None
    pegasus = isinstance(found, PegasusForConditionalGeneration)
    shape = Shape(
        architecture="both",
        vocab_size=found.get_input_embeddings().weight.shape[0],
        d_model=config.d_model,
        num_heads=sizes[0][0],
        d_ff=sizes[0][1],
        num_encoder_layers=config.encoder_layers,
        num_decoder_layers=config.decoder_layers,
        max_position_embeddings=config.max_position_embeddings,
        norm_first=pegasus,
        positions="learned" if bart or pegasus else "sinusoidal",
        activation=activation,
        tie_embeddings=bool(config.tie_word_embeddings),
        dropout=config.dropout,
        attention_dropout=config.attention_dropout,
        activation_dropout=config.activation_dropout,
        pad=int(config.pad_token_id),
    )
    network = EncoderDecoder(shape, config)
    home, theirs = HOMES[config.model_type], found.state_dict()
    state = {}
    for name in network.state_dict():
        module, _, kind = name.rpartition(".")
        names = home.pairs("encoder.embeddings" if module == "embeddings" else module)
        weight = torch.cat([theirs[f"{one}.{kind}"] for one in names])
        state[name] = weight[home.offset :] if module.endswith(".positions") else weight
    network.load_state_dict(state)
    network.generation_config = getattr(found, "generation_config", None)
    return network.to(found.device, found.dtype).eval()


def _renamed(network: Network, state: dict[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """The library's names and weights of a state of ours."""
    home = HOMES[network.config.model_type]
    shape = network.shape
    given = dict(state)
    if shape.positions == "sinusoidal" and network.config.model_type != "marian":  # it learns them: they begin as ours
        for stack in home.stacks:
            given[f"{stack}.positions.weight"] = sinusoids(shape.max_position_embeddings, shape.d_model)
    for name, weight in given.items():
        module, _, kind = name.rpartition(".")
        if module == "embeddings" and module not in home.rest:  # the stack has it too
            continue
        names = home.pairs(module)
        if module.endswith(".positions") and home.offset:
            weight = torch.cat([weight.new_zeros(home.offset, weight.shape[1]), weight])
        if home.transposed and kind == "weight" and ".layers." in module and weight.ndim == 2:
            weight = weight.T.contiguous()
        for one, part in zip(names, weight.chunk(len(names)), strict=True):
            yield f"{one}.{kind}", part
