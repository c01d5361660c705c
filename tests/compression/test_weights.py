"""A decoder with weights of 8 or 4 bits: what the file says is what Noria and transformers compute."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tests.conftest import make_tiny_decoder
from transformers import AutoModelForCausalLM, CompressedTensorsConfig

from noria.artifact import bundle
from noria.artifact.bundle import Artifact
from noria.common.errors import UserError
from noria.compression.quantize_weights import QuantizeWeights
from noria.compression.weights import save_packed, scales
from noria.model.packed_weights import PackedWeights, is_packed
from noria.model.pretrained import Pretrained
from noria.task.causal_lm.kind import CausalLM

FACTS = {"max_length": 32, "precision": "32-true", "config": {}, "data": {}}


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """An artifact with layers of whole groups."""
    folder = tmp_path_factory.mktemp("plain")
    pretrained = Pretrained(name=str(make_tiny_decoder(folder / "model", hidden_size=64, intermediate_size=128)))
    kind, tokenizer = CausalLM(), pretrained.tokenizer()
    bundle.save(folder / "artifact", kind.network(pretrained, tokenizer).eval(), tokenizer, kind, FACTS)
    return bundle.open_artifact(folder / "artifact")


def said(network, count: int = 40) -> torch.Tensor:
    ids = torch.arange(count).remainder(20)[None].add(5)
    with torch.inference_mode():
        return network(input_ids=ids).logits


@pytest.mark.parametrize(("bits", "group", "near"), [(8, 32, 0.02), (4, 32, 0.3), (4, 64, 0.3)])
def test_the_folder_opens_everywhere_and_says_the_same(plain: Artifact, tmp_path: Path, bits, group, near):
    goal = tmp_path / "small"
    save_packed(goal, plain, bits, group)
    opened = bundle.open_artifact(goal)
    assert is_packed(opened.network) and opened.facts["backend"] == "packed"
    linears = [module for module in opened.network.modules() if isinstance(module, PackedWeights)]
    assert len(linears) == 7 * opened.network.config.num_hidden_layers
    unpacked = {"quantization_config": CompressedTensorsConfig(dequantize=True)}  # rounds what it unpacks to bf16
    for config, near_it in (({}, 1e-5), (unpacked, 5e-3)):
        theirs = AutoModelForCausalLM.from_pretrained(goal, dtype=torch.float32, **config).eval()
        for count in (3, 40):  # by the kernel, and unpacked
            torch.testing.assert_close(said(opened.network, count), said(theirs, count), atol=near_it, rtol=near_it)
    before, after = said(plain.network), said(opened.network)
    far = float((before - after).norm() / before.norm())
    assert 0 < far < near
    size = {one: sum(path.stat().st_size for path in one.glob("*.safetensors")) for one in (plain.folder, goal)}
    assert size[goal] < 0.6 * size[plain.folder]


def test_it_goes_by_its_source_where_it_is_to_be_trained(plain: Artifact, tmp_path: Path):
    save_packed(tmp_path / "small", plain, 8, 64)
    assert bundle.trainable(tmp_path / "small") == plain.folder.resolve()


def test_a_fit_of_it_is_refused_before_the_first_step(plain: Artifact, tmp_path: Path, noria, capsys):
    save_packed(tmp_path / "small", plain, 8, 64)
    (tmp_path / "text.txt").write_text("Fish swim in the river.\n\n" * 40, encoding="utf-8")
    words = [
        "task=causal_lm",
        "data=text",
        f"data.path={tmp_path}/text.txt",
        "data.max_length=32",
        "data.val_fraction=0",
        "data.test_fraction=0",
        "logger=csv",
    ]
    assert noria(*words, "model=hub", "model.architecture=decoder", f"model.name={tmp_path}/small") == 2
    assert "which cannot be trained. Name the model that it was made from" in " ".join(capsys.readouterr().err.split())


def test_what_cannot_be_packed_is_refused(plain: Artifact, decoder: Artifact, tmp_path: Path):
    with pytest.raises(UserError, match="no whole number of groups of 256"):
        save_packed(tmp_path / "odd", plain, 4, 256)
    save_packed(tmp_path / "small", plain, 8, 64)
    with pytest.raises(UserError, match="few bits already"):
        save_packed(tmp_path / "again", bundle.open_artifact(tmp_path / "small"), 8, 64)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["small"]


@pytest.mark.parametrize("bits", [8, 4])
def test_scales_leave_the_smallest_error(bits):
    weight = torch.randn(8, 64, generator=torch.Generator().manual_seed(0))
    weight[0, 0] = 9.0  # far out: a scale for it alone would round all others away
    chosen = scales(weight, bits, 32)
    assert chosen.shape == (8, 1 if bits == 8 else 2)
    most = 2 ** (bits - 1) - 1

    def error(scale: torch.Tensor) -> torch.Tensor:
        grouped = weight.unflatten(1, (scale.shape[1], -1))
        rounded = (grouped / scale[..., None]).round().clamp(-most - 1, most) * scale[..., None]
        return (rounded - grouped).square().sum(-1)

    largest = weight.unflatten(1, (chosen.shape[1], -1)).abs().amax(-1) / most
    for smaller in (1.0, 0.9, 0.8):
        tried = (largest * smaller).to(torch.bfloat16).float()
        assert bool((error(chosen) <= error(tried) + 1e-6).all())
    assert torch.equal(
        scales(torch.zeros(2, 64), bits, 32).isfinite(),
        torch.ones_like(scales(torch.zeros(2, 64), bits, 32), dtype=torch.bool),
    )


def test_it_is_a_step(decoder_folder: Path, tmp_path: Path) -> None:
    opened = bundle.open_artifact(decoder_folder)
    QuantizeWeights(bits=4, group_size=32).apply(opened, tmp_path / "small", lambda: pytest.fail("it needs no rows"))
    facts = bundle.read_facts(tmp_path / "small")
    assert facts["backend"] == "packed" and facts["source"] == str(decoder_folder.resolve())
