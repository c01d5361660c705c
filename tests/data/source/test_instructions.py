from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer

from noria.common.errors import UserError
from noria.data.source.instructions import Instructions
from noria.task.causal_lm.form import CausalLMForm


@pytest.fixture
def decoder(tiny_decoder: Path):
    return AutoTokenizer.from_pretrained(tiny_decoder)


def rows(count: int) -> list[str]:
    return [json.dumps({"prompt": f"Say {i}.", "response": f"{i}" + " times" * (i % 5)}) for i in range(count)]


@pytest.fixture
def build(decoder, write):
    def made(lines: list[str], **keys) -> Instructions:
        return Instructions(path=write("rows.jsonl", lines), **keys).bind(CausalLMForm(), decoder)

    return made


def targets(data: Instructions, decoder, split: str = "train") -> list[str]:
    """What is learnt of each row, as text."""
    batch = data.encoded(split)[range(len(data.encoded(split)))]
    return [
        decoder.decode(ids[labels != -100]) for ids, labels in zip(batch["input_ids"], batch["labels"], strict=True)
    ]


def test_only_answers_are_learnt_with_the_end_of_turn(build, decoder):
    data = build(rows(60), max_length=64)
    data.setup()
    encoded = data.encoded("train")
    learnt = targets(data, decoder)
    assert len(learnt) == len(encoded) == len(data.splits["train"])
    for place, messages in zip(encoded.row, data.splits["train"].table["messages"].to_pylist(), strict=True):
        assert learnt[place] == json.loads(messages)[-1]["content"] + "<|im_end|>"
    whole = decoder.decode(encoded[[0]]["input_ids"][0])
    prompt = json.loads(data.splits["train"].table["messages"][0].as_py())
    assert whole == decoder.apply_chat_template(prompt, tokenize=False)


def test_every_answer_of_a_chat_is_learnt(build, decoder):
    chat = [
        {"role": role, "content": f"{role} speaks"} for role in ("system", "user", "assistant", "user", "assistant")
    ]
    chat[-1]["content"] = "caf\u00e9 \u2713"
    data = build([json.dumps({"messages": chat})], val_fraction=0, test_fraction=0, max_length=512)
    assert targets(data, decoder) == ["assistant speaks<|im_end|>caf\u00e9 \u2713<|im_end|>"]
    labels = data.encoded("train")[[0]]["labels"][0]
    assert data.encoded("train").targets.tolist() == [int((labels != -100).sum())]


def test_a_prompt_stays_on_one_side(build):
    lines = [json.dumps({"prompt": f"Question {i // 4}?", "response": f"{i}"}) for i in range(400)]
    data = build(lines, val_fraction=0.2, test_fraction=0.2)
    data.setup()
    seen = {name: set(split.texts) for name, split in data.splits.items()}
    assert len(seen) == 3 and sum(len(texts) for texts in seen.values()) == 100
    assert all(overlap["count"] == 0 for overlap in data.report["overlaps"].values())


def test_long_rows_are_cut_at_the_right_and_counted(build, decoder):
    lines = [
        json.dumps({"prompt": "a", "response": "short"}),
        json.dumps({"prompt": "b", "response": "z" * 200}),
        json.dumps({"prompt": "c" * 300, "response": "never seen"}),
    ]
    decoder.truncation_side = "left"
    data = build(lines, val_fraction=0, test_fraction=0, max_length=60)
    encoded = data.encoded("train")
    assert encoded.row.tolist() == [0, 1] and encoded.lengths.max() == 60
    assert data.report["truncated"] == {"train": 1}
    assert data.report["dropped"] == {"train": {"answer_beyond_max_length": 1}}
    learnt = targets(data, decoder)
    assert learnt[0] == "short<|im_end|>" and set(learnt[1]) == {"z"}
    with pytest.raises(UserError, match=r"'train': .*: no answer begins within 8 tokens. Raise data.max_length"):
        build(lines, val_fraction=0, test_fraction=0, max_length=8).encoded("train")


def test_dropped_rows_are_counted_beside_the_others(build):
    lines = [*rows(40), json.dumps({"prompt": "x", "response": ""}), json.dumps({"prompt": "c" * 300, "response": "d"})]
    data = build(lines, val_fraction=0, max_length=64)
    data.encoded("train")
    data.encoded("test")
    assert data.report["dropped"]["train"]["no_answer"] == 1
    assert sum(reasons.get("answer_beyond_max_length", 0) for reasons in data.report["dropped"].values()) == 1


def test_batches_hold_every_row_once(build):
    data = build(rows(100), batch_size=8, max_length=64)
    data.setup()
    batches = list(data.train_dataloader())
    assert sorted(torch.cat([batch["index"] for batch in batches]).tolist()) == list(range(len(data.splits["train"])))
    assert len(batches) == data.batches_per_epoch(1)


def test_tokens_depend_on_the_template_and_not_on_the_length(build, decoder, cache):
    lines = rows(30)
    one = build(lines, max_length=64).encoded("train")
    again = build(lines, max_length=12)
    files = list((cache / "tokens").iterdir())
    with pytest.raises(UserError):
        again.encoded("train")
    assert list((cache / "tokens").iterdir()) == files, "the length made other tokens"
    decoder.chat_template = decoder.chat_template.replace("<|im_start|>' +", "<|im_start|>the ' +")
    two = build(lines, max_length=64)
    with pytest.raises(UserError, match="chat template"):
        two.encoded("train")  # what asks for an answer is no longer what stands before one
    decoder.chat_template = decoder.chat_template.replace("<|im_start|>assistant", "<|im_start|>the assistant")
    assert (two.encoded("train").lengths > one.lengths).all()
    assert len(list((cache / "tokens").iterdir())) == 2


def test_the_fingerprint_is_of_the_conversations(build, decoder):
    lines = rows(40)
    one, two = build(lines), build(lines)
    one.setup()
    decoder.chat_template = decoder.chat_template.replace("'<|im_end|>'", "'.<|im_end|>'")
    two.setup()
    assert one.fingerprint == two.fingerprint
    other = build([*lines[:-1], lines[-1].replace("39", "40")])
    other.setup()
    assert other.fingerprint != one.fingerprint


def test_a_tokenizer_without_a_template(build, decoder, write, caplog):
    template = decoder.chat_template
    decoder.chat_template = None
    with pytest.raises(UserError, match="model=smollm2"):
        build(rows(40)).setup()
    build(rows(40), chat_template=write("chat.jinja", template.encode())).setup()
    assert decoder.chat_template == template
    bare = write("bare.jinja", template.replace("<|im_end|>", "").encode())
    with caplog.at_level(logging.WARNING):
        build(rows(40), chat_template=bare).encoded("train")
    assert "will not learn to stop" in caplog.text


def test_rows_can_be_read_before_there_is_a_tokenizer(write, decoder):
    data = Instructions(path=write("rows.jsonl", rows(40))).bind(CausalLMForm())
    data.setup()
    data.tokenizer = decoder
    assert len(data.encoded("val")) == len(data.splits["val"])


def test_files_of_their_own_for_val_and_test(build, write):
    data = build(rows(10), val_path=write("val.jsonl", rows(3)), test_path=write("test.json", [f"[{rows(1)[0]}]"]))
    data.setup()
    assert {name: len(split) for name, split in data.splits.items()} == {"train": 10, "val": 3, "test": 1}
    assert data.report["overlaps"]["train/val"]["count"] == 3


def test_real_alpaca_rows(shared_data, decoder):
    path = str(shared_data("instruct") / "alpaca_en_demo.json")
    columns = {"prompt": "instruction", "input": "input", "response": "output"}
    data = Instructions(path=path, **columns, max_length=2048).bind(CausalLMForm(), decoder)
    data.prepare_data()
    assert sum(data.report["rows"].values()) == 999 and data.report["dropped"] == {"train": {}}
    assert data.report["truncated"]["train"] < 100
    encoded = data.encoded("val")
    assert all(learnt.endswith("<|im_end|>") for learnt in targets(data, decoder, "val"))
    assert np.all(encoded.targets < encoded.lengths) and np.all(encoded.targets > 0)


def test_what_has_no_weight_is_no_target(build, decoder):
    talk = [{"role": "user", "content": "Try."}, {"role": "assistant", "content": "wrong", "weight": 0}]
    talk += [{"role": "user", "content": "Again."}, {"role": "assistant", "content": "right", "weight": 1}]
    data = build([json.dumps({"messages": talk})] * 2, val_fraction=0, test_fraction=0, max_length=64)
    assert targets(data, decoder) == ["right<|im_end|>"] * 2
    assert "wrong" in decoder.decode(data.encoded("train")[[0]]["input_ids"][0])


def test_a_row_that_the_template_refuses_is_found_before_there_is_a_split(build, decoder):
    decoder.chat_template = (
        "{% if messages[1:] and messages[1].role == 'user' %}{{ raise_exception('two users') }}{% endif %}"
        + decoder.chat_template
    )
    two = [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}, {"role": "assistant", "content": "c"}]
    refused = json.dumps({"messages": two})
    talks = [
        json.dumps({"messages": [{"role": "user", "content": f"{n}"}, {"role": "assistant", "content": "x"}]})
        for n in range(60)
    ]
    data = build([*talks, refused])
    data.setup()
    assert data.report["dropped"] == {"train": {"bad_row": 1}} and sum(data.report["rows"].values()) == 60
    with pytest.raises(UserError, match=r"(?s)1 of 61 rows .*line 61: the chat template refuses .*: two users"):
        build([*talks, refused], max_bad_share=0.01).setup()


def test_prompts_bring_their_tools(build, decoder):
    tools = [{"type": "function", "function": {"name": "w"}}]
    decoder.chat_template = "{{ tools | tojson }}" + decoder.chat_template
    talk = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    data = build([json.dumps({"messages": talk, "tools": tools})], val_fraction=0, test_fraction=0)
    data.setup()
    assert data.prompts("train", 1) == [({"messages": talk[:1], "tools": tools}, "b")]
