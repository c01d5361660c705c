"""Artifacts as the tests have them: made of a network and a few facts, opened, and asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from noria.artifact import bundle
from noria.data.batch.encoded import Encoded
from noria.inference.runner import Runner
from noria.model.session import Session
from noria.task.causal_lm.kind import CausalLM
from noria.task.generation.generator import Generator
from noria.task.generation.sampling import Sampling
from noria.task.kind import Kind
from noria.task.text_classification.form import TextClassificationForm
from noria.task.text_classification.kind import TextClassification

CPU = torch.device("cpu")


def kind_of(word: str, labels: list[str]) -> Kind:
    """A kind of work: causal_lm, or single_label, multi_label or regression with its labels."""
    return CausalLM() if word == "causal_lm" else TextClassification.of(TextClassificationForm(word, labels))  # type: ignore[arg-type]


def _parted(facts: Mapping[str, Any]) -> tuple[Kind, dict[str, Any]]:
    rest = {name: value for name, value in facts.items() if name not in ("kind", "labels", "format", "settings")}
    return kind_of(facts["kind"], list(facts.get("labels", []))), {"config": {}, "data": {}, **rest}


def save(folder: Path, network: nn.Module, tokenizer: Any, facts: Mapping[str, Any]) -> None:
    """Saves an artifact; `kind` and `labels` of the facts say what it does."""
    kind, rest = _parted(facts)
    bundle.save(folder, network, tokenizer, kind, rest)


def artifact_of(folder: Path, facts: Mapping[str, Any], network: nn.Module, tokenizer: Any) -> bundle.Artifact:
    """An artifact that is not on disk."""
    kind, rest = _parted(facts)
    return bundle.Artifact(folder, rest, network, tokenizer, kind)


def scores(
    artifact: bundle.Artifact,
    encoded: Encoded,
    size: int,
    precision: str = "32-true",
    advance: Callable[[int], Any] = lambda rows: None,
) -> Tensor:
    """A classifier's probabilities, or a regression's values."""
    return torch.from_numpy(Runner(artifact, precision, CPU).outputs(encoded, size, advance)["scores"])


def losses(artifact: bundle.Artifact, encoded: Encoded, size: int, precision: str = "32-true") -> tuple[Tensor, Tensor]:
    """A decoder's summed losses and numbers of targets, of each window."""
    found = Runner(artifact, precision, CPU).outputs(encoded, size)
    return torch.from_numpy(found["loss_sum"]), torch.from_numpy(found["tokens"])


def generator(artifact: bundle.Artifact, sampling: Sampling, precision: str = "32-true") -> Generator:
    """What lets a decoder answer."""
    return Generator(Session(artifact.network, precision, CPU), artifact.tokenizer, sampling)
