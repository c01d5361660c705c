"""Proof: no padding changes an answer, of any architecture that fits transformers' auto classes.

Every family is made tiny, with random weights and a tokenizer whose padding is not the family's own, saved, and goes
through what a run goes through: opened, its texts padded in batches, answered at batch size 1 and 64. Classifiers:
logits, also of the saved artifact and of what transformers makes of it. Decoders: losses, and the tokens that they
generate. Prints a table, and each family that is left out or refused with the reason. About fifteen minutes.
"""

from __future__ import annotations

from typing import Any

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    CONFIG_MAPPING,
    PreTrainedTokenizerFast,
)

SPECIAL = ["<unk>", "<s>", "</s>", "<mask>", "<pad>"]  # so that padding is 4, which no family has
SIZES: dict[str, int] = {
    **dict.fromkeys(["hidden_size", "d_model", "n_embd", "dim", "emb_dim", "embedding_size", "pooler_hidden_size"], 32),
    **dict.fromkeys(["word_embed_proj_dim", "d_embed", "hidden_size_per_layer_input", "entity_emb_size"], 32),
    **dict.fromkeys(["input_embedding_size", "output_embedding_size", "true_hidden_size"], 32),
    **dict.fromkeys(["num_hidden_layers", "n_layer", "n_layers", "num_layers", "encoder_layers", "decoder_layers"], 2),
    **dict.fromkeys(["num_decoder_layers", "num_encoder_layers"], 2),
    **dict.fromkeys(["num_attention_heads", "n_head", "n_heads", "num_heads", "encoder_attention_heads"], 4),
    **dict.fromkeys(["decoder_attention_heads", "num_key_value_heads", "num_kv_heads"], 4),
    **dict.fromkeys(["num_encoder_attention_heads", "num_decoder_attention_heads", "attention_heads"], 4),
    **dict.fromkeys(["intermediate_size", "d_ff", "n_inner", "hidden_dim", "encoder_ffn_dim", "decoder_ffn_dim"], 64),
    **dict.fromkeys(["d_inner", "ffn_dim", "dff", "moe_intermediate_size", "ffn_hidden_size"], 64),
    **dict.fromkeys(["shared_expert_intermediate_size"], 64),
    **dict.fromkeys(["num_experts", "n_routed_experts", "num_local_experts", "moe_num_experts"], 8),
    **dict.fromkeys(["max_position_embeddings", "n_positions", "max_seq_len", "n_ctx"], 128),
    **dict.fromkeys(["head_dim", "d_kv"], 8),
}
OWN: dict[str, dict[str, Any]] = {  # sizes that are bound to each other
    "codegen": {"rotary_dim": 4},
    "deepseek_v2": {"qk_rope_head_dim": 8, "qk_nope_head_dim": 8, "v_head_dim": 8, "kv_lora_rank": 16,
                    "q_lora_rank": 16, "num_experts_per_tok": 2, "first_k_dense_replace": 1},
    "deepseek_v3": {"qk_rope_head_dim": 8, "qk_nope_head_dim": 8, "qk_head_dim": 16, "v_head_dim": 8,
                    "kv_lora_rank": 16, "q_lora_rank": 16, "head_dim": 8},
    "esm": {"emb_layer_norm_before": False},
    "falcon": {"head_dim": None},
    "funnel": {"num_hidden_layers": None, "block_sizes": [1, 1, 1]},
    "gpt_neo": {"attention_types": [[["global", "local"], 1]]},
    "gptj": {"rotary_dim": 4},
    "lilt": {"hidden_size": 48, "channel_shrink_ratio": 4},
    "mobilebert": {"embedding_size": 32, "intra_bottleneck_size": 32, "true_hidden_size": 32},
    "modernbert-decoder": {"pad_token_id": 0},
    "reformer": {"axial_pos_embds": False, "is_decoder": False},
    "xlnet": {"max_position_embeddings": None},
}  # fmt: skip


def make_tokenizer(special: list[str] = SPECIAL) -> PreTrainedTokenizerFast:
    """Letters and a few words; a text stands between `<s>` and `</s>`."""
    made = Tokenizer(models.BPE(unk_token="<unk>"))
    made.pre_tokenizer, made.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=320, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    made.train_from_iterator(["a good film and a bad film, good acting"], trainer)
    ends = [(token, made.token_to_id(token)) for token in ("<s>", "</s>")]
    made.post_processor = processors.TemplateProcessing("<s> $A </s>", "<s> $A </s> </s> $B </s>", ends)
    named = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
    named |= {"cls_token": "<s>", "sep_token": "</s>", "mask_token": "<mask>"}
    return PreTrainedTokenizerFast(tokenizer_object=made, **named)


def tiny_config(family: str, vocabulary: int, **own: Any) -> Any:
    """A family's config with small sizes, and the padding that it comes with."""
    kind = CONFIG_MAPPING[family]
    sizes = {**_small(kind(), vocabulary), **OWN.get(family, {}), **own}
    return kind(**{name: size for name, size in sizes.items() if size is not None})


def _small(config: Any, vocabulary: int) -> dict[str, Any]:
    sizes: dict[str, Any] = {}
    for name, size in {**SIZES, "vocab_size": vocabulary}.items():
        try:
            value = getattr(config, name, None)
        except Exception:  # some differ from layer to layer
            continue
        if (isinstance(value, int) and not isinstance(value, bool)) or (value is None and name in ("head_dim",)):
            sizes[config.attribute_map.get(name, name)] = size
    for name in config.sub_configs:
        if (part := getattr(config, name, None)) is not None:
            sizes[name] = _small(part, vocabulary)
    for name, number in (("bos_token_id", 1), ("eos_token_id", 2), ("decoder_start_token_id", 2)):
        if name == "decoder_start_token_id" and not config.is_encoder_decoder:
            continue
        sizes[name] = number
    pad = getattr(config, "pad_token_id", None)
    if isinstance(pad, int) and pad >= vocabulary:
        sizes["pad_token_id"] = None
    return sizes
