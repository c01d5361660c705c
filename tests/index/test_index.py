"""An index through the command line: made, asked, measured, changed, killed, and opened where something is missing."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from noria.artifact import bundle
from noria.index.kind import Search

DOCUMENTS = [
    {
        "id": f"d{n}",
        "title": f"wheel {n}",
        "text": f"zebra number{n} lifts water" + " and more" * (n % 5) * 20,
        "year": 1950 + n % 3,
    }
    for n in range(30)
]
ODD = [
    {"id": "empty", "title": "", "text": "", "year": None},
    {"id": "same1", "title": "", "text": "quartz on the hill", "year": 1999},
    {"id": "same2", "title": "", "text": "quartz on the hill", "year": 1999},
    {"id": "wide", "title": "", "text": "\uff36\uff49\uff4f\uff4c\uff49\uff4e", "year": 1999},
    {"id": "long", "title": "", "text": "sand " * 300 + "sapphire", "year": 2000},
]


def lines(rows: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


@pytest.fixture
def made(noria: Callable[..., int], tiny_model: Path) -> Callable[..., Path]:
    """made(*words): an index of the documents."""

    def make(*words: str) -> Path:
        Path("docs.jsonl").write_text(lines([*DOCUMENTS, *ODD]))
        base = ["stage=index", "task=embedding", "model=hub", f"model.name={tiny_model}", "stage.documents=docs.jsonl"]
        assert (
            noria(*base, "stage.passage_tokens=40", "logger=csv", "stage.output=ix", "stage.overwrite=true", *words)
            == 0
        )
        return Path("ix")

    return make


@pytest.fixture
def ask(noria: Callable[..., int]) -> Callable[..., list[list[dict[str, Any]]]]:
    """ask(index, *rows): the hits of each row."""

    def asked(index: Path, *rows: dict[str, Any]) -> list[list[dict[str, Any]]]:
        Path("q.jsonl").write_text(lines(list(rows)))
        words = ["stage.output=hits.jsonl", "stage.overwrite=true", "precision=fp32"]
        assert noria("stage=predict", f"artifact={index}", "input=q.jsonl", *words) == 0
        found = [json.loads(line) for line in Path("hits.jsonl").read_text().splitlines()]
        return [one.get("hits", one) for one in found]

    return asked


@pytest.mark.parametrize("vectors", ["fp32", "int8", "binary", "hnsw"])
def test_documents_are_found(made: Callable[..., Path], ask: Callable[..., Any], vectors: str) -> None:
    index = made(f"stage.vectors={vectors}", "stage.mode=lexical")
    queries = ["number7 water", "QUARTZ", "violin", "sapphire", "nothing like it", "water " * 300]
    found = ask(index, *({"query": query} for query in queries))
    assert found[0][0]["id"] == "d7" and found[0][0]["title"] == "wheel 7" and found[0][0]["year"] == 1951
    assert [hit["id"] for hit in found[1]] == ["same1", "same2"] and found[1][0]["score"] == found[1][1]["score"]
    assert [hit["id"] for hit in found[2]] == ["wide"], "one form of Unicode"
    assert [hit["id"] for hit in found[3]] == ["long"] and found[3][0]["passage"].endswith("sapphire")
    assert len(found[3][0]["passage"]) < 300 and found[4] == [] and len(found[5]) == 10
    (hybrid,) = ask(made(f"stage.vectors={vectors}"), {"query": "number7 water"})
    assert len(hybrid) == 10 and "d7" in [hit["id"] for hit in hybrid]


def test_filters_and_what_they_cannot_be(made: Callable[..., Path], ask: Callable[..., Any]) -> None:
    index = made()
    rows = [{"query": "water", "filters": {"year": 1951}}, {"query": "water", "filters": {"year": [1999, 2000]}}]
    first, second = ask(index, *rows)
    assert len(first) == 10 and {hit["year"] for hit in first} == {1951}
    assert {hit["id"] for hit in second} <= {"same1", "same2", "wide", "long"} and len(second) == 4
    wrong = ask(index, {"query": "a", "filters": {"yaer": 1}}, {"query": "a", "filters": {"year": "x"}}, {"query": " "})
    assert "Did you mean" in wrong[0]["error"] and "holds int64" in wrong[1]["error"] and wrong[2]["error"] == "no text"


def test_it_is_measured_and_two_searches_are_compared(
    made: Callable[..., Path], noria: Callable[..., int], tmp_path: Path
) -> None:
    index = made()
    folder = tmp_path / "judged"
    (folder / "qrels").mkdir(parents=True)
    (folder / "corpus.jsonl").write_text(lines([{"_id": one["id"], "text": one["text"]} for one in DOCUMENTS]))
    queries = [{"_id": f"q{n}", "text": f"number{n}"} for n in range(12)]
    queries.append({"_id": "d20", "text": DOCUMENTS[20]["text"]})  # it stands in the index itself
    (folder / "queries.jsonl").write_text(lines(queries))
    judged = [f"q{n}\td{n}\t1" for n in range(12)] + ["d20\td20\t2", "d20\td21\t1"]
    (folder / "qrels/test.tsv").write_text("\n".join(["query-id\tcorpus-id\tscore", *judged]) + "\n")
    words = ["stage=search", f"artifact={index}", f"stage.queries={folder}", "logger=csv"]
    words += ["metric=[ndcg,mrr,map,retrieval_recall]", "precision=fp32"]
    for mode in ("lexical", "dense"):
        assert noria(*words, f"stage.mode={mode}", f"paths.run_dir={mode}") == 0
    record = json.loads(Path("lexical/record.json").read_text())
    assert record["search"]["queries"] == record["metrics"]["test/ndcg"]["n"] == 13
    table = {row["id"]: row for row in pq.read_table("lexical/predictions.parquet").to_pylist()}
    assert all(table[f"queries:q{n}"]["above"] == [0.0] for n in range(12))
    assert len(table["queries:d20"]["grades"]) == 1, "the query is not its own result"
    Path("q.jsonl").write_text(lines([{"id": one["_id"], "query": one["text"]} for one in queries]))
    Path("qrels.txt").write_text("".join(line.replace("\t", " 0 ", 1).replace("\t", " ") + "\n" for line in judged))
    trec = [*words, "stage.queries=q.jsonl", "stage.judgements=qrels.txt", "stage.mode=lexical", "paths.run_dir=trec"]
    assert noria(*trec) == 0
    assert json.loads(Path("trec/record.json").read_text())["metrics"] == record["metrics"]
    Path("q.jsonl").write_text('{"id": "q1"}\n')
    assert noria(*trec, "paths.run_dir=broken") == 2
    runs = ["stage=compare", "stage.runs=[lexical,dense]", "stage.split=test", "stage.metric=mrr"]
    assert noria(*runs, "logger=csv", "paths.run_dir=compared") == 0
    assert json.loads(Path("compared/record.json").read_text())["comparison"]["systems"] == 2


def test_documents_come_and_go(made: Callable[..., Path], ask: Callable[..., Any], noria: Callable[..., int]) -> None:
    index = made("stage.mode=lexical")
    Path("more.jsonl").write_text(
        lines([{"id": "new", "text": "a violin"}, {"id": "d3", "title": "other", "text": "opal"}])
    )
    words = ["stage=index", f"artifact={index}", "logger=csv"]
    assert noria(*words, "stage.documents=more.jsonl", "stage.delete=[d7,same1]", "paths.run_dir=changed") == 0
    found = ask(index, *({"query": query} for query in ("number7", "quartz", "violin", "opal", "number3", "number9")))
    ids = [[hit["id"] for hit in hits] for hits in found]
    assert ids[0] == [] and ids[1] == ["same2"] and {*ids[2]} == {"wide", "new"} and ids[3] == ["d3"] and ids[4] == []
    assert found[5][0]["id"] == "d9" and found[5][0]["passage"].startswith("wheel 9\nzebra number9")
    facts = bundle.read_facts(index)
    assert facts["index"]["documents"] == 34 and facts["settings"]["shape"]["vectors"] == "fp32"
    for delete, status in (("[7]", 2), ("[d3]", 0)):
        assert noria(*words, f"stage.delete={delete}", f"paths.run_dir=r{status}") == status
    everything = ["new", *({one["id"] for one in [*DOCUMENTS, *ODD]} - {"d7", "same1", "d3"})]
    assert noria(*words, f"stage.delete=[{','.join(everything)}]", "paths.run_dir=last") == 2, "the last document stays"
    assert ask(index, {"query": "number9"})[0][0]["id"] == "d9"


def test_a_kill_leaves_the_index_of_before_or_this_one(
    made: Callable[..., Path], noria: Callable[..., int], ask: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    index = made("stage.mode=lexical")

    words = ["stage=index", f"artifact={index}", "stage.delete=[d7]", "logger=csv", "paths.run_dir=k"]

    def killed(*folders: Path) -> None:
        raise KeyboardInterrupt

    for place in ("noria.stage.index.replace_folder", "noria.index.folder.Index.save"):
        with monkeypatch.context() as patch:
            patch.setattr(place, killed)
            assert (
                noria("stage=index", f"artifact={index}", "stage.delete=[d7]", "logger=csv", "paths.run_dir=k") == 130
            )
        shutil.rmtree("k")
        assert ask(index, {"query": "number7"})[0][0]["id"] == "d7"
    assert noria(*words) == 0
    assert ask(index, {"query": "number7"})[0] == [] and not [*Path().glob(".ix.*")]


def test_what_is_no_whole_index_is_refused(
    made: Callable[..., Path], noria: Callable[..., int], capfd: pytest.CaptureFixture[str], tiny_model: Path
) -> None:
    index = made()
    assert isinstance(bundle.open_artifact(index).kind, Search)
    made("stage.output=other", "stage.passage_tokens=10")
    shutil.copy("other/index/passages.npy", "ix/index/passages.npy")
    Path("q.txt").write_text("water\n")
    assert noria("stage=predict", "artifact=ix", "input=q.txt") == 2
    assert "not of one index" in capfd.readouterr().err
    Path("ix/index/documents.arrow").unlink()
    assert noria("stage=predict", "artifact=ix", "input=q.txt") == 2
    assert "no whole index" in capfd.readouterr().err
    assert noria("stage=index", "model=hub", f"model.name={tiny_model}", "stage.documents=docs.jsonl") == 2
    assert "needs a trained model" in capfd.readouterr().err
    Path("mine").mkdir()
    Path("mine/poem.txt").write_text("keep me")
    base = ["stage=index", "task=embedding", "model=hub", f"model.name={tiny_model}", "stage.documents=docs.jsonl"]
    assert noria(*base, "stage.output=mine", "stage.overwrite=true", "logger=csv") == 2
    assert "is no index" in capfd.readouterr().err and Path("mine/poem.txt").read_text() == "keep me"
    assert noria(*base, "stage.output=other", "logger=csv") == 2
    assert "stage.overwrite=true" in capfd.readouterr().err
    assert noria("stage=search", "artifact=other", "stage.queries=nowhere", "metric=[ndcg]") == 2
    assert "no folder 'nowhere'" in capfd.readouterr().err
