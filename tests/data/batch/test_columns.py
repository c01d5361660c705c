from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from noria.common.errors import UserError
from noria.data.batch.columns import Column, Columns, cached_columns, read, write
from noria.data.batch.encoded import encode_texts, fingerprint

LENGTHS = np.array([2, 0, 3, 1])


def parts() -> Iterator[Columns]:
    """Four examples in two parts: a vector each, and a number of values."""
    whole, each = np.arange(8, dtype=np.float16).reshape(4, 2), np.arange(12, dtype=np.int32).reshape(6, 2)
    yield {"dense": Column(whole[:2]), "ragged": Column(each[:2], LENGTHS[:2])}
    yield {"dense": Column(whole[2:]), "ragged": Column(each[2:], LENGTHS[2:])}


def test_what_was_written_is_read(tmp_path: Path) -> None:
    write(tmp_path / "made", parts())
    found = read(tmp_path / "made", 4)
    assert found is not None and set(found) == {"dense", "ragged"}
    assert found["dense"].values.dtype == np.float16 and isinstance(found["dense"].values, np.memmap)
    assert found["dense"].take(np.array([3, 0])).tolist() == [[6, 7], [0, 1]]
    assert found["ragged"].take(np.array([2, 1, 0])).tolist() == [[4, 5], [6, 7], [8, 9], [0, 1], [2, 3]]
    assert read(tmp_path / "made", 5) is None and read(tmp_path / "nothing", 4) is None
    assert [path.name for path in tmp_path.iterdir()] == ["made"]


def test_a_filler_has_no_values(tmp_path: Path) -> None:
    write(tmp_path / "made", parts())
    found = read(tmp_path / "made", 4)
    assert found is not None
    assert found["ragged"].take(np.array([-1 - 2])).shape == (0, 2) and found["dense"].take(np.array([-3])).shape == (
        1,
        2,
    )


def test_a_batch_holds_them(tokenizer) -> None:
    rows = encode_texts(tokenizer, ["a", "b c", "d e f"], None, 8)
    rows.columns = {"more": Column(np.array([[1.0], [2.0], [3.0]], np.float32))}
    assert torch.equal(rows[[2, 0]]["more"], torch.tensor([[3.0], [1.0]]))


def test_a_fingerprint_is_of_all_tokens(tokenizer) -> None:
    texts = [f"word {number}" for number in range(600)]
    one, same, other = (encode_texts(tokenizer, given, None, 8) for given in (texts, texts, [*texts[:-1], "word x"]))
    assert fingerprint(one) == fingerprint(same) != fingerprint(other)


def test_half_of_it_is_never_seen(tmp_path: Path) -> None:
    def broken() -> Iterator[Columns]:
        yield next(parts())
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "made", broken())
    assert not list(tmp_path.iterdir())


def test_it_is_made_once(cache: Path) -> None:
    asked = []

    def make() -> Iterator[Columns]:
        asked.append(1)
        return parts()

    threads = [threading.Thread(target=cached_columns, args=("once", 4, make)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(asked) == 1 and len(cached_columns("once", 4, make)["dense"]) == 4 and len(asked) == 1


def test_processes_wait_for_the_one_that_makes_it(cache: Path, tmp_path: Path) -> None:
    made = tmp_path / "made"
    made.mkdir()

    def ask() -> None:
        def make() -> Iterator[Columns]:
            (made / f"{os.getpid()}").touch()
            return parts()

        cached_columns("shared", 4, make)

    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=ask) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert len(list(made.iterdir())) == 1


def test_a_folder_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("NORIA_CACHE", str(tmp_path / "file"))
    with pytest.raises(UserError, match=r"cannot be written.*NORIA_CACHE"):
        cached_columns("nowhere", 4, parts)
