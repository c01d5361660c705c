"""Pairs of texts out of parallel files, tables and translation memories."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from noria.common.errors import UserError
from noria.data.rows.pairs import trivial_answers
from noria.data.rows.rows import Rows
from noria.data.source.parallel import read_pairs


def held(rows: Rows) -> list[tuple[str, str, list[str]]]:
    return [(row["id"], row["text"], row["targets"]) for row in rows.table.to_pylist()]


def test_two_files_line_by_line(tmp_path: Path) -> None:
    (tmp_path / "rows.en").write_bytes("\ufeffOne.\r\nTwo,\u2028 three.\n\nFour\rfive\n".encode())
    (tmp_path / "rows.de").write_text("Eins.\nZwei, drei.\nNichts\n  \n")
    rows = read_pairs(str(tmp_path / "rows"), "en", "de")
    assert held(rows) == [("rows:1", "One.", ["Eins."]), ("rows:2", "Two,\u2028 three.", ["Zwei, drei."])]
    assert rows.dropped == {"no_text": 1, "no_target": 1}


def test_packed_files(tmp_path: Path) -> None:
    for end, text in (("en", "One.\n"), ("de", "Eins.\n")):
        (tmp_path / f"rows.{end}.gz").write_bytes(gzip.compress(text.encode()))
    assert held(read_pairs(str(tmp_path / "rows"), "en", "de")) == [("rows:1", "One.", ["Eins."])]


def test_files_of_unequal_length_are_refused_with_both_counts(tmp_path: Path) -> None:
    (tmp_path / "rows.en").write_text("One\nTwo\nThree\n")
    (tmp_path / "rows.de").write_text("Eins\nZwei\n")
    with pytest.raises(UserError, match=r"rows.en' has 3 lines and 'rows.de' has 2: line by line"):
        read_pairs(str(tmp_path / "rows"), "en", "de")
    with pytest.raises(UserError, match=r"rows.de' has 2 lines and 'rows.en' has 3"):
        read_pairs(str(tmp_path / "rows"), "de", "en")


def test_what_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "rows.en").write_text("One\n")
    with pytest.raises(UserError, match=r"There is '.*rows.en', but no 'rows.de' beside it"):
        read_pairs(str(tmp_path / "rows"), "en", "de")
    with pytest.raises(UserError, match=r"no pair of files '.*none.en' and '.*none.de'"):
        read_pairs(str(tmp_path / "none"), "en", "de")


TABLE = [("One.", "Eins."), ("Two.", "Zwei.")]


@pytest.mark.parametrize("name", ["rows.tsv", "rows.csv", "rows.jsonl", "rows.json"])
def test_tables(tmp_path: Path, name: str) -> None:
    separator = {"rows.tsv": "\t", "rows.csv": ","}.get(name)
    if separator:
        text = "\n".join(separator.join(row) for row in [("en", "de"), *TABLE])
    else:
        rows = [{"en": first, "de": second} for first, second in TABLE]
        text = json.dumps(rows) if name == "rows.json" else "".join(json.dumps(row) + "\n" for row in rows)
    (tmp_path / name).write_text(text)
    expected = [(f"{name}:{n}", first, [second]) for n, (first, second) in enumerate(TABLE, 1)]
    assert held(read_pairs(str(tmp_path / name), "en", "de")) == expected


def test_a_column_of_translations_sentences_and_several_references(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({"translation": {"en": "One.", "de": "Eins."}}) + "\n")
    assert held(read_pairs(str(path), "en", "de")) == [("rows.jsonl:1", "One.", ["Eins."])]
    path.write_text(json.dumps({"source": ["A long", "paper."], "target": ["Short.", "", "Brief."]}) + "\n")
    assert held(read_pairs(str(path), "source", "target")) == [("rows.jsonl:1", "A long paper.", ["Short.", "Brief."])]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"sourse": "a", "target": "b"}, "there is no column 'source'. Did you mean 'sourse'.*data.source names it"),
        ({"source": "a", "target": 3}, "the column 'target' holds 3, which is neither a text nor a list"),
        ({"source": "a", "target": [1]}, "the column 'target' holds \\[1\\]"),
        ({"source": None, "target": "b"}, "holds no pair of texts: every row was left out \\(no text: 1\\)"),
    ],
)
def test_tables_that_hold_something_else(tmp_path: Path, row: dict[str, object], message: str) -> None:
    (tmp_path / "rows.jsonl").write_text(json.dumps(row) + "\n")
    with pytest.raises(UserError, match=message):
        read_pairs(str(tmp_path / "rows.jsonl"), "source", "target")


TMX = """<?xml version="1.0"?><!DOCTYPE tmx SYSTEM "tmx14.dtd">
<tmx version="1.4"><header/><body>
<tu><tuv xml:lang="EN-US"><seg>A <bpt i="1">&lt;b&gt;</bpt>bold<ept i="1">&lt;/b&gt;</ept> <hi>word</hi>.</seg></tuv>
<tuv xml:lang="de"><seg>Ein fettes Wort.</seg></tuv></tu>
<tu><tuv xml:lang="en"><seg>Alone</seg></tuv></tu>
<tu><tuv lang="en"><seg>Old</seg></tuv><tuv lang="de_AT"><seg>Alt</seg></tuv></tu>
</body></tmx>"""


def test_translation_memories(tmp_path: Path) -> None:
    path = tmp_path / "memory.tmx"
    path.write_text(TMX)
    rows = read_pairs(str(path), "en", "de")
    assert held(rows) == [
        ("memory.tmx:1", "A bold word.", ["Ein fettes Wort."]),
        ("memory.tmx:3", "Old", ["Alt"]),
    ]
    assert rows.dropped == {"no_target": 1}
    with pytest.raises(UserError, match=r"no unit has both 'en' and 'fr'. Its languages: de, de_at, en, en-us"):
        read_pairs(str(path), "en", "fr")
    path.write_text(TMX[:200])
    with pytest.raises(UserError, match="is no readable TMX file"):
        read_pairs(str(path), "en", "de")


def test_trivial_answers_stand_beside_the_rows(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    rows = [
        {"source": ["A first.", "A second."], "target": "x", "title": "The title"},
        {"source": "One, e.g. two! Three? Four.", "target": ["y"], "title": ["In", "parts"]},
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = read_pairs(str(path), "source", "target", ["title"])
    assert trivial_answers(found, ["lead", "title"]) == {
        "copy": ["A first. A second.", "One, e.g. two! Three? Four."],
        "lead": ["A first.", "One, e.g."],  # the full stop of an abbreviation ends a sentence, too
        "title": ["The title", "In parts"],
    }
    with pytest.raises(UserError, match=r"there is no column 'tilte'.*data.baselines names it"):
        read_pairs(str(path), "source", "target", ["tilte"])
