"""An artifact of the tiny model, made once."""

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
