"""Pairs of texts out of files: two parallel text files, a table, or a translation memory. Knows no language."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any, ClassVar

from noria.common.errors import UserError
from noria.data.pairs import PairData
from noria.data.rows.pairs import TRANSLATION, Pair, from_pairs, lead, pair_of
from noria.data.rows.rows import Rows
from noria.data.source.files import read_rows
from noria.data.source.opening import PACKED, ending, find, lines_of, open_bytes
from noria.data.source.tmx import read_tmx


class ParallelData(PairData):
    """A file, or two, for train and, where given, for val and for test; the others are cut from train.

    What `path` names decides how it is read: a table (.tsv, .csv, .jsonl, .json, .parquet) has columns named `source`
    and `target`, or a column `translation` with both in it; a .tmx file has texts in these languages; anything else is
    the common part of two text files with a text a line, as Moses has them: `train` with source=en and target=de is
    train.en and train.de.

    Args:
        source: the column, or the language, of what is read.
        target: of what it should become. In a table it may hold a list of texts: the first is learnt from, all of them
            are references. A source that is a list of sentences is joined by blanks.
    """

    ends: ClassVar[tuple[str, ...]] = ("source", "target")  # keys by which the files end that `path` may stand for

    def __init__(
        self,
        *,
        path: str,
        val_path: str | None = None,
        test_path: str | None = None,
        source: str = "source",
        target: str = "target",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.paths = {"train": path, "val": val_path, "test": test_path}
        self.source, self.target = source, target

    def read(self) -> dict[str, Rows]:
        names = (self.source, self.target, self.baselines)
        return {split: read_pairs(path, *names) for split, path in self.paths.items() if path}


def read_pairs(path: str, source: str, target: str, others: Sequence[str] = ()) -> Rows:
    """The rows of what `path` names, as `ParallelData` says.

    Raises:
        UserError: it cannot be read, or holds no pairs of these.
    """
    place = Path(path).expanduser()
    if two := _two_files(place, source, target):
        return from_pairs(_lines(*two), place.name, f"{two[0]} and {two[1].name}")
    if ending(place) == ".tmx":
        return from_pairs(read_tmx(find(place), source, target), place.name, path)
    if not place.exists() and not place.suffix:
        raise UserError(
            f"There is no file '{path}', and no pair of files '{path}.{source}' and '{path}.{target}'. "
            "data.source and data.target name the ends of such a pair, or the columns of a table."
        )
    return from_pairs(_table(place, source, target, others), place.name, path)


def _two_files(place: Path, source: str, target: str) -> tuple[Path, Path] | None:
    """The two text files of which a path is the common part."""
    for packed in ("", *PACKED):
        both = [place.with_name(f"{place.name}.{name}{packed}") for name in (source, target)]
        there = [file.is_file() for file in both]
        if all(there):
            return both[0], both[1]
        if any(there):
            lacking, other = both[there.index(False)], both[there.index(True)]
            raise UserError(f"There is '{other}', but no '{lacking.name}' beside it.")
    return None


def _lines(source: Path, target: Path) -> Iterator[Pair]:
    """The lines of two files side by side.

    Raises:
        UserError: one has more lines than the other.
    """
    counts = [0, 0]
    with open_bytes(source) as first, open_bytes(target) as second:
        sides = [lines_of(file, f"'{name}'", newlines=True) for file, name in ((first, source), (second, target))]
        for number, texts in enumerate(zip_longest(*sides), 1):
            counts = [number if text is not None else count for text, count in zip(texts, counts, strict=True)]
            if counts[0] == counts[1]:
                yield number, texts[0], [texts[1]], [lead(texts[0])]
    if counts[0] != counts[1]:
        raise UserError(
            f"'{source}' has {counts[0]:,} lines and '{target.name}' has {counts[1]:,}: line by line they would not be "
            "translations of each other. Both files must have as many lines."
        )


def _table(place: Path, source: str, target: str, others: Sequence[str]) -> Iterator[Pair]:
    found: Sequence[str] = [source, target, TRANSLATION]
    for number, (where, row) in enumerate(read_rows(place, [], found), 1):
        yield number, *pair_of(row, source, target, others, where)
