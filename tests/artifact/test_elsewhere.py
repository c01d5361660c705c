"""An artifact in other hands: a decoder's stops where it stops here, and its weights have the type that was chosen."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tests.artifacts import generator, save
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from noria.artifact import bundle
from noria.model.peft import Lora
from noria.model.pretrained import Pretrained
from noria.task.generation.sampling import Sampling

FACTS: dict[str, Any] = {"kind": "causal_lm", "labels": [], "max_length": 32, "precision": "32-true"}
FACTS |= {"config": {}, "data": {"fingerprint": "x", "fingerprints": {}}}
CHAT = [{"role": "user", "content": "What is the capital of France?"}]


def saved(base: Path, folder: Path, change: Callable[[Any, Any], object] = lambda *_: None, **facts: Any) -> Path:
    pretrained = Pretrained(name=str(base))
    network, tokenizer = pretrained.language_model(), pretrained.tokenizer()
    change(network, tokenizer)
    save(folder, network, tokenizer, {**FACTS, **facts})
    assert network.dtype == torch.float32
    return folder


def with_other_end(network: Any, tokenizer: Any) -> None:
    """The template ends a turn with <|im_end|>, the text with another token."""
    tokenizer.eos_token = tokenizer.pad_token = tokenizer.bos_token
    network.generation_config = GenerationConfig(eos_token_id=tokenizer.eos_token_id)


def push(token: int, calls: list[int]) -> Callable[..., None]:
    """Makes a token the likeliest from the fourth on."""

    def hook(module: Any, inputs: Any, output: Any) -> None:
        calls.append(1)
        output.logits[:, -1, token] += 100.0 * (len(calls) > 3)

    return hook


@pytest.mark.parametrize("adapter", [False, True])
def test_transformers_ends_an_answer_where_noria_does(tiny_decoder: Path, tmp_path: Path, adapter: bool) -> None:
    pretrained = Pretrained(name=str(tiny_decoder), peft=Lora(r=2) if adapter else None)
    network, tokenizer = pretrained.language_model(), pretrained.tokenizer()
    with_other_end(network.get_base_model() if adapter else network, tokenizer)
    save(tmp_path / "artifact", network, tokenizer, FACTS)
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    settings = json.loads((tmp_path / "artifact" / "generation_config.json").read_text())
    assert settings["eos_token_id"] == [tokenizer.eos_token_id, end]
    assert settings["pad_token_id"] == tokenizer.pad_token_id

    artifact, heard, calls = bundle.open_artifact(tmp_path / "artifact"), [], []
    artifact.network.register_forward_hook(push(end, calls))
    here = generator(artifact, Sampling(max_new_tokens=20)).generate([CHAT], 1)
    elsewhere = AutoModelForCausalLM.from_pretrained(tmp_path / "artifact")
    elsewhere.register_forward_hook(push(end, heard))
    words = AutoTokenizer.from_pretrained(tmp_path / "artifact")
    asked = words.apply_chat_template(CHAT, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    found = elsewhere.generate(**asked, max_new_tokens=20, do_sample=False)[0, asked["input_ids"].shape[1] :]
    assert len(calls) == len(heard) == len(found) == 4 and found[-1] == end
    assert words.decode(found, skip_special_tokens=True) == here[0]


def test_settings_that_transformers_reads_but_does_not_write(tiny_decoder: Path, tmp_path: Path) -> None:
    def change(network: Any, tokenizer: Any) -> None:
        network.generation_config.temperature = 0.6  # without do_sample: as Llama 2 came

    folder = saved(tiny_decoder, tmp_path / "artifact", change)
    settings = json.loads((folder / "generation_config.json").read_text())
    assert "temperature" not in settings and settings["eos_token_id"] == 1


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_weights_in_half_precision(tiny_decoder: Path, tmp_path: Path, dtype: str) -> None:
    whole = load_file(saved(tiny_decoder, tmp_path / "whole") / "model.safetensors")
    folder = saved(tiny_decoder, tmp_path / "half", dtype=dtype)
    half = load_file(folder / "model.safetensors")
    kind = getattr(torch, dtype)
    assert half.keys() == whole.keys(), "an output embedding that is tied to the input's is kept once"
    assert all(torch.equal(half[name], value.to(kind)) for name, value in whole.items())
    assert AutoModelForCausalLM.from_pretrained(folder).dtype == kind
    assert {x.dtype for x in bundle.open_artifact(folder).network.parameters()} == {torch.float32}
    assert Pretrained(name=str(folder)).dtype == dtype


def test_a_fit_keeps_the_type_of_a_decoder_and_a_classifiers_is_float32(
    tiny_decoder: Path, tiny_model: Path, reviews: Path, tmp_path: Path, noria: Callable[..., int]
) -> None:
    base = saved(tiny_decoder, tmp_path / "base", dtype="bfloat16")
    chats = [{"prompt": f"How is film {n}?", "response": "good" if n % 2 else "bad"} for n in range(40)]
    (tmp_path / "chats.jsonl").write_text("\n".join(json.dumps(row) for row in chats))
    shared = ["model=hub", "logger=csv", "precision=fp32", "debug=smoke"]
    words = ["task=causal_lm", "model.architecture=decoder", f"model.name={base}", "data=instructions"]
    assert noria(*shared, *words, f"data.path={tmp_path / 'chats.jsonl'}", "data.max_length=96") == 0
    artifact = Path("runs/latest/artifact")
    assert {x.dtype for x in load_file(artifact / "model.safetensors").values()} == {torch.bfloat16}
    assert bundle.read_facts(artifact)["dtype"] == "bfloat16"

    words = [f"model.name={tiny_model}", "data=table", f"data.path={reviews}", "data.max_length=32"]
    assert noria(*shared, *words, "stage.dtype=float16") == 0
    assert {x.dtype for x in load_file(artifact / "model.safetensors").values()} == {torch.float16}
    assert json.loads((artifact / "config.json").read_text())["dtype"] == "float16"
