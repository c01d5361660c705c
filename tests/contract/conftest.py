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


def sound_record(run: Path) -> dict[str, Any]:
    """The record of a run that is done and in which no number has run away."""
    record = json.loads((run / "record.json").read_text())
    assert record["status"] == "done" and record["error"] is None
    for row in record["history"]:
        assert all(value == value and abs(value) < 1e6 for value in row.values()), row
    return record


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
        record = sound_record(run)

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


@pytest.fixture
def chats(tmp_path: Path) -> Path:
    """120 prompts with responses of uneven length, the first of them too long for 48 tokens."""
    path = tmp_path / "chats.jsonl"
    with path.open("w") as file:
        for number in range(120):
            answer = f"Film {number} is " + "very " * (number % 7) + ("good." if number % 2 else "bad.")
            answer += " It goes on and on." * (4 if number % 11 == 0 else 0)
            file.write(json.dumps({"prompt": f"How is film {number}?", "response": answer}) + "\n")
    return path


@pytest.fixture
def decoder_life(
    noria: Callable[..., int], tiny_decoder: Path, chats: Path
) -> Callable[..., tuple[dict[str, Any], set[str]]]:
    """decoder_life(*overrides): train, save, load, same losses. Gives the run's record and the weights that changed.

    The network that `transformers` alone opens from the artifact gives for the answer in every evaluated
    conversation, written with the artifact's own template, the loss in `predictions.parquet`.
    """
    length = 48
    words = ["task=causal_lm", "model=hub", "model.architecture=decoder", f"model.name={tiny_decoder}"]
    words += ["data=instructions", f"data.path={chats}", f"data.max_length={length}", "trainer.max_epochs=1"]
    words += ["precision=fp32", "logger=csv", "optimizer.lr=5e-3"]

    def live(*overrides: object) -> tuple[dict[str, Any], set[str]]:
        import pyarrow.parquet as pq
        from safetensors.torch import load_file
        from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM

        assert noria(*words, *overrides) == 0
        run = Path("runs/latest")
        record = sound_record(run)

        before, after = load_file(tiny_decoder / "model.safetensors"), load_file(run / "artifact/model.safetensors")
        assert before.keys() == after.keys(), "the artifact is the plain model, whatever it was trained with"
        changed = {name for name in before if not torch.equal(before[name], after[name])}

        tokenizer = AutoTokenizer.from_pretrained(run / "artifact")
        network = AutoModelForCausalLM.from_pretrained(run / "artifact", dtype=torch.float32).eval()
        assert type(network) is LlamaForCausalLM
        conversations = [json.loads(line) for line in chats.read_text().splitlines()]
        rows = pq.read_table(run / "predictions.parquet").to_pylist()
        assert rows and {row["split"] for row in rows} == {"val", "test"}
        cut = 0
        for row in rows:
            chat = conversations[int(row["id"].rpartition(":")[2]) - 1]
            asked = [{"role": "user", "content": chat["prompt"]}]
            told = [*asked, {"role": "assistant", "content": chat["response"]}]
            prompt = tokenizer.apply_chat_template(asked, tokenize=False, add_generation_prompt=True)
            ids = tokenizer(tokenizer.apply_chat_template(told, tokenize=False).rstrip())["input_ids"]
            start = len(tokenizer(prompt)["input_ids"])
            assert ids[:start] == tokenizer(prompt)["input_ids"] and ids[-1] == tokenizer.eos_token_id
            cut += len(ids) > length
            whole = torch.tensor([ids[:length]])
            labels = whole.clone()
            labels[:, :start] = -100  # the answer alone, with the token that ends it
            with torch.inference_mode():
                loss = float(network(input_ids=whole, labels=labels).loss)
            assert row["loss"] == pytest.approx(loss, rel=1e-4), row["id"]
            assert row["tokens"] == whole.shape[1] - start
        assert 0 < cut < len(rows)
        return record, changed

    return live
