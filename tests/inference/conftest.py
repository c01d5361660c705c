"""An artifact of the tiny model and one of the tiny decoder, made once. Their networks stay in fp32."""

from __future__ import annotations

from pathlib import Path

import pytest

from noria.artifact import bundle
from noria.model.pretrained import Pretrained


@pytest.fixture(scope="session")
def artifact(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> bundle.Artifact:
    pretrained = Pretrained(name=str(tiny_model))
    folder = tmp_path_factory.mktemp("artifacts") / "artifact"
    facts = {
        "kind": "single_label",
        "labels": ["bad", "good"],
        "max_length": 32,
        "precision": "32-true",
        "config": {},
        "data": {},
    }
    bundle.save(folder, pretrained.classifier(["bad", "good"], "single_label"), pretrained.tokenizer(), facts)
    return bundle.open_artifact(folder)


@pytest.fixture(scope="session")
def decoder_folder(tiny_decoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an artifact of kind causal_lm."""
    pretrained = Pretrained(name=str(tiny_decoder), architecture="decoder")
    folder = tmp_path_factory.mktemp("artifacts") / "decoder"
    facts = {"kind": "causal_lm", "labels": [], "max_length": 64, "precision": "32-true", "config": {}, "data": {}}
    bundle.save(folder, pretrained.causal_lm(), pretrained.tokenizer(), facts)
    return folder


@pytest.fixture(scope="session")
def decoder(decoder_folder: Path) -> bundle.Artifact:
    return bundle.open_artifact(decoder_folder)
