"""A served index: found by POST /search and on its page, answered by what stands beside it, judged by people."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.serving.command import noria

from noria.feedback.store import Store
from noria.registry.registry import Registry

TOWNS = ("dull", "stale pepper", "quartz")


@pytest.fixture(scope="module")
def folder(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `index`: documents, a model that answers questions and one that orders pairs beside them."""
    folder = tmp_path_factory.mktemp("search")
    texts = [f"film number{n} \U0001f30d: warm went to {TOWNS[n % 3]}!" for n in range(60)]
    documents = [{"id": f"d{n}", "text": text, "year": 1950 + n % 3} for n, text in enumerate(texts)]
    (folder / "docs.jsonl").write_text("".join(json.dumps(one) + "\n" for one in documents))
    paragraphs = [
        {"context": text, "qas": [{"question": "where to", "id": str(n), "answers": [
            {"text": TOWNS[n % 3], "answer_start": text.index(TOWNS[n % 3])}]}]}
        for n, text in enumerate(texts)
    ]  # fmt: skip
    (folder / "rows.json").write_text(json.dumps({"data": [{"title": "films", "paragraphs": paragraphs}]}))
    pairs = [f"where to\t{text}\t{'yes' if n % 3 == 2 else 'no'}" for n, text in enumerate(texts)]
    (folder / "pairs.tsv").write_text("\n".join(["query\tpassage\tlabel", *pairs]) + "\n")
    model = ["model=hub", f"model.name={tiny_model}", "precision=fp32", "logger=csv", "data.max_length=64"]
    fit = [*model, "optimizer.lr=1e-2", "trainer.max_epochs=20", "data.val_fraction=0.2", "data.test_fraction=0"]
    reads = ["task=question_answering", "data=squad", "data.path=rows.json", "data.split_by=passage"]
    assert noria(folder, *fit, *reads, "paths.run_dir=reads") == 0
    orders = ["data=table", "data.path=pairs.tsv", "data.text=[query,passage]", "metric=[accuracy]"]
    assert noria(folder, *fit, *orders, "paths.run_dir=orders") == 0
    beside = ["stage.reader=reads/artifact", "stage.reranker=orders/artifact"]
    words = ["stage=index", "task=embedding", *model[:4], "stage.documents=docs.jsonl", "stage.output=index"]
    assert noria(folder, *words, *beside, "paths.run_dir=made") == 0
    return folder


def test_queries_are_answered_and_judged(folder: Path, start: Callable) -> None:
    served = start(folder, ["artifact=index", "logger=none"]).wait()
    with served.client() as client:
        assert client.get("/info").json()["kind"] == "search"
        asked = client.post("/search", json={"query": "where to"}).json()["predictions"][0]
        assert len(asked["hits"]) == 10 and asked["truncated"] is False
        assert all("quartz" in hit["passage"] for hit in asked["hits"]), "the model of pairs puts these first"
        answer = asked["answer"]
        text = next(hit["passage"] for hit in asked["hits"] if hit["id"] == answer["document"])
        assert answer["answer"] == text[answer["start"] : answer["end"]] == "quartz"
        more = {"query": "number7", "count": 3, "filters": {"year": [1950, 1951]}, "mode": "lexical"}
        few = client.post("/predict", json={"query": [more, "film"]}).json()["predictions"]
        assert [hit["id"] for hit in few[0]["hits"]] == ["d7"] and len(few[1]["hits"]) == 10
        for wrong, said in (
            ({"query": {"query": "a", "many": 3}}, "may have count, filters, mode, query"),
            ({"query": {"query": "a", "count": 0}}, "from 1 to 100"),
            ({"query": {"query": "a", "mode": "best"}}, "one of hybrid, lexical, dense"),
            ({"query": {"filters": {}}}, "query must be a string"),
            ({"query": {"query": "a", "filters": {"yaer": 1950}}}, "no document has 'yaer'. Did you mean 'year'"),
            ({"query": {"query": "a", "filters": {"year": ["x"]}}}, "'year' holds int64"),
            ({"text": "a"}, '{"query": "how does'),
        ):
            reply = client.post("/search", json=wrong)
            assert reply.status_code == 422 and said in reply.json()["error"], reply.text
        right = asked["hits"][4]["id"]
        assert client.post("/feedback", json={"id": asked["id"], "document": right}).status_code == 200
        assert client.post("/feedback", json={"id": asked["id"], "document": "nobody"}).status_code == 422
        paths = client.get("/openapi.json").json()["paths"]
        assert paths["/search"]["post"]["requestBody"] == paths["/predict"]["post"]["requestBody"]
    served.close()
    store = Store(f"sqlite:///{folder}/feedback.db")
    [said] = [one for one in store.corrections() if one.correction]
    store.close()
    assert said.correction == right and not said.correct
    assert said.prediction.request == {"text": "where to"}


def test_searches_that_were_judged_teach_the_next_model(folder: Path, start: Callable) -> None:
    towns = ("dull", "quartz", "violin", "opal", "pepper", "amber", "velvet", "copper", "linen", "cedar")
    asked = [(f"code{n % 10} {chr(97 + n % 26)}{chr(97 + n // 26)}", f"d{n % 10}") for n in range(200)]
    (folder / "t.jsonl").write_text("".join(json.dumps({"id": f"d{n}", "text": town}) + "\n"
                                            for n, town in enumerate(towns)))  # fmt: skip
    pairs = [{"query": f"{town} {n}", "document": town} for n in range(12) for town in towns]
    (folder / "pairs.jsonl").write_text("".join(json.dumps(one) + "\n" for one in pairs))
    words = ["task=embedding", "data=pairs", "data.path=pairs.jsonl", "data.batch_size=20", "data.max_length=32"]
    model = ["model=hub", "model.name=reads/artifact", "precision=fp32", "logger=csv", "optimizer.lr=1e-3"]
    assert noria(folder, *words, *model, "trainer.max_epochs=1", "paths.run_dir=first") == 0
    making = ["stage=index", "stage.documents=t.jsonl", "stage.mode=dense", "stage.overwrite=true", "logger=csv"]
    assert noria(folder, *making, "artifact=first/artifact", "stage.output=towns", "paths.run_dir=t1") == 0
    served = start(folder, ["artifact=towns", "logger=none", "stage.feedback=sqlite:///towns.db"]).wait()
    with served.client() as client:
        for first in range(0, 200, 50):
            some = asked[first : first + 50]
            answers = client.post("/search", json={"query": [query for query, _ in some]}).json()["predictions"]
            for (_, right), one in zip(some, answers, strict=True):
                client.post("/feedback", json={"id": one["id"], "document": right}).raise_for_status()
    served.close()
    turn = ["stage=cycle", "artifact=first/artifact", "stage.feedback=sqlite:///towns.db", "stage.registry=search"]
    how = ["logger=csv", "stage.rows=50", "stage.margin=0.5", "stage.replay=60", "trainer.max_epochs=20"]
    assert noria(folder, *turn, *how, "optimizer.lr=1e-3", "paths.run_dir=turned") == 0
    record = json.loads((folder / "turned/record.json").read_text())
    assert record["decision"]["promote"], record["decision"]
    judged = record["decision"]["sets"]["trusted feedback"]
    assert judged["challenger"]["value"] > judged["champion"]["value"] + 0.2
    champion = Registry(folder / "search").champion()
    assert noria(folder, *making, f"artifact={champion.folder}", "stage.output=towns", "paths.run_dir=t2") == 0
    (folder / "q.txt").write_text("code3 zz\n")
    assert noria(folder, "stage=predict", "artifact=towns", "input=q.txt", "stage.output=hits.jsonl") == 0
    assert json.loads((folder / "hits.jsonl").read_text())["hits"][0]["id"] == "d3"


def test_the_page_shows_what_was_found(folder: Path, start: Callable, browser) -> None:
    served = start(folder, ["artifact=index", "logger=none", "stage.feedback=sqlite:///page.db"]).wait()
    page, failed = browser.new_page(), []
    page.on("pageerror", lambda error: failed.append(str(error)))
    page.goto(served.url)
    page.get_by_label("Search", exact=True).fill("where to")
    page.get_by_role("button", name="Ask").click()
    page.locator("#hits li").first.wait_for()
    assert page.locator("#hits li").count() == 10 and page.locator("#found").inner_text() == "quartz"
    assert page.locator("#hits mark").first.inner_text() == "quartz"
    page.get_by_label("The right one is").select_option(index=3)
    page.get_by_role("button", name="Send").click()
    page.get_by_text("noted that it should be 4. d").wait_for()
    assert not failed
    page.close()
