"""Translation side by side: training from scratch against PyTorch's own Transformer in fairseq's recipe and against the
Seq2SeqTrainer with a Marian of that size; answering with beams against transformers' generate and CTranslate2.

The data is a folder with train, val and test_2016_flickr, each an .en and a .de file (Multi30k). All train the same
sizes on the same tokens, and answer with the same weights. Each run is a process of its own; they take turns.

    python scripts/bench/translate.py --data multi30k --artifact run/artifact
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import _bench
from _bench import ROOT, Bar

NORIA = "Noria"
PLAIN = ("nn.Transformer, fp32", "nn.Transformer, bf16")
TRAINER = ("Seq2SeqTrainer, fp32", "Seq2SeqTrainer, bf16", "Seq2SeqTrainer, bf16, eager")
FASTER, ANSWERS, OF_CTRANSLATE2 = 1.3, 3.0, 0.5
SIZES = {"d_model": 128, "num_heads": 4, "d_ff": 256, "layers": 4, "dropout": 0.3}
TOKENS = 4096  # padded tokens of the longer side of a batch
WARM = 20  # steps that do not count
BEAMS, LONGEST, RATIO = 5, 128, 2.0
BATCHES = (16, 32, 64, 128, 256)


def main() -> int:
    parser = _bench.parser(__doc__ or "")
    parser.add_argument("--data", type=Path, help="folder with train.en, train.de, val.en, …")
    parser.add_argument(
        "--artifact", type=Path, help="of experiment=translate_multi30k; without one only training is run"
    )
    parser.add_argument("--steps", type=int, default=140)
    parser.add_argument("--sentences", type=int, default=1000, help="of the test set that are answered")
    asked = parser.parse_args()
    if asked.data is None:
        print("Nothing is measured: name a folder of parallel files with --data.")
        return 0
    data = str(asked.data.resolve())
    rows, bars = [], []
    if asked.steps:
        found = training(data, asked.steps, asked.rounds)
        rows += [row("training", name, speeds, "tokens/s") for name, speeds in found.items()]
        best = max(_bench.middle(speeds) for name, speeds in found.items() if name != NORIA)
        bars.append(Bar("training: times the better peer", _bench.middle(found[NORIA]) / best, FASTER))
    facts: dict[str, Any] = {"rounds": asked.rounds, "steps": asked.steps, "sentences": asked.sentences}
    if asked.artifact is not None:
        found, same = answering(data, str(asked.artifact.resolve()), asked.sentences, asked.rounds)
        rows += [row(f"beam {BEAMS}", name, speeds, "sentences/s") for name, speeds in found.items()]
        ours, theirs = _bench.middle(found[NORIA]), _bench.middle(found["transformers"])
        bars.append(Bar("answering: times transformers' generate", ours / theirs, ANSWERS))
        facts["the same texts as transformers"] = f"{same['transformers']:,} of {asked.sentences:,}"
        if "CTranslate2" in found:
            bars.append(Bar("answering: of CTranslate2", ours / _bench.middle(found["CTranslate2"]), OF_CTRANSLATE2))
            facts["the same texts as CTranslate2"] = f"{same['CTranslate2']:,} of {asked.sentences:,}"
        else:
            facts["CTranslate2"] = "is not installed: pip install ctranslate2"
    return _bench.report(facts, rows, bars, asked.json)


def row(what: str, name: str, speeds: list[float], unit: str) -> dict[str, Any]:
    middle = _bench.middle(speeds)
    return {
        "what": what,
        "by": name,
        unit.replace("/", " a "): middle,
        "lowest": min(speeds),
        "highest": max(speeds),
    } | {"unit": unit}


# Training


def training(data: str, steps: int, rounds: int) -> dict[str, list[float]]:
    """Useful tokens a second, of both sides."""
    with tempfile.TemporaryDirectory() as folder:
        shared = {"data": data, "steps": steps, "folder": folder}
        runs = {NORIA: lambda: noria(**shared)}
        for name in PLAIN:
            runs[name] = lambda name=name: call("plain", bf16="bf16" in name, **shared)
        for name in TRAINER:
            runs[name] = lambda name=name: call("trainer", bf16="bf16" in name, eager="eager" in name, **shared)
        return _bench.rounds(runs, rounds)


def call(function: str, **arguments: Any) -> float:
    return float(_bench.run_function(__file__, function, **arguments).result)


def noria(data: str, steps: int, folder: str) -> float:
    run = Path(folder) / "run"
    shutil.rmtree(run, ignore_errors=True)
    _bench.run_command(
        [
            *(sys.executable, ROOT / "scripts/run.py", "experiment=translate_multi30k", "logger=csv"),
            *(f"data.path={data}/train", f"data.val_path={data}/val", "data.test_fraction=0", "data.eval_limit=20"),
            *(f"trainer.max_steps={steps}", "trainer.max_epochs=99", "metric=[bleu]", "stage.test=false"),
            *("scheduler.warmup_steps=0.5", "trainer.limit_val_batches=0", "~callback.checkpoint"),
            *(f"paths.run_dir={run}", f"paths.runs={run}/all"),
        ]
    )
    return float(json.loads((run / "record.json").read_text())["throughput"]["tokens_per_second"])


def tokens_of(data: str) -> tuple[list[list[int]], list[list[int]], int, int, int]:
    """The tokens of both sides of train by Noria's tokenizer, its size, padding and end."""
    from noria.data.source.parallel import read_pairs
    from noria.model.vocabulary import Vocabulary

    rows = read_pairs(f"{data}/train", "en", "de").table
    sides = rows["text"].to_pylist(), [targets[0] for targets in rows["targets"].to_pylist()]
    tokenizer = Vocabulary(size=8000).trained([*sides[0], *sides[1]])
    source, target = (tokenizer(texts)["input_ids"] for texts in sides)
    return source, target, len(tokenizer), tokenizer.pad_token_id, tokenizer.eos_token_id


def budget_batches(lengths: list[int], seed: int) -> Iterator[list[int]]:
    """Rows of like length, as many as fit TOKENS padded ones, in random order: fairseq's --max-tokens."""
    import numpy as np

    rng = np.random.default_rng(seed)
    order = rng.permutation(len(lengths))
    order = order[np.argsort(np.array(lengths)[order], kind="stable")]
    batches, batch, longest = [], [], 0
    for number in order.tolist():
        longest = max(longest, lengths[number])
        if (len(batch) + 1) * longest > TOKENS:
            batches.append(batch)
            batch, longest = [], lengths[number]
        batch.append(number)
    batches.append(batch)
    for place in rng.permutation(len(batches)):
        yield batches[place]


def plain(data: str, steps: int, folder: str, bf16: bool) -> float:
    """fairseq's recipe with torch.nn.Transformer: token batches, sinusoids, one tied table of embeddings, label
    smoothing, Adam, clipping."""
    import math

    import torch
    import torch.nn.functional as F
    from torch import nn

    source, target, size, pad, end = tokens_of(data)
    torch.manual_seed(0)
    width = SIZES["d_model"]

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Embedding(size, width, padding_idx=pad)
            nn.init.normal_(self.table.weight, std=width**-0.5)
            layers = {"num_encoder_layers": SIZES["layers"], "num_decoder_layers": SIZES["layers"]}
            self.body = nn.Transformer(
                width, SIZES["num_heads"], dim_feedforward=SIZES["d_ff"], dropout=SIZES["dropout"], batch_first=True,
                **layers,
            )  # fmt: skip
            self.dropout = nn.Dropout(SIZES["dropout"])
            rates = torch.exp(torch.arange(0, width, 2) * (-math.log(10000.0) / width))
            angles = torch.arange(256)[:, None] * rates
            self.register_buffer("places", torch.cat([angles.sin(), angles.cos()], 1))

        def embedded(self, ids: Any) -> Any:
            return self.dropout(self.table(ids) * math.sqrt(width) + self.places[: ids.shape[1]])

        def forward(self, ids: Any, before: Any) -> Any:
            padding = ids == pad
            future = torch.ones(before.shape[1], before.shape[1], dtype=torch.bool).triu(1)
            found = self.body(
                self.embedded(ids), self.embedded(before), tgt_mask=future, tgt_is_causal=True,
                src_key_padding_mask=padding, memory_key_padding_mask=padding,
            )  # fmt: skip
            return F.linear(found, self.table.weight)

    model = Model().train()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4, betas=(0.9, 0.98), fused=True)
    lengths = [max(len(a), len(b)) for a, b in zip(source, target, strict=True)]

    def padded(rows: list[list[int]], fill: int) -> Any:
        longest = max(map(len, rows))
        return torch.tensor([row + [fill] * (longest - len(row)) for row in rows])

    done = useful = epoch = 0
    started = 0.0
    while done < steps:
        for rows in budget_batches(lengths, epoch):
            if done == WARM:
                started, useful = time.perf_counter(), 0
            ids, labels = padded([source[n] for n in rows], pad), padded([target[n] for n in rows], -100)
            before = padded([[pad, *target[n][:-1]] for n in rows], end)
            with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
                logits = model(ids, before)
            loss = F.cross_entropy(logits.float().flatten(0, 1), labels.flatten(), label_smoothing=0.1)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            useful += sum(len(source[n]) + len(target[n]) for n in rows)
            done += 1
            if done == steps:
                break
        epoch += 1
    return useful / (time.perf_counter() - started)


def trainer(data: str, steps: int, folder: str, bf16: bool, eager: bool) -> float:
    """transformers' Seq2SeqTrainer: batches of like length, its own label smoothing."""
    import torch
    from datasets import Dataset
    from transformers import (
        DataCollatorForSeq2Seq,
        MarianConfig,
        MarianMTModel,
        PreTrainedTokenizerFast,
        Seq2SeqTrainer,
        Seq2SeqTrainingArguments,
        TrainerCallback,
    )

    from noria.model.vocabulary import Vocabulary

    source, target, size, pad, end = tokens_of(data)
    tokenizer: PreTrainedTokenizerFast = Vocabulary(size=8000).trained(texts_of(data))
    torch.manual_seed(0)
    halves = {}
    for half in ("encoder", "decoder"):
        halves |= {f"{half}_layers": SIZES["layers"], f"{half}_attention_heads": SIZES["num_heads"]}
        halves |= {f"{half}_ffn_dim": SIZES["d_ff"]}
    config = MarianConfig(
        vocab_size=size, d_model=SIZES["d_model"], dropout=SIZES["dropout"], activation_function="relu",
        scale_embedding=True, pad_token_id=pad, eos_token_id=end, decoder_start_token_id=pad, forced_eos_token_id=None,
        max_position_embeddings=256, attn_implementation="eager" if eager else "sdpa", **halves,
    )  # fmt: skip
    model = MarianMTModel(config)
    useful: list[int] = []
    marks: list[float] = []

    class Clock(TrainerCallback):
        def on_step_end(self, *_: Any, **__: Any) -> None:
            marks.append(time.perf_counter())

    collate = DataCollatorForSeq2Seq(tokenizer, model, label_pad_token_id=-100)

    def collated(rows: Any) -> Any:
        useful.append(sum(len(row["input_ids"]) + len(row["labels"]) for row in rows))
        return collate(rows)

    rows = Dataset.from_dict({"input_ids": source, "labels": target})
    per_batch = TOKENS // 16  # rows of the mean length
    run = Seq2SeqTrainer(
        model=model,
        args=Seq2SeqTrainingArguments(
            output_dir=str(Path(folder) / "trainer"), max_steps=steps, per_device_train_batch_size=per_batch,
            train_sampling_strategy="group_by_length", label_smoothing_factor=0.1, bf16=bf16, use_cpu=True,
            report_to=[], save_strategy="no", logging_strategy="no", dataloader_num_workers=0,
        ),
        data_collator=collated,
        train_dataset=rows,
        callbacks=[Clock()],
    )  # fmt: skip
    run.train()
    return sum(useful[WARM : len(marks)]) / (marks[-1] - marks[WARM - 1])


def texts_of(data: str) -> list[str]:
    from noria.data.source.parallel import read_pairs

    rows = read_pairs(f"{data}/train", "en", "de").table
    return [*rows["text"].to_pylist(), *(targets[0] for targets in rows["targets"].to_pylist())]


# Answering


def answering(data: str, artifact: str, count: int, rounds: int) -> tuple[dict[str, list[float]], dict[str, int]]:
    """Sentences a second, from texts to texts, and how many of the others' texts are Noria's."""
    shared = {"data": data, "artifact": artifact, "count": count}
    runs = {NORIA: lambda: asked("answered", **shared)}
    runs["transformers"] = lambda: asked("generated", **shared)
    with tempfile.TemporaryDirectory() as folder:
        try:
            import ctranslate2
        except ImportError:
            pass
        else:
            converter = ctranslate2.converters.TransformersConverter(artifact)
            converter.convert(f"{folder}/model", quantization="float32")
            runs["CTranslate2"] = lambda: asked("translated", model=f"{folder}/model", **shared)
        found = _bench.rounds(runs, rounds)
    same = {
        name: sum(a == b for a, b in zip(found[NORIA][0]["texts"], results[0]["texts"], strict=True))
        for name, results in found.items()
    }
    return {name: [one["speed"] for one in results] for name, results in found.items()}, same


def asked(function: str, **arguments: Any) -> dict[str, Any]:
    found: dict[str, Any] = _bench.run_function(__file__, function, **arguments).result
    return found


def sources(data: str, count: int) -> list[str]:
    return Path(data, "test_2016_flickr.en").read_text(encoding="utf-8").splitlines()[:count]


def answered(data: str, artifact: str, count: int) -> dict[str, Any]:
    """Noria, at its default batch."""
    import torch

    from noria.artifact.bundle import open_artifact
    from noria.inference.runner import Runner

    opened = open_artifact(Path(artifact))
    runner = Runner(opened, "32-true", torch.device("cpu"))
    requests = [{"text": text} for text in sources(data, count)]
    runner.answer(requests[:64], runner.kind.batch_size)
    started = time.perf_counter()
    replies = runner.answer(requests, runner.kind.batch_size)
    return {"speed": count / (time.perf_counter() - started), "texts": [reply["response"] for reply in replies]}


def generated(data: str, artifact: str, count: int) -> dict[str, Any]:
    """transformers' generate at the best of several batches, sources of like length together."""
    import torch
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(artifact), AutoModelForSeq2SeqLM.from_pretrained(artifact).eval()
    texts = sources(data, count)
    best: dict[str, Any] = {"speed": 0.0}
    for size in BATCHES:
        for warm in (True, False):
            some = texts[:size] if warm else texts
            started = time.perf_counter()
            order = sorted(range(len(some)), key=lambda number: -len(tokenizer(some[number])["input_ids"]))
            said = [""] * len(some)
            for start in range(0, len(some), size):
                part = order[start : start + size]
                batch = tokenizer([some[number] for number in part], padding=True, return_tensors="pt")
                with torch.inference_mode():
                    longest = int(RATIO * batch["input_ids"].shape[1]) + 10
                    out = model.generate(
                        input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], num_beams=BEAMS,
                        max_new_tokens=min(LONGEST, longest), do_sample=False,
                    )  # fmt: skip
                for number, text in zip(part, tokenizer.batch_decode(out, skip_special_tokens=True), strict=True):
                    said[number] = text.strip()
            seconds = time.perf_counter() - started
        if count / seconds > best["speed"]:
            best = {"speed": count / seconds, "texts": said, "batch": size}
    return best


def translated(data: str, artifact: str, count: int, model: str) -> dict[str, Any]:
    """CTranslate2 in fp32 on all threads, at the best of several batches."""
    import os

    import ctranslate2
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(artifact)
    translator = ctranslate2.Translator(model, device="cpu", inter_threads=1, intra_threads=os.cpu_count() or 1)
    texts = sources(data, count)
    best: dict[str, Any] = {"speed": 0.0}
    for size in BATCHES:
        for warm in (True, False):
            some = texts[:size] if warm else texts
            started = time.perf_counter()
            tokens = [tokenizer.convert_ids_to_tokens(ids) for ids in tokenizer(some)["input_ids"]]
            out = translator.translate_batch(
                tokens, beam_size=BEAMS, max_batch_size=size, max_decoding_length=LONGEST, length_penalty=1.0
            )
            said = [
                tokenizer.decode(tokenizer.convert_tokens_to_ids(one.hypotheses[0]), skip_special_tokens=True).strip()
                for one in out
            ]
            seconds = time.perf_counter() - started
        if count / seconds > best["speed"]:
            best = {"speed": count / seconds, "texts": said, "batch": size}
    return best


if __name__ == "__main__":
    sys.exit(main())
