from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest
from tokenizers.processors import TemplateProcessing
from transformers import AutoTokenizer

from noria.common.errors import UserError
from noria.data.source.plain_text import PASSAGE, PlainText, documents, passages, read_passages
from noria.task.causal_lm.form import CausalLMForm


@pytest.fixture
def decoder(tiny_decoder: Path):
    return AutoTokenizer.from_pretrained(tiny_decoder)


def book(paragraphs: int, name: str = "it") -> str:
    return "\n\n".join(f"Paragraph {i} of {name}" + " goes on" * (i % 90) + "." for i in range(paragraphs))


def train(data: PlainText) -> PlainText:
    data.setup()
    return data


def test_passages_end_at_blank_lines_and_lose_nothing():
    text = "  Indented.\n\n" + book(200)
    found = passages("\n \n" + text + "\n\n \n")
    assert "".join(found) == text
    assert len(found) > 5 and all(PASSAGE <= len(piece) < 2 * PASSAGE for piece in found[:-1])
    assert all(piece.endswith("\n\n") for piece in found[:-1]) and not found[-1].endswith("\n")


@pytest.mark.parametrize("break_", ["\n", " ", ""])
def test_without_blank_lines_the_next_best_place(break_):
    text = break_.join(["word" * 30] * 500)
    found = passages(text)
    assert "".join(found) == text and len(found) > 3
    assert all(piece.endswith(break_) and PASSAGE <= len(piece) <= 2 * PASSAGE for piece in found[:-1])


@pytest.mark.parametrize(("text", "found"), [("", []), (" \n\n ", []), ("a", ["a"]), ("a\n\nb\n", ["a\n\nb"])])
def test_small_documents(text, found):
    assert passages(text) == found


def test_no_passage_is_blank():
    text = "a" + "\n" * 3 * PASSAGE + "b" + " " * 5 * PASSAGE + "c"
    found = passages(text)
    assert "".join(found) == text and not any(piece.isspace() for piece in found)


def test_a_folder_is_read_to_its_depths_in_order(write, tmp_path):
    for name in ("t/b.txt", "t/a/z.md", "t/a/x.TXT", "t/.hidden/y.txt", "t/.note.md", "t/c.csv"):
        write(name, [f"text of {name}"])
    assert [name for name, _ in documents(str(tmp_path / "t"), "text")] == ["a/x.TXT", "a/z.md", "b.txt"]
    rows = read_passages(str(tmp_path / "t"), "text")
    assert rows.ids == ["a/x.TXT:1", "a/z.md:1", "b.txt:1"] and rows.table["last"].to_pylist() == [True] * 3
    assert rows.texts[0] == "text of t/a/x.TXT"


def test_tables_hold_a_document_a_row(write, tmp_path):
    lines = [json.dumps({"body": text}) for text in (book(60), None, " ", "short")]
    rows = read_passages(write("a.jsonl", lines), "body")
    assert rows.ids[0] == "a.jsonl:1:1" and rows.ids[-1] == "a.jsonl:4:1" and rows.dropped == {"no_text": 2}
    assert rows.table["last"].to_pylist() == [False] * (len(rows) - 2) + [True, True]
    pa.parquet.write_table(pa.table({"text": ["one", "two"]}), tmp_path / "a.parquet")
    assert read_passages(str(tmp_path / "a.parquet"), "text").texts == ["one", "two"]


def test_every_token_is_learnt_but_the_first_of_each_window(write, decoder):
    text = book(120)
    data = PlainText(path=write("a.txt", [text]), val_fraction=0, test_fraction=0, max_length=50).bind(
        CausalLMForm(), decoder
    )
    encoded = data.encoded("train")
    windows = [encoded[[i]] for i in range(len(encoded))]
    ids = [batch["input_ids"][0].tolist() for batch in windows]
    assert decoder.decode([each for window in ids for each in window]) == text + "<|im_end|>"
    assert all(batch["labels"][0, 1:].tolist() == window[1:] for batch, window in zip(windows, ids, strict=True))
    assert encoded.targets.tolist() == [len(window) - 1 for window in ids]
    assert encoded.lengths.max() == 50 and data.report["truncated"] == {"train": 0}
    assert encoded.row.tolist() == sorted(encoded.row.tolist()) and len(set(encoded.row.tolist())) == len(
        data.splits["train"]
    )


def test_only_documents_end(write, decoder, tmp_path):
    for name in ("t/a.txt", "t/b.txt"):
        write(name, [book(120, name)])
    data = PlainText(path=str(tmp_path / "t"), val_fraction=0, test_fraction=0, max_length=64).bind(
        CausalLMForm(), decoder
    )
    encoded = data.encoded("train")
    ends = [int((encoded[[i]]["input_ids"] == decoder.eos_token_id).sum()) for i in range(len(encoded))]
    assert sum(ends) == 2 and ends[-1] == 1
    assert data.splits["train"].table["last"].to_pylist().count(True) == 2 < len(data.splits["train"])


def test_a_tokenizer_that_begins_texts_begins_every_window(write, decoder):
    start = decoder.bos_token
    decoder.backend_tokenizer.post_processor = TemplateProcessing(
        single=f"{start} $A", special_tokens=[(start, decoder.bos_token_id)]
    )
    text = book(60)
    data = PlainText(path=write("a.txt", [text]), val_fraction=0, test_fraction=0, max_length=50).bind(
        CausalLMForm(), decoder
    )
    encoded = data.encoded("train")
    ids = [encoded[[i]]["input_ids"][0].tolist() for i in range(len(encoded))]
    assert {window[0] for window in ids} == {decoder.bos_token_id} and max(map(len, ids)) == 50
    assert decoder.decode([each for window in ids for each in window[1:]]) == text + "<|im_end|>"
    assert encoded.targets.sum() == sum(len(window) - 1 for window in ids)


def test_windows_without_a_target_are_counted(write, decoder):
    decoder.eos_token = None
    data = PlainText(path=write("a.txt", ["0123456789"]), val_fraction=0, test_fraction=0, max_length=9).bind(
        CausalLMForm(), decoder
    )
    encoded = data.encoded("train")
    assert encoded.lengths.tolist() == [9] and data.report["dropped"] == {"train": {"window_of_one_token": 1}}
    one = PlainText(path=write("b.txt", ["0"]), val_fraction=0, test_fraction=0).bind(CausalLMForm(), decoder)
    with pytest.raises(UserError, match=r"'train': .* has no two tokens in a row"):
        one.encoded("train")


def test_splits_are_of_passages_or_of_files(write, decoder):
    path = write("a.txt", [book(2000)])
    data = train(PlainText(path=path).bind(CausalLMForm(), decoder))
    assert set(data.splits) == {"train", "val", "test"}
    ids = [row for rows in data.splits.values() for row in rows.ids]
    assert len(ids) == len(set(ids)) == sum(data.report["rows"].values()) > 60
    data = train(PlainText(path=path, val_path=write("b.md", ["other"]), test_fraction=0).bind(CausalLMForm(), decoder))
    assert data.splits["val"].texts == ["other"] and len(data.splits["train"]) == len(ids)
    again = train(
        PlainText(path=path, val_path=write("b.md", ["others"]), test_fraction=0).bind(CausalLMForm(), decoder)
    )
    assert again.fingerprints["train"] == data.fingerprints["train"] and again.fingerprint != data.fingerprint


def test_windows_of_any_length_share_their_tokens(write, decoder, cache):
    path = write("a.txt", [book(100)])
    for length in (16, 64):
        PlainText(path=path, max_length=length, test_fraction=0, val_fraction=0).bind(CausalLMForm(), decoder).encoded(
            "train"
        )
    assert len(list((cache / "tokens").iterdir())) == 1


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", b"", "a.txt holds no text: every document is blank"),
        ("a.txt", b" \n\n\t\n", "holds no text"),
        ("a.txt", "fine\ncaf\xe9".encode("latin-1"), "line 2: not UTF-8 text. Save the file as UTF-8"),
        ("a.pdf", b"%PDF", r"end in '.pdf' are not read. Known endings: .txt, .md, .csv"),
        ("a.jsonl", b'{"txt": "a"}\n', "no column 'text'. Its columns: txt. Did you mean 'txt'"),
        ("a.jsonl", b'{"text": "a"}\n{"text": \n', "line 2: not valid JSON"),
        ("a.jsonl", b'{"text": [1, 2]}\n', "the column 'text' holds list.* values, not text"),
        ("a.jsonl", b'{"text": ""}\n', "holds no text"),
        ("folder/a.pdf", b"%PDF", "The folder '.*folder' holds no .txt or .md file, nor does any folder in it"),
        ("folder/a.md", b"\xff\xfe", "'.*a.md', line 1: not UTF-8"),
    ],
)
def test_what_is_wrong_is_said(write, name, content, message):
    path = Path(write(name, content))
    with pytest.raises(UserError, match=message):
        read_passages(str(path.parent if path.parent.name == "folder" else path), "text")


def test_a_missing_file_is_guessed(write):
    path = write("story.txt", ["a"])
    with pytest.raises(UserError, match=r"no file '.*stroy.txt'. Did you mean 'story.txt'"):
        read_passages(path.replace("story", "stroy"), "text")


def test_real_shakespeare(shared_data, decoder):
    path = shared_data("tinyshakespeare") / "input.txt"
    data = PlainText(path=str(path), val_fraction=0, test_fraction=0, max_length=256).bind(CausalLMForm(), decoder)
    encoded = data.encoded("train")
    assert "".join(data.splits["train"].texts) == path.read_text().strip()
    dropped = data.report["dropped"]["train"].get("window_of_one_token", 0)
    assert encoded.lengths.sum() + dropped == encoded.tokens.lengths.sum()
    assert encoded.targets.sum() == encoded.lengths.sum() - len(encoded)
