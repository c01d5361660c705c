"""Encoder-decoders of the hub's families, as tiny random models: what they read, learn from and answer.

T5 begins with padding and wants a prefix; BART begins targets with a token that it has to say; Marian begins with
padding that it never says; Pegasus too; mBART writes the language behind the text, and begins with it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import processors
from transformers import (
    AutoModelForSeq2SeqLM,
    AutoTokenizer,
    BartConfig,
    BartForConditionalGeneration,
    MarianConfig,
    MarianMTModel,
    MBartConfig,
    MBartForConditionalGeneration,
    MBartTokenizer,
    PegasusConfig,
    PegasusForConditionalGeneration,
    T5Config,
    T5ForConditionalGeneration,
)

from noria.artifact import bundle
from noria.model.vocabulary import Vocabulary
from noria.task.seq2seq.frame import around_targets, writes_targets
from noria.task.seq2seq.shift import shifted

PAIRS = [("two dogs run", "zwei Hunde laufen"), ("a cat sleeps here", "eine Katze schläft hier")] * 30
SIZES = {"d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2, "encoder_ffn_dim": 24,
         "decoder_attention_heads": 2, "decoder_ffn_dim": 24, "max_position_embeddings": 64,
         "dropout": 0.0}  # fmt: skip
FAMILIES: dict[str, Any] = {
    "t5": (
        T5ForConditionalGeneration,
        T5Config,
        {"d_model": 16, "d_kv": 8, "d_ff": 24, "num_layers": 1, "num_heads": 2},
    ),
    "bart": (BartForConditionalGeneration, BartConfig, SIZES),
    "marian": (MarianMTModel, MarianConfig, SIZES),
    "pegasus": (PegasusForConditionalGeneration, PegasusConfig, SIZES),
    "mbart": (MBartForConditionalGeneration, MBartConfig, SIZES),
}
WORDS = {"t5": ["task.prefix='translate: '"], "mbart": ["task.source_lang=en_XX", "task.target_lang=de_DE"]}


def tokenizer_of(family: str, folder: Path) -> Any:
    made = Vocabulary(size=340).trained([text for pair in PAIRS for text in pair])
    if family == "mbart":
        known = sorted(made.get_vocab(), key=made.get_vocab().get)
        special = ("<s>", "<pad>", "</s>", "<unk>")
        pieces = [
            *((token, 0.0) for token in special),
            *((t, -float(n)) for n, t in enumerate(known) if t not in special),
        ]
        return MBartTokenizer(vocab=pieces, src_lang="en_XX", tgt_lang="de_DE")
    if family == "bart":
        ends = [(token, made.convert_tokens_to_ids(token)) for token in ("<s>", "</s>")]
        made.backend_tokenizer.post_processor = processors.TemplateProcessing("<s> $A </s>", None, ends)
        made.bos_token = "<s>"
    return made


@pytest.fixture(scope="module", params=FAMILIES)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    family = request.param
    folder = tmp_path_factory.mktemp(family)
    tokenizer = tokenizer_of(family, folder)
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    kind, config, sizes = FAMILIES[family]
    start = {"bart": tokenizer.eos_token_id, "mbart": None}.get(family, tokenizer.pad_token_id)
    ends = {"pad_token_id": tokenizer.pad_token_id, "eos_token_id": tokenizer.eos_token_id, "bos_token_id": None}
    made = kind(
        config(vocab_size=len(tokenizer), decoder_start_token_id=start, forced_eos_token_id=None, **ends, **sizes)
    )
    made.generation_config.forced_eos_token_id = None
    made.save_pretrained(folder)
    return family, folder


def test_what_a_decoder_reads_is_what_the_library_gives_it(model: tuple[str, Path]) -> None:
    family, folder = model
    network, tokenizer = AutoModelForSeq2SeqLM.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    with writes_targets(tokenizer):
        ids = [tokenizer(target)["input_ids"] for _, target in PAIRS[:2]]
    width = max(map(len, ids))
    labels = torch.tensor([row + [-100] * (width - len(row)) for row in ids])
    source = tokenizer([source for source, _ in PAIRS[:2]], padding=True, return_tensors="pt")
    given = {"input_ids": source["input_ids"], "attention_mask": source["attention_mask"]}
    with torch.no_grad():
        expected = network(**given, labels=labels)
        logits = network(**given, decoder_input_ids=shifted(labels, network)).logits
    there = labels != -100
    torch.testing.assert_close(logits[there], expected.logits[there])
    before, after = around_targets(tokenizer)
    assert ids[0][: len(before)] == before and ids[0][len(ids[0]) - len(after) :] == after
    assert (len(before), len(after)) == {"bart": (1, 1), "mbart": (0, 2)}.get(family, (0, 1))


def test_it_is_fitted_and_answers_as_the_library_does(
    model: tuple[str, Path], noria: Callable[..., int], tmp_path: Path
) -> None:
    family, folder = model
    Path("rows.jsonl").write_text("".join(json.dumps({"source": a, "target": b}) + "\n" for a, b in PAIRS))
    words = [
        "task=seq2seq",
        "data=parallel",
        "data.path=rows.jsonl",
        "data.val_path=rows.jsonl",
        "data.test_fraction=0",
    ]
    words += ["model=hub", f"model.name={folder}", "model.architecture=both", "data.max_length=60", "logger=csv"]
    words += [
        "trainer.max_epochs=1",
        "task.generation.max_new_tokens=8",
        "task.generation.num_beams=3",
        "precision=fp32",
    ]
    assert noria(*words, *WORDS.get(family, []), "paths.run_dir=run") == 0
    record = json.loads(Path("run/record.json").read_text())
    assert record["status"] == "done" and {"val/loss", "val/bleu", "val/chrf"} <= {*record["metrics"]}
    Path("asked.jsonl").write_text("".join(json.dumps({"source": source}) + "\n" for source, _ in PAIRS[:2]))
    predict = ["stage=predict", "artifact=run/artifact", "input=asked.jsonl", "precision=fp32"]
    assert noria(*predict, "stage.output=out.jsonl", "stage.generation.num_return_sequences=2") == 0
    answers = [json.loads(line) for line in Path("out.jsonl").read_text().splitlines()]

    opened = bundle.open_artifact(Path("run/artifact"))
    tokenizer, network = opened.tokenizer, opened.network
    prefix = "translate: " if family == "t5" else ""
    source = tokenizer([prefix + text for text, _ in PAIRS[:2]], padding=True, return_tensors="pt")
    before, after = around_targets(tokenizer)
    more: dict[str, Any] = {"forced_bos_token_id": before[0]} if before else {}
    if family == "mbart":
        more["decoder_start_token_id"] = after[-1]
    if family in ("marian",):
        more["bad_words_ids"] = network.generation_config.bad_words_ids
    expected = network.generate(
        input_ids=source["input_ids"], attention_mask=source["attention_mask"], num_beams=3, max_new_tokens=8,
        do_sample=False, num_return_sequences=2, return_dict_in_generate=True, output_scores=True,
        **{name: value for name, value in more.items() if value is not None},
    )  # fmt: skip
    texts = [text.strip() for text in tokenizer.batch_decode(expected.sequences, skip_special_tokens=True)]
    assert [one["response"] for answer in answers for one in answer["responses"]] == texts
    scores = [one["score"] for answer in answers for one in answer["responses"]]
    assert scores == pytest.approx(expected.sequences_scores.tolist(), abs=1e-4)
    assert all(answer["response"] == answer["responses"][0]["response"] for answer in answers)


def test_padding_that_is_the_end_of_text_is_learnt_and_ends_answers(noria: Callable[..., int], tmp_path: Path) -> None:
    """Many tokenizers have no padding of their own. Here one-token texts stand beside longer ones, too."""
    tokenizer = tokenizer_of("bart", tmp_path)
    tokenizer.pad_token = tokenizer.eos_token
    end = tokenizer.eos_token_id
    torch.manual_seed(0)
    config = BartConfig(
        vocab_size=len(tokenizer), pad_token_id=end, eos_token_id=end, bos_token_id=None, decoder_start_token_id=end,
        forced_eos_token_id=None, **SIZES,
    )  # fmt: skip
    BartForConditionalGeneration(config).save_pretrained("model")
    tokenizer.save_pretrained("model")
    rows = [{"source": a, "target": b} for a, b in [*PAIRS, ("a", "x"), ("x", "a")] * 4]
    Path("rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = [
        "task=seq2seq",
        "data=parallel",
        "data.path=rows.jsonl",
        "data.val_path=rows.jsonl",
        "data.test_fraction=0",
    ]
    words += ["model=hub", "model.name=model", "model.architecture=both", "data.max_length=24", "logger=csv"]
    words += ["trainer.max_epochs=16", "optimizer.lr=1e-2", "task.generation.max_new_tokens=20", "precision=fp32"]
    assert noria(*words, "paths.run_dir=run") == 0
    answers = {}
    for size in (1, 4):
        asked = ["stage=predict", "artifact=run/artifact", "input=asked.txt", "precision=fp32"]
        Path("asked.txt").write_text("".join(f"{text}\n" for text in ("two dogs run", "a", "x", "a cat sleeps here")))
        assert noria(*asked, f"stage.batch_size={size}", f"stage.output={size}.jsonl") == 0
        answers[size] = [json.loads(line)["response"] for line in Path(f"{size}.jsonl").read_text().splitlines()]
    assert answers[1] == answers[4]
    assert answers[1][0] == "zwei Hunde laufen", "and nothing after its end"
