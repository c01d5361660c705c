"""Proof: no padding changes an answer, of any architecture that fits transformers' auto classes.

Every family is made tiny, with random weights and a tokenizer whose padding is not the family's own, saved, and goes
through what a run goes through: opened, its texts padded in batches, answered at batch size 1 and 64. Classifiers:
logits, also of the saved artifact and of what transformers makes of it. Decoders: losses, and the tokens that they
generate. Prints a table, and each family that is left out or refused with the reason. About fifteen minutes.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    CONFIG_MAPPING,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    PreTrainedTokenizerFast,
)
from transformers.utils import logging as transformers_logging

from noria.artifact import bundle
from noria.common.errors import UserError
from noria.data.batch.encoded import Encoded, encode_texts, padding_id
from noria.data.batch.encoded_text import EncodedText
from noria.data.batch.tokens import tokenise
from noria.inference.runner import Runner
from noria.model.padding import is_rearranged
from noria.model.pretrained import Pretrained
from noria.task.causal_lm.kind import CausalLM
from noria.task.generation.sampling import Sampling
from noria.task.text_classification.form import TextClassificationForm
from noria.task.text_classification.kind import NETWORK_INPUTS, TextClassification

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
    "falcon_h1": {"mamba_d_ssm": 32, "mamba_n_heads": 4, "mamba_d_head": 8, "mamba_d_state": 8, "mamba_chunk_size": 16},
    "funnel": {"num_hidden_layers": None, "block_sizes": [1, 1, 1]},
    "gpt_neo": {"attention_types": [[["global", "local"], 1]]},
    "gptj": {"rotary_dim": 4},
    "jamba": {"attn_layer_period": 2, "attn_layer_offset": 1},
    "lilt": {"hidden_size": 48, "channel_shrink_ratio": 4},
    "mobilebert": {"embedding_size": 32, "intra_bottleneck_size": 32, "true_hidden_size": 32},
    "modernbert-decoder": {"pad_token_id": 0},
    "prophetnet": {"num_hidden_layers": None},
    "qwen3_5_text": {"num_hidden_layers": 4},  # of which the last has attention
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
        sizes["pad_token_id"] = 0
    return sizes


BAR = 1e-4  # relative to the largest number: rounding
SENTENCE = "a good film and a bad film with acting that nobody had thought of before it was made"
WORDS = SENTENCE.split()
TEXTS = [" ".join(WORDS[start % 7 :][: 1 + start % 11] * (1 + start % 4)) for start in range(62)]
TEXTS += ["</s> a film <pad>", "<pad><pad>"]  # what a text may say; 64 in all
LABELS = ["bad", "good"]
LARGE = 30_000_000  # weights
FACTS = {"labels": LABELS, "max_length": 64, "precision": "32-true", "config": {}, "data": {}}
CPU = torch.device("cpu")


class LeftOut(Exception):
    """A family that cannot be tried here, and why."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--families", nargs="+", help="by default all")
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=list(KINDS))
    asked = parser.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    transformers_logging.set_verbosity(transformers_logging.CRITICAL)
    worst, left = 0.0, 0
    for kind in asked.kinds:
        auto, prove = KINDS[kind]
        known = sorted(auto._model_mapping._model_mapping)
        families = [family for family in known if family in (asked.families or known)]
        print(f"\n| {kind} | what padding needs | largest difference | seconds |\n|---|---|---|---|", flush=True)
        reasons: dict[str, str] = {}
        for family in families:
            started = time.perf_counter()
            try:
                way, apart = prove(family)
            except (LeftOut, UserError) as reason:
                reasons[family] = f"{'refused: ' if isinstance(reason, UserError) else ''}{reason}"
                continue
            except Exception as error:
                way, apart = f"fails: {' '.join(str(error).split())[:80]}", float("inf")
            worst = max(worst, apart)
            seconds = time.perf_counter() - started
            print(f"| {family} | {way} | {apart:.0e}{' <<<' if apart > BAR else ''} | {seconds:.1f} |", flush=True)
        print(f"{len(families) - len(reasons)} of {len(families)} families; left out:", flush=True)
        for family, reason in reasons.items():
            print(f"- {family}: {' '.join(reason.split())[:240]}", flush=True)
        left += len(families) - len(reasons)
    print(f"\nlargest difference: {worst:.0e}, bar {BAR:.0e}")
    return 0 if left and worst <= BAR else 1


def classifier(family: str) -> tuple[str, float]:
    """What the family needs, and how far its answers at batch size 1 are from those at 64, here and elsewhere."""
    with tempfile.TemporaryDirectory() as folder:
        base = saved(Path(folder) / "base", AutoModelForSequenceClassification, family)
        pretrained = Pretrained(name=str(base), architecture="both", new_head=True)
        tokenizer = pretrained.tokenizer()
        network = pretrained.classifier(LABELS, "single_label_classification", padding_id(tokenizer), tokenizer).eval()
        way = vars(network)["forward"].way if is_rearranged(network) else "nothing"
        place = Path(folder) / "artifact"
        kind = TextClassification.of(TextClassificationForm("single_label", LABELS))
        bundle.save(place, network, tokenizer, kind, FACTS)
        artifact = bundle.open_artifact(place)
        encoded = encode_texts(artifact.tokenizer, TEXTS, None, 64)
        runner = Runner(artifact, "32-true", CPU)
        alone, together = (torch.from_numpy(runner.outputs(encoded, size)["scores"]).log() for size in (1, 64))
        if torch.equal(alone, alone[:1].expand_as(alone)):
            raise LeftOut("its head starts at zero, so that all answers are alike")
        found = [apart(alone, together), *([] if way == "rows" else [elsewhere(place, encoded, alone)])]
        return way, max(found)


def elsewhere(place: Path, encoded: Encoded, answers: torch.Tensor) -> float:
    """How far the answers are from those of transformers, one text at a time."""
    opened = AutoModelForSequenceClassification.from_pretrained(place).eval()
    rows = []
    with torch.no_grad():
        for row in [row for row in range(len(encoded)) if encoded.lengths[row] > 5][::9]:  # some read no shorter ones
            inputs = {n: x for n, x in encoded[[row]].items() if n in NETWORK_INPUTS}
            rows.append(apart(answers[[row]], opened(**inputs).logits.log_softmax(-1), float(answers.abs().max())))
    return max(rows)


def decoder(family: str) -> tuple[str, float]:
    """What the family needs when it generates, and how far its losses at batch size 1 are from those at 64."""
    with tempfile.TemporaryDirectory() as folder:
        base = saved(Path(folder) / "base", AutoModelForCausalLM, family)
        pretrained = Pretrained(name=str(base), architecture="decoder")
        tokenizer = pretrained.tokenizer()
        network = pretrained.language_model(padding_id(tokenizer)).eval()
        place = Path(folder) / "artifact"
        bundle.save(place, network, tokenizer, CausalLM(), FACTS)
        artifact = bundle.open_artifact(place)
        encoded = EncodedText(tokenise(tokenizer, TEXTS, None, 64), padding_id(tokenizer), 64)
        runner = Runner(artifact, "32-true", CPU, Sampling(max_new_tokens=4))
        alone, together = (torch.from_numpy(runner.outputs(encoded, size)["loss_sum"]) for size in (1, 64))
        generator: Any = runner.answerer
        prompts = [text[:50] for text in TEXTS]  # with what is answered, within the tables of positions
        if generator.generate(prompts, 1) != generator.generate(prompts, 64):
            return "other answers", float("inf")
        way = {"all": "nothing", "one length": "prompts of one length", "none": "one prompt at a time"}
        return way[generator._beside], apart(alone, together)


KINDS: dict[str, tuple[Any, Callable[[str], tuple[str, float]]]] = {
    "classifier": (AutoModelForSequenceClassification, classifier),
    "decoder": (AutoModelForCausalLM, decoder),
}


def saved(folder: Path, auto: Any, family: str) -> Path:
    """A tiny model of the family, with weights so far apart that its answers are, too."""
    try:
        torch.manual_seed(0)
        network = auto.from_config(tiny_config(family, len(make_tokenizer())))
        count = sum(weight.numel() for weight in network.parameters())
    except Exception as error:  # whatever a family demands of its config
        raise LeftOut(f"not made this small ({type(error).__name__}: {error})") from error
    if count > LARGE:
        raise LeftOut(f"not made this small ({count:,} weights)")
    network.save_pretrained(folder)
    make_tokenizer().save_pretrained(folder)
    return folder


def apart(one: torch.Tensor, other: torch.Tensor, largest: float | None = None) -> float:
    return float((one - other).abs().max()) / (largest or float(one.abs().max()))


if __name__ == "__main__":
    sys.exit(main())
