"""A decoder as a GGUF file: read back it is the artifact, with its tokens; what would have to be guessed is refused."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from gguf import GGUFReader

from noria.artifact.bundle import Artifact
from noria.common.errors import UserError
from noria.compression.gguf import write_gguf
from noria.model.gguf import Gguf

TEXTS = ("The capital of France is Paris.", "Grüße, 12 345 · 東京 🙂", "  two  spaces\n\nand lines", "<|im_start|>user")


@pytest.mark.parametrize(("weights", "near"), [("f16", 1e-3), ("q8_0", 0.05)])
def test_it_is_the_artifact_again(decoder: Artifact, tmp_path: Path, weights, near):
    path = tmp_path / "new" / "model.gguf"
    apart = write_gguf(decoder, path, weights)
    assert 0 < apart < near and [one.name for one in path.parent.iterdir()] == ["model.gguf"]
    read = Gguf(name=str(path))
    network = read.language_model().eval()
    tokenizer = read.tokenizer()
    for text in TEXTS:
        ids = decoder.tokenizer(text)["input_ids"]
        assert tokenizer(text)["input_ids"] == ids
        with torch.inference_mode():
            ours, theirs = (one(input_ids=torch.tensor([ids])).logits for one in (decoder.network, network))
        assert float((ours - theirs).abs().max()) < near
    assert tokenizer.chat_template == decoder.tokenizer.chat_template
    assert (tokenizer.bos_token_id, tokenizer.eos_token_id) == (
        decoder.tokenizer.bos_token_id, decoder.tokenizer.eos_token_id,
    )  # fmt: skip


def test_it_is_a_format_of_export(fitted_decoder: Path, noria, capsys):
    words = ["stage=export", f"artifact={fitted_decoder}/artifact", "stage.format=gguf_q8_0", "stage.output=out/m.gguf"]
    assert noria(*words, "paths.run_dir=run", "logger=csv") == 0
    said = json.loads(Path("run/record.json").read_text())["export"]
    assert said["bytes"] == Path("out/m.gguf").stat().st_size and said["largest_difference"] > 0
    assert "llama-cli -m out/m.gguf" in capsys.readouterr().out
    assert noria(*words, "logger=csv") == 2
    assert "is there already" in capsys.readouterr().err


def test_a_smollm_cut_is_named_so(decoder: Artifact, tmp_path: Path):
    folder = tmp_path / "artifact"
    shutil.copytree(decoder.folder, folder)
    held = json.loads((folder / "tokenizer.json").read_text())
    digits = {"type": "Digits", "individual_digits": True}
    held["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [digits, held["pre_tokenizer"]]}
    (folder / "tokenizer.json").write_text(json.dumps(held))
    write_gguf(replace(decoder, folder=folder), tmp_path / "model.gguf", "f16")
    field = GGUFReader(tmp_path / "model.gguf").fields["tokenizer.ggml.pre"]
    assert bytes(field.parts[field.data[0]]).decode() == "smollm"


def test_what_would_have_to_be_guessed_is_refused(decoder: Artifact, artifact: Artifact, tmp_path: Path):
    with pytest.raises(UserError, match="laid out as Llama is"):
        write_gguf(artifact, tmp_path / "model.gguf", "f16")
    folder = tmp_path / "artifact"
    shutil.copytree(decoder.folder, folder)
    held = json.loads((folder / "tokenizer.json").read_text())
    held["pre_tokenizer"] = {"type": "Whitespace"}
    (folder / "tokenizer.json").write_text(json.dumps(held))
    with pytest.raises(UserError, match="does not cut a text in a way"):
        write_gguf(replace(decoder, folder=folder), tmp_path / "model.gguf", "f16")
    assert not (tmp_path / "model.gguf").exists()
