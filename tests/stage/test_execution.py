"""However a network is executed, it learns the same; how it was is in the record and in the checkpoint."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

WAYS = {
    "unpadded": [],
    "padded": ["model.attn_implementation=sdpa"],
    "by eager attention": ["model.attn_implementation=eager"],
    "with less memory": ["model.gradient_checkpointing=true"],
}


def latest() -> dict[str, Any]:
    return json.loads(Path("runs/latest/record.json").read_text())


def losses(record: dict[str, Any]) -> list[float]:
    return [row[name] for row in record["history"] for name in ("train/loss", "val/loss")]


def test_every_way_learns_the_same(noria: Callable[..., int], tiny: list[str]) -> None:
    found = {}
    for way, words in WAYS.items():
        assert noria(*tiny, *words) == 0
        record = latest()
        found[way] = losses(record)
        wanted = {"padded": "sdpa", "by eager attention": "eager"}.get(way, "unpadded")
        assert record["execution"] == {"attn_implementation": wanted, "compiled": False}
    for way in WAYS:
        np.testing.assert_allclose(found[way], found["unpadded"], atol=1e-5, err_msg=way)


def test_what_a_machine_or_a_network_cannot_do(
    noria: Callable[..., int], tiny: list[str], tiny_decoder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert noria(*tiny, "model.attn_implementation=flash_attention_2") == 2
    assert "model.attn_implementation=flash_attention_2" in capsys.readouterr().err
    other = [f"model.name={tiny_decoder}", "model.architecture=decoder"]
    assert noria(*tiny, *other, "model.attn_implementation=unpadded") == 2
    assert "model.attn_implementation=unpadded packs encoders of bert" in capsys.readouterr().err


@pytest.mark.skipif(not (shutil.which(os.environ.get("CXX", "g++"))), reason="torch's compiler needs g++")
def test_compiling_is_tried_and_the_choice_stays(noria: Callable[..., int], tiny: list[str]) -> None:
    words = [*tiny, "trainer.compile=true"]
    assert noria(*words) == 0
    record = latest()
    first = record["execution"]
    assert isinstance(first["compiled"], bool) and first["seconds"].keys() == {"plain", "compiled"}
    assert first["compiled"] is (first["seconds"]["compiled"] < first["seconds"]["plain"])
    checkpoint = torch.load(record["paths"]["last_checkpoint"], weights_only=True)
    assert checkpoint["execution"] == first
    assert noria(*words) == 0  # again: the same choice, without measuring
    assert latest()["execution"] == first
    np.testing.assert_allclose(losses(latest()), losses(record), atol=1e-5)
