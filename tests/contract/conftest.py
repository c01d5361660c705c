"""What the contract suites share: the YAMLs of a group, composing, and the life of an artifact."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import DictConfig

CONF = Path(__file__).resolve().parents[2] / "conf"


def choices(group: str) -> list[str]:
    """The names of a group's YAMLs."""
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that asks for `choice` runs once for every YAML of its module's GROUP."""
    if "choice" in metafunc.fixturenames:
        metafunc.parametrize("choice", choices(metafunc.module.GROUP))


@pytest.fixture
def found(request: pytest.FixtureRequest) -> list[str]:
    """The YAMLs of the module's GROUP: never none, and the module's SPECIAL names only those that are there."""
    names = choices(request.module.GROUP)
    assert names, f"conf/{request.module.GROUP} holds no YAML: this suite proves nothing"
    gone = set(getattr(request.module, "SPECIAL", {})) - set(names)
    assert not gone, f"{request.module.__name__} names YAMLs that are gone: {gone}"
    return names


@pytest.fixture
def compose() -> Callable[..., DictConfig]:
    """compose(*overrides): the config as the command line makes it, checked."""
    import hydra

    from noria.cli.names import register_resolvers
    from noria.config.check import check

    def composed(*overrides: object) -> DictConfig:
        register_resolvers()
        with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
            cfg = hydra.compose("config", [str(override) for override in overrides])
        check(cfg)
        return cfg

    return composed


@pytest.fixture
def life(noria: Callable[..., int], tiny: list[str], tiny_model: Path, reviews: Path) -> Callable[..., dict[str, Any]]:
    """life(*overrides, table=…, tolerance=…): train, save, load, same outputs. Gives the run's record.

    The network that `transformers` alone opens from the artifact has learnt something, and gives for every
    evaluated text the probabilities (or the value) in `predictions.parquet`.
    """

    def live(*overrides: object, table: Path = reviews, tolerance: float = 1e-5) -> dict[str, Any]:
        import pyarrow.parquet as pq
        from safetensors.torch import load_file
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        assert noria(*tiny, "metric=[accuracy]", f"data.path={table}", *overrides) == 0
        run = Path("runs/latest")
        record = json.loads((run / "record.json").read_text())
        assert record["status"] == "done" and record["error"] is None
        for row in record["history"]:
            assert all(value == value and abs(value) < 1e6 for value in row.values()), row

        before, after = load_file(tiny_model / "model.safetensors"), load_file(run / "artifact/model.safetensors")
        body = {name.removeprefix("bert."): tensor for name, tensor in after.items()}
        changed = [name for name in before if name in body and not torch.equal(before[name], body[name].float())]
        assert len(changed) > 10, "nothing was learnt"

        rows = pq.read_table(run / "predictions.parquet").to_pylist()
        assert rows and {row["split"] for row in rows} <= {"val", "test"}
        with table.open(newline="") as file:
            texts = [line["text"] for line in csv.DictReader(file)]
        tokenizer = AutoTokenizer.from_pretrained(run / "artifact")
        network = AutoModelForSequenceClassification.from_pretrained(run / "artifact", dtype=torch.float32).eval()
        batch = tokenizer(
            [texts[int(row["id"].rpartition(":")[2]) - 1] for row in rows],
            padding=True,
            truncation=True,
            max_length=32,
            return_tensors="pt",
        )
        with torch.inference_mode():
            logits = network(**batch).logits
        scores = {
            "single_label_classification": lambda: logits.softmax(-1),
            "multi_label_classification": logits.sigmoid,
            "regression": lambda: logits.squeeze(-1),
        }[network.config.problem_type]()
        written = [row["probabilities"] if "probabilities" in row else row["prediction"] for row in rows]
        torch.testing.assert_close(scores, torch.tensor(written), atol=tolerance, rtol=tolerance)
        return record

    return live
