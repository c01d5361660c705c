"""Prompts under decoders that remember in different ways, against the transformers library's own search."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, GenerationConfig

from noria.task.generation.prompted import PromptDecoding
from noria.task.generation.search import Found, Settings, search

SIZE, PAD, STOPS, MOST = 60, 0, list(range(2, 9)), 12
WIDE = {
    "vocab_size": SIZE, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2,
    "num_key_value_heads": 2, "head_dim": 16, "pad_token_id": PAD, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
FAMILIES: dict[str, dict[str, Any]] = {
    "gpt2": {"vocab_size": SIZE, "n_embd": 32, "n_layer": 2, "n_head": 2, "bos_token_id": 1, "eos_token_id": 2},
    "llama": WIDE,
    "mistral": {**WIDE, "sliding_window": 4},
    "mamba": {"vocab_size": SIZE, "hidden_size": 32, "num_hidden_layers": 2, "state_size": 4},
    "lfm2": {**WIDE, "layer_types": ["conv", "full_attention"]},
    "xlnet": {"vocab_size": SIZE, "d_model": 32, "n_layer": 2, "n_head": 2, "d_inner": 48},  # no cache of the library's
}


def network(family: str) -> Any:
    """One whose scores differ a good deal, and that ends some of its answers."""
    torch.manual_seed(0)
    made = AutoModelForCausalLM.from_config(AutoConfig.for_model(family, **FAMILIES[family])).eval()
    with torch.no_grad():
        for weight in made.parameters():
            if weight.ndim == 2:
                weight.mul_(4)
    made.generation_config = GenerationConfig(eos_token_id=STOPS, pad_token_id=PAD)
    return made


def found_by(made: Any, ids: torch.Tensor, mask: torch.Tensor, beams: int, seen: list[int]) -> list[list[Found]]:
    def loop(network: Any, ids: torch.Tensor, **given: Any) -> list[list[Found]]:
        for name in ("logits_processor", "stopping_criteria", "generation_config"):
            del given[name]
        decoder = PromptDecoding(network, ids, given, beams)
        return search(decoder, torch.full((len(ids),), MOST), Settings(0, STOPS, beams))

    hook = made.register_forward_hook(lambda module, given, out: seen.append(len(out.logits)))
    config = GenerationConfig(max_new_tokens=MOST, do_sample=False, eos_token_id=STOPS, pad_token_id=PAD)
    with torch.inference_mode():
        found: list[list[Found]] = made.generate(
            input_ids=ids, attention_mask=mask, generation_config=config, custom_generate=loop
        )
    hook.remove()
    return found


@pytest.mark.parametrize("beams", [1, 3])
@pytest.mark.parametrize("family", FAMILIES)
def test_it_finds_what_the_library_finds_while_rows_leave(family: str, beams: int) -> None:
    made = network(family)
    ids = torch.randint(9, SIZE, (5, 7), generator=torch.Generator().manual_seed(1))
    mask = torch.ones_like(ids)
    ids[1, :3], mask[1, :3] = PAD, 0
    config = GenerationConfig(
        max_new_tokens=MOST, do_sample=False, eos_token_id=STOPS, pad_token_id=PAD, num_beams=beams,
        num_return_sequences=beams,
    )  # fmt: skip
    expected = made.generate(input_ids=ids, attention_mask=mask, generation_config=config)[:, 7:].tolist()
    cut = [next((row[:place] for place, token in enumerate(row) if token in STOPS), row) for row in expected]
    seen: list[int] = []
    found = found_by(made, ids, mask, beams, seen)
    assert [one.tokens for each in found for one in each] == cut
    assert seen[0] == 5 and max(seen) == 5 * beams, "a prompt is read once for all its beams"
    if beams == 1:
        lengths = [len(each[0].tokens) for each in found]
        assert seen == [
            5,
            *(sum(length >= step for length in lengths) for step in range(1, min(max(lengths) + 1, MOST))),
        ]
        assert len(set(lengths)) > 1 or family not in ("llama", "mistral", "mamba")
