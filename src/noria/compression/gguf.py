"""A decoder as one GGUF file, which llama.cpp and what stands on it run. Written only where nothing has to be guessed.

The file is read back before it is kept: its network has to say what the artifact's says with weights of that type.
"""

from __future__ import annotations

import json
import os
import tempfile
from copy import deepcopy
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from gguf import GGMLQuantizationType, GGUFWriter, TokenType, quants

from noria.artifact.bundle import Artifact
from noria.common.errors import UserError
from noria.model.gguf import unpack
from noria.model.pretrained import Pretrained

TYPES = {"f16": GGMLQuantizationType.F16, "q8_0": GGMLQuantizationType.Q8_0}
GPT2: dict[str, Any] = {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True}
DIGITS: dict[str, Any] = {"type": "Digits", "individual_digits": True}
CUTS = {"gpt-2": [GPT2], "smollm": [DIGITS, GPT2]}
"""llama.cpp's names of the ways to cut a text before its parts become tokens, and what tokenizers calls them."""
PARTS = {
    "model.layers.": "blk.", "model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output",
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
}  # fmt: skip
FAR = 1e-3  # of the largest score: what reading back may differ by


def write_gguf(artifact: Artifact, path: Path, weights: Literal["f16", "q8_0"]) -> float:
    """Writes the file beside its place, reads it back, and moves it there whole.

    Args:
        weights: the type of the matrices: 16-bit floats, or 8 bits with a scale for every 32; vectors stay in fp32.

    Returns:
        The largest difference between the scores of what was read back and of the artifact.

    Raises:
        UserError: the model is not laid out as Llama is, its tokenizer is none of those that llama.cpp has a name for,
            or what was read back says something else.
    """
    network: Any = artifact.network
    _refuse_other_networks(network, artifact.folder, weights)
    tokenizer = json.loads((artifact.folder / "tokenizer.json").read_text(encoding="utf-8"))
    cut = _cut(tokenizer, artifact.folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    building = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        writer = GGUFWriter(building, "llama")
        _describe(writer, network.config, artifact.folder.resolve().name)
        _add_tokenizer(writer, artifact.tokenizer, tokenizer, cut, network.config.vocab_size)
        expected = _add_weights(writer, network, TYPES[weights])
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        apart = _read_back(building, network, expected)
        os.replace(building, path)
    finally:
        building.unlink(missing_ok=True)
    return apart


def _refuse_other_networks(network: Any, folder: Path, weights: str) -> None:
    config = network.config
    rope = getattr(config, "rope_parameters", None) or {}
    biased = [name for name, _ in network.named_parameters() if name.endswith(".bias")]
    if config.model_type != "llama" or biased or rope.get("rope_type", "default") != "default":
        what = f"a '{config.model_type}' model" + (" with biases" if biased else "")
        raise UserError(
            f"artifact={folder}: a GGUF file is written of a decoder laid out as Llama is, with plain rotary "
            f"positions; this is {what}. llama.cpp's own convert_hf_to_gguf.py reads the artifact's folder as it is."
        )
    if weights == "q8_0" and config.hidden_size % 32:
        raise UserError(f"artifact={folder}: q8_0 packs 32 numbers together, and its rows have {config.hidden_size}.")


def _cut(tokenizer: dict[str, Any], folder: Path) -> str:
    """llama.cpp's name of how the tokenizer cuts a text."""
    found = tokenizer.get("pre_tokenizer") or {}
    steps = found.get("pretokenizers", [found])
    given = [{key: step.get(key) for key in {**GPT2, **DIGITS} if key in step} for step in steps]
    name = next((name for name, cut in CUTS.items() if cut == given), None)
    if tokenizer["model"].get("type") != "BPE" or tokenizer.get("normalizer") or name is None:
        raise UserError(
            f"artifact={folder}: its tokenizer does not cut a text in a way that Noria has llama.cpp's name for "
            f"({', '.join(CUTS)}), and a wrong name would make other tokens and say nothing. llama.cpp's own "
            "convert_hf_to_gguf.py reads the artifact's folder as it is."
        )
    return name


def _describe(writer: GGUFWriter, config: Any, name: str) -> None:
    writer.add_name(name)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(float(config.rope_parameters["rope_theta"]))
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_vocab_size(config.vocab_size)


def _add_tokenizer(writer: GGUFWriter, tokenizer: Any, held: dict[str, Any], cut: str, size: int) -> None:
    """Every id gets a token: one that the tokenizer has none for is marked as not in use."""
    tokens, types = [f"[PAD{number}]" for number in range(size)], [int(TokenType.UNUSED)] * size
    for token, number in held["model"]["vocab"].items():
        tokens[number], types[number] = token, int(TokenType.NORMAL)
    for added in held["added_tokens"]:
        kind = TokenType.CONTROL if added["special"] else TokenType.USER_DEFINED
        tokens[added["id"]], types[added["id"]] = added["content"], int(kind)
    merges = held["model"]["merges"]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(cut)
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges([one if isinstance(one, str) else " ".join(one) for one in merges])
    for name in ("bos", "eos", "pad", "unk"):
        if (number := getattr(tokenizer, f"{name}_token_id")) is not None:
            getattr(writer, f"add_{name}_token_id")(number)
    writer.add_add_bos_token(False)
    if tokenizer.chat_template:
        writer.add_chat_template(tokenizer.chat_template)


def _add_weights(writer: GGUFWriter, network: Any, kind: GGMLQuantizationType) -> dict[str, torch.Tensor]:
    """Adds all weights; what they are once they are read again, by their names in the network."""
    config, read = network.config, {}
    heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}
    for name, weight in network.state_dict().items():
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        array, kept = weight.float().numpy(), GGMLQuantizationType.F32
        short = name
        for long, brief in PARTS.items():
            short = short.replace(long, brief)
        if array.ndim == 2:
            packed, kept = quants.quantize(np.ascontiguousarray(array), kind), kind
            read[name] = torch.from_numpy(quants.dequantize(packed, kind).astype(np.float32))
            if (count := heads.get(name.split(".")[-2])) is not None:  # llama.cpp turns other pairs of dimensions
                turned = array.reshape(count, 2, array.shape[0] // count // 2, -1).swapaxes(1, 2).reshape(array.shape)
                packed = quants.quantize(np.ascontiguousarray(turned), kind)
            array = packed
        writer.add_tensor(short, array, raw_dtype=kept)
    return read


def _read_back(path: Path, network: Any, expected: dict[str, torch.Tensor]) -> float:
    """Asks what was written, as transformers reads it, and a copy of the network with weights of that type the same."""
    wanted = deepcopy(network)
    if network.config.tie_word_embeddings:
        expected = {**expected, "lm_head.weight": expected["model.embed_tokens.weight"]}
    wanted.load_state_dict({**network.state_dict(), **expected})
    with tempfile.TemporaryDirectory() as folder:
        unpack(path, Path(folder) / "read", str(path))
        found = Pretrained(name=str(Path(folder) / "read")).language_model().eval()
    ids = torch.randint(0, network.config.vocab_size, (2, 16), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        ours, theirs, whole = (one(input_ids=ids).logits.float() for one in (wanted, found, network))
    apart = float((ours - theirs).abs().max())
    if not apart <= FAR * max(1.0, float(ours.abs().max())):
        raise UserError(
            f"The GGUF file, read back, differs from the artifact by {apart:.2g} beyond the rounding of its weights: "
            "nothing is kept of it."
        )
    return float((theirs - whole).abs().max())
