"""Collections in BEIR's and SMART's formats, TREC's judgements, and what is wrong with some."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from noria.common.errors import UserError
from noria.data.collection.collection import Document, collected
from noria.data.collection.qrels import read_qrels
from noria.data.collection.read import read_collection

CORPUS = [
    {"_id": "d1", "title": "Wings", "text": "Wings carry."},
    {"_id": "d2", "title": "Heat", "text": "It flows."},
    {"_id": "d3", "text": ""},
]
QUERIES = [{"_id": "q1", "text": "what carries?"}, {"_id": "q2", "text": "heat"}, {"_id": "q3", "text": "of train"}]


def lines(rows: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def beir(folder: Path, corpus: Any = CORPUS, queries: Any = QUERIES, qrels: str = "") -> Path:
    (folder / "qrels").mkdir(parents=True)
    (folder / "corpus.jsonl.gz").write_bytes(gzip.compress(lines(corpus).encode()))
    (folder / "queries.jsonl").write_text(lines(queries))
    (folder / "qrels/test.tsv").write_text(qrels or "query-id\tcorpus-id\tscore\nq1\td1\t2\nq1\td2\t0\nq2\td2\t1\n")
    return folder


def test_a_folder_of_beir(tmp_path: Path) -> None:
    found = read_collection(beir(tmp_path / "all"))
    assert [one.id for one in found.documents] == ["d1", "d2", "d3"]
    assert [one.content for one in found.documents] == ["Wings carry.", "Heat\nIt flows.", ""]
    assert [(one.id, one.text) for one in found.queries] == [("q1", "what carries?"), ("q2", "heat")]
    assert found.judged == {"q1": {"d1": 2}, "q2": {"d2": 1}} and not found.left_out


def test_what_is_judged_and_not_there_is_counted(tmp_path: Path) -> None:
    found = read_collection(beir(tmp_path / "all", qrels="q1 0 d1 1\nq1 0 d9 1\nq9 0 d1 1\nq2 0 d1 0\n"))
    assert found.judged == {"q1": {"d1": 1}}
    assert found.left_out == {
        "judgements of an unknown document": 1,
        "judgements of an unknown query": 1,
        "queries to which nothing is relevant": 1,
    }


def test_judgements_of_trec(tmp_path: Path) -> None:
    (tmp_path / "qrels.txt").write_text("301 0 FBIS3-1 1\n\n301 Q0 FBIS3-2 -1\n")
    assert list(read_qrels(tmp_path / "qrels.txt")) == [("301", "FBIS3-1", 1), ("301", "FBIS3-2", -1)]
    (tmp_path / "qrels.txt").write_text("301 0 FBIS3-1 1\n301 FBIS3-2\n")
    with pytest.raises(UserError, match=r"qrels.txt', line 2: 2 values, but a judgement has three"):
        list(read_qrels(tmp_path / "qrels.txt"))
    (tmp_path / "qrels.txt").write_text("301 FBIS3-2 good\n")
    with pytest.raises(UserError, match=r"line 1: the grade is 'good', which is no number"):
        list(read_qrels(tmp_path / "qrels.txt"))


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"corpus": [*CORPUS, CORPUS[0]]}, "2 documents have the id 'd1'"),
        ({"queries": [*QUERIES, QUERIES[0]]}, "2 queries have the id 'q1'"),
        ({"corpus": [{"_id": "d1", "text": 3}]}, r"corpus.jsonl.gz', line 1: 'text' is 3, but must be a text"),
        ({"qrels": "q1 d1 0\n"}, "no document is judged to be relevant to any of the 1 queries"),
        ({"qrels": "q1 d1 1\nq1 d1 2\n"}, "'d1' is judged twice for the query 'q1'"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, changed: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        read_collection(beir(tmp_path / "all", **changed))


def test_folders_that_are_no_collection(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="There is no folder"):
        read_collection(tmp_path / "none")
    with pytest.raises(UserError, match=r"holds no collection: neither corpus.jsonl"):
        read_collection(tmp_path)
    with pytest.raises(UserError, match=r"There is no '.*dev.tsv'. Did you mean 'test'\?|There is no '.*dev.tsv'"):
        read_collection(beir(tmp_path / "all"), split="dev")


def smart(folder: Path, qrels: str) -> Path:
    folder.mkdir()
    (folder / "x.all.2").write_text(
        ".I 1\n.T\na wing\nin flight .\n.A\nsomebody\n.W\na wing\nin flight .\nit is\n.I am no record\n.I 2\n.T\n.W\n"
    )
    (folder / "x.qry").write_text(".I 001\n.W\nwhat flies\n.I 004\n.W\nwhat is\nhot\n")
    (folder / "xqrel").write_text(qrels)
    return folder


def test_files_of_smart_number_queries_by_their_order_and_have_one_as_the_best_grade(tmp_path: Path) -> None:
    found = read_collection(smart(tmp_path / "all", "1 1 1 \n1 2 -1\n2 1 4\n2 2 5\n"))
    assert found.documents == [
        Document("1", "a wing in flight .", "a wing in flight . it is .I am no record"),
        Document("2", "", ""),
    ]
    assert found.documents[0].content == found.documents[0].text, "its title is not said twice"
    assert [(one.id, one.text) for one in found.queries] == [("1", "what flies"), ("2", "what is hot")]
    assert found.judged == {"1": {"1": 4}, "2": {"1": 1}}


def test_files_of_smart_without_grades(tmp_path: Path) -> None:
    found = read_collection(smart(tmp_path / "all", "1 1 0 0.000\n2 2 0 0.000\n"))
    assert found.judged == {"1": {"1": 1}, "2": {"2": 1}}
    with pytest.raises(UserError, match=r"judges a query 3, but 'x.qry' has 2: judgements number the queries by"):
        read_collection(smart(tmp_path / "more", "3 1 0\n"))


def test_cranfield(shared_data: Callable[[str], Path]) -> None:
    found = read_collection(shared_data("cranfield"))
    assert (len(found.documents), len(found.queries)) == (1400, 225)
    grades = [grade for own in found.judged.values() for grade in own.values()]
    assert {grade: grades.count(grade) for grade in set(grades)} == {4: 128, 3: 387, 2: 734, 1: 363}


def test_no_documents() -> None:
    with pytest.raises(UserError, match="it holds no document"):
        collected([], [], [], "it")
