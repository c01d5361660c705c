from __future__ import annotations

import logging
import multiprocessing
import resource
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from transformers import AutoTokenizer

from noria.common.errors import UserError
from noria.data.batch import tokens
from noria.data.batch.tokens import CHUNK, Tokens, cache_key, cached_tokens, tokenise

TEXTS = ["a short one", "and a second text that is longer than the others are", "", "last"]


def same(one: Tokens, two: Tokens) -> bool:
    rows = range(len(one))
    return len(one) == len(two) and all(np.array_equal(one.ids(row), two.ids(row)) for row in rows)


def files(cache: Path) -> list[Path]:
    return sorted((cache / "tokens").iterdir())


def test_tokens_are_those_of_the_tokenizer(tokenizer):
    made = tokenise(tokenizer, TEXTS, None, 8)
    for row, text in enumerate(TEXTS):
        assert made.ids(row).tolist() == tokenizer(text, truncation=True, max_length=8)["input_ids"]
    assert made.lengths.dtype == np.int32 and made.lengths.tolist() == [5, 8, 2, 3]
    assert made.truncated == 1


def test_pairs_have_types(tokenizer):
    made = tokenise(tokenizer, ["a b", "c"], ["d", "e f g"], 16)
    assert made.has_types and made.types(0).dtype == np.int8
    assert made.types(0).tolist() == [0, 0, 0, 0, 1, 1] and made.types(1).tolist() == [
        0,
        0,
        0,
        1,
        1,
        1,
        1,
    ]


def test_more_rows_than_a_chunk(tokenizer):
    texts = [f"word {i}" for i in range(CHUNK + 3)]
    made = tokenise(tokenizer, texts, None, 8)
    assert len(made) == len(texts)
    for row in (0, CHUNK - 1, CHUNK, CHUNK + 2):
        assert made.ids(row).tolist() == tokenizer(texts[row])["input_ids"]
    assert len(tokenise(tokenizer, [], None, 8)) == 0


def test_the_model_s_own_length_is_never_passed(tokenizer):
    assert tokenizer.model_max_length == 512
    assert tokenise(tokenizer, ["word " * 2000], None, 4000).lengths.tolist() == [512]


def test_the_cache_is_read_back(tokenizer, cache):
    made = cached_tokens(tokenizer, TEXTS, None, 8)
    (path,) = files(cache)
    stamp = path.stat().st_mtime_ns
    read = cached_tokens(tokenizer, TEXTS, None, 8)
    assert path.stat().st_mtime_ns == stamp and files(cache) == [path]
    assert same(made, read) and same(read, tokenise(tokenizer, TEXTS, None, 8)) and read.truncated == 1
    assert path.name == f"{cache_key(tokenizer, TEXTS, None, 8)}.arrow"


def test_the_key_is_all_that_decides_the_tokens(tokenizer):
    key = cache_key(tokenizer, TEXTS, None, 8)
    tokenizer(["x y z"], truncation=True, max_length=3, padding="max_length")
    assert cache_key(tokenizer, TEXTS, None, 8) == key, "a call changed the key"
    assert cache_key(tokenizer, TEXTS, None, 9) != key
    assert cache_key(tokenizer, TEXTS, TEXTS, 8) != key
    assert cache_key(tokenizer, TEXTS[::-1], None, 8) != key
    assert cache_key(tokenizer, TEXTS, None, 1000) == cache_key(tokenizer, TEXTS, None, 2000)
    other = AutoTokenizer.from_pretrained(tokenizer.name_or_path)
    assert cache_key(other, TEXTS, None, 8) == key
    other.add_tokens(["neologism"])
    assert cache_key(other, TEXTS, None, 8) != key


def test_spans_mark_the_tokens_that_lie_inside(tokenizer, cache):
    texts = ["ask the question, get an answer. more", "nothing here", "unbelievably"]
    spans = [[(0, 3), (18, 32)], [], [(1, 12)]]
    for made in [cached_tokens(tokenizer, texts, None, 16, spans=spans, special=False) for _ in range(2)]:
        assert made.has_targets and made.targets(0).dtype == np.int8
        marked = [np.array(tokenizer.convert_ids_to_tokens(made.ids(row)))[made.targets(row) > 0] for row in range(3)]
        assert marked[0].tolist() == ["ask", "get", "an", "answer", "."] and not len(marked[1])
        pieces = tokenizer.tokenize(texts[2])
        assert len(pieces[0]) == 2 and marked[2].tolist() == pieces[1:], "a piece that reaches out of the span is none"
    assert len(files(cache)) == 1
    assert not cached_tokens(tokenizer, texts, None, 16).has_targets


def test_spans_of_more_rows_than_a_chunk(tokenizer):
    texts = [f"word {i}" for i in range(CHUNK + 3)]
    made = cached_tokens(tokenizer, texts, None, None, spans=[[(5, 9)] if i % 2 else [] for i in range(CHUNK + 3)])
    assert [made.targets(row).sum() > 0 for row in (0, 1, CHUNK, CHUNK + 1)] == [False, True, False, True]


def test_without_a_limit_and_without_special_tokens(tokenizer):
    text = "word " * 600
    assert cached_tokens(tokenizer, [text], None, 8).lengths.tolist() == [8]
    made = cached_tokens(tokenizer, [text, "[SEP] a"], None, None, special=False)
    assert made.lengths.tolist() == [600, 2] and made.truncated == 0
    assert made.ids(1)[0] == tokenizer.sep_token_id
    assert cached_tokens(tokenizer, [text], None, 8).truncated == 1


def test_the_key_knows_spans_and_special_tokens(tokenizer):
    spans = [[(0, 1)], [], [], []]
    keys = [
        cache_key(tokenizer, TEXTS, None, 8),
        cache_key(tokenizer, TEXTS, None, None),
        cache_key(tokenizer, TEXTS, None, 8, None, False),
        cache_key(tokenizer, TEXTS, None, 8, spans),
        cache_key(tokenizer, TEXTS, None, 8, [[(0, 2)], [], [], []]),
        cache_key(tokenizer, TEXTS, None, 8, [[], [(0, 1)], [], []]),
    ]
    assert len(set(keys)) == len(keys)
    assert cache_key(tokenizer, TEXTS, None, 8, [[(0, 1)], [], [], []]) == keys[3]


@pytest.mark.parametrize("damage", ["cut", "other", "empty"])
def test_an_unreadable_file_is_made_again(tokenizer, cache, caplog, damage):
    good = cached_tokens(tokenizer, TEXTS, None, 8)
    (path,) = files(cache)
    content = path.read_bytes()
    # a new file, as the old one is mapped: cutting that would pull the pages from under it
    path.unlink()
    path.write_bytes({"cut": content[: len(content) // 2], "other": b"x" * 400, "empty": b""}[damage])
    with caplog.at_level(logging.WARNING):
        again = cached_tokens(tokenizer, TEXTS, None, 8)
    assert "made again" in caplog.text and same(good, again)
    caplog.clear()
    assert same(cached_tokens(tokenizer, TEXTS, None, 8), good) and not caplog.text


def test_a_file_of_other_rows_is_made_again(tokenizer, cache, caplog):
    cached_tokens(tokenizer, TEXTS[:2], None, 8)
    (path,) = files(cache)
    path.rename(path.with_name(f"{cache_key(tokenizer, TEXTS, None, 8)}.arrow"))
    assert len(cached_tokens(tokenizer, TEXTS, None, 8)) == 4 and "2 rows instead of 4" in caplog.text


def test_a_folder_that_cannot_be_made(tokenizer, tmp_path, monkeypatch, caplog):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NORIA_CACHE", str(tmp_path / "file"))
    assert same(cached_tokens(tokenizer, TEXTS, None, 8), tokenise(tokenizer, TEXTS, None, 8))
    assert "kept in memory" in caplog.text


def test_a_full_disk(tokenizer, cache, caplog):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        made = cached_tokens(tokenizer, TEXTS, None, 8)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert len(made) == 4 and "kept in memory" in caplog.text and files(cache) == []


def test_a_disk_that_fills_up_half_way(tokenizer, cache, caplog):
    texts = [f"word {i}" for i in range(2 * CHUNK + 3)]
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, hard))
    try:
        made = cached_tokens(tokenizer, texts, None, 8)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "kept in memory" in caplog.text and files(cache) == []
    again = cached_tokens(tokenizer, texts, None, 8)
    assert same(made, again) and files(cache)[0].stat().st_size > 400_000


def test_a_column_has_the_tokens_of_its_list(tokenizer, cache):
    texts = [f"word {i}" for i in range(CHUNK + 3)]
    column = pa.chunked_array([texts[:1500], texts[1500:]])
    assert cache_key(tokenizer, column, column, 8) == cache_key(tokenizer, texts, texts, 8)
    made = cached_tokens(tokenizer, column, None, 8)
    assert same(made, tokenise(tokenizer, texts, None, 8)) and len(files(cache)) == 1
    assert same(tokenise(tokenizer, column, column, 8), tokenise(tokenizer, texts, texts, 8))


def test_a_slow_tokenizer_is_refused():
    class Slow:
        pass

    with pytest.raises(UserError, match="Slow is not a fast one"):
        tokenise(Slow(), ["a"], None, 8)


def fill(tokenizer, start):
    start.wait(60)
    for i in range(8):
        texts = [f"text {i} {j}" for j in range(200)]
        assert same(cached_tokens(tokenizer, texts, None, 8), tokenise(tokenizer, texts, None, 8))


def overwrite(path, batches, start):
    start.wait(60)
    for _ in range(30):
        tokens.write(path, batches)


def test_two_processes_fill_one_folder(tokenizer, cache):
    fork = multiprocessing.get_context("fork")
    start = fork.Barrier(2)
    runs = [fork.Process(target=fill, args=(tokenizer, start)) for _ in range(2)]
    for run in runs:
        run.start()
    for run in runs:
        run.join(60)
    assert [run.exitcode for run in runs] == [0, 0]
    assert len(files(cache)) == 8 and all(path.suffix == ".arrow" for path in files(cache))


def test_a_reader_never_meets_half_a_file(tmp_path, caplog):
    rows = pa.array([list(range(100))] * 5000, pa.list_(pa.int32()))
    batches = [pa.RecordBatch.from_pydict({"input_ids": rows, "truncated": pa.array([False] * 5000)})]
    path = tmp_path / "tokens.arrow"
    tokens.write(path, batches)
    fork = multiprocessing.get_context("fork")
    start = fork.Barrier(3)
    runs = [fork.Process(target=overwrite, args=(path, batches, start)) for _ in range(2)]
    for run in runs:
        run.start()
    start.wait(60)
    reads = 0
    while any(run.is_alive() for run in runs):
        found = tokens.read(path, 5000)
        assert found is not None and found.ids(4999)[-1] == 99, caplog.text
        reads += 1
    assert [run.exitcode for run in runs] == [0, 0] and reads > 5
