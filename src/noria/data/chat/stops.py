"""Where an answer ends, here and in whatever opens an artifact. Knows a tokenizer and what a model declares."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from noria.data.batch.encoded import padding_id
from noria.data.chat.chat import end_of_turn

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def stop_tokens(tokenizer: PreTrainedTokenizerBase, network: Any) -> list[int]:
    """The tokens that end an answer: the end of text, what the model declares, and the template's end of a turn."""
    declared = getattr(getattr(network, "generation_config", None), "eos_token_id", None)
    stops = [tokenizer.eos_token_id, *(declared if isinstance(declared, list) else [declared]), end_of_turn(tokenizer)]
    return list(dict.fromkeys(int(token) for token in stops if token is not None))


def name_stops(network: Any, tokenizer: PreTrainedTokenizerBase) -> None:
    """Writes into the network's own settings for generation where answers end, and what pads prompts."""
    from transformers import GenerationConfig

    config = getattr(network, "generation_config", None)
    if config is None:
        return
    stops = stop_tokens(tokenizer, network)
    try:
        config.validate(strict=True)
    except ValueError:  # it came with settings that transformers reads but does not write
        config = network.generation_config = GenerationConfig(bos_token_id=config.bos_token_id)
    config.eos_token_id = stops[0] if len(stops) == 1 else stops or None
    config.pad_token_id = padding_id(tokenizer)
