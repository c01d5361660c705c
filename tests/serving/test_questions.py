"""A model that answers questions through a turn of the wheel, and its page: right words are selected in the passage."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.serving.command import noria

from noria.feedback.store import Store
from noria.registry.registry import Registry

PEOPLE, TOWNS = ("superb", "great fun", "warm"), ("dull", "stale pepper", "quartz")  # names of another world
WHERE, WHO = "where to", "who sang"  # the second is one that only users ask


def passage(number: int, asked: str) -> tuple[str, dict[str, int]]:
    """A text in which someone goes to a town, with an e-mail address before it in every second one, and the place of
    the answer."""
    mail = f"By ada{number}@example.org: " if number % 2 else ""
    person, town = PEOPLE[number % len(PEOPLE)], TOWNS[number // 3 % len(TOWNS)]
    text = f"\U0001f30d {mail}film {number}: {person} {'sang at' if asked == WHO else 'went to'} {town}!"
    start = text.index(person if asked == WHO else town, text.index("film"))
    return text, {"start": start, "end": start + len(person if asked == WHO else town)}


@pytest.fixture(scope="module")
def folder(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a first fit, `runs/first`."""
    folder = tmp_path_factory.mktemp("questions")
    paragraphs = []
    for number in range(240):
        text, place = passage(number, WHERE)
        answers = [{"text": text[place["start"] : place["end"]], "answer_start": place["start"]}]
        paragraphs.append({"context": text, "qas": [{"question": WHERE, "id": str(number), "answers": answers}]})
    (folder / "rows.json").write_text(json.dumps({"data": [{"title": "films", "paragraphs": paragraphs}]}))
    words = ["model=hub", f"model.name={tiny_model}", "precision=fp32", "logger=csv", "optimizer.lr=1e-2"]
    words += ["data=squad", f"data.path={folder}/rows.json", "data.max_length=64", "data.split_by=passage"]
    words += ["data.val_fraction=0.25", "task=question_answering", "trainer.max_epochs=4", "paths.run_dir=runs/first"]
    assert noria(folder, *words) == 0
    return folder


def test_corrections_of_masked_passages_teach_the_next_model(folder: Path, start: Callable) -> None:
    served = start(folder, ["artifact=runs/first/artifact", "logger=none"]).wait()
    wrong = 0
    with served.client() as client:
        for first in range(0, 240, 60):
            rows = [passage(n, WHO) for n in range(first, first + 60)]
            inputs = [{"context": text, "question": WHO} for text, _ in rows]
            asked = client.post("/predict", json={"inputs": inputs}).json()["predictions"]
            for (text, truth), one in zip(rows, asked, strict=True):
                assert one["answer"] == text[one["start"] : one["end"]]
                wrong += {name: one[name] for name in truth} != truth
                client.post("/feedback", json={"id": one["id"], "answer": truth}).raise_for_status()
        refused = client.post("/feedback", json={"id": one["id"], "answer": {"start": 0, "end": len(text) + 1}})
        assert refused.status_code == 422 and "ends behind the passage" in refused.json()["error"]
        refused = client.post("/predict", json={"inputs": "where to"})
        assert refused.status_code == 422 and '{"context": ' in refused.json()["error"]
        refused = client.post("/predict", json={"text": "where to"})
        assert refused.status_code == 422 and '{"inputs": {"context": ' in refused.json()["error"]
    served.close()
    assert wrong > 100, "the users know what the model does not"
    store = Store(f"sqlite:///{folder}/feedback.db")
    kept = [one.prediction for one in store.corrections()]
    store.close()
    assert not any("@" in json.dumps([one.request, one.answer]) for one in kept)
    assert sum("<EMAIL>" in (one.request or {})["text"] for one in kept) == 120

    words = ["stage.rows=50", "stage.force=true", "stage.margin=0.5", "stage.replay=150", "trainer.max_epochs=20"]
    assert noria(folder, "stage=cycle", "artifact=runs/first/artifact", *words, "logger=csv", "optimizer.lr=1e-2") == 0
    [path] = folder.glob("runs/cycle/*/record.json")
    record = json.loads(path.read_text())
    assert record["data"]["feedback"] == {"corrections": 240, "rows": 240, "left_out": {}}
    assert record["decision"]["promote"], record["decision"]
    judged = record["decision"]["sets"]["trusted feedback"]
    assert judged["champion"]["value"] < 0.5 and judged["challenger"]["value"] > 0.9

    champion = Registry(folder / "registry").champion()
    text, truth = passage(302, WHO)
    (folder / "new.jsonl").write_text(json.dumps({"context": text, "question": WHO, "id": 7}) + "\n")
    words = ["stage=predict", f"artifact={champion.folder}", "input=new.jsonl", "stage.output=o.jsonl"]
    assert noria(folder, *words) == 0
    found = json.loads((folder / "o.jsonl").read_text())
    assert found["id"] == 7 and found["answer"] == PEOPLE[2] and {n: found[n] for n in truth} == truth


def test_the_page_marks_the_answer_and_takes_the_right_words(folder: Path, start: Callable, browser) -> None:
    served = start(folder, ["artifact=runs/first/artifact", "logger=none", "stage.feedback=sqlite:///page.db"]).wait()
    page, failed = browser.new_page(), []
    page.on("pageerror", lambda error: failed.append(str(error)))
    page.goto(served.url)
    text, truth = passage(6, WHERE)

    def ask(text: str) -> None:
        page.get_by_label("Question", exact=True).fill(WHERE)
        page.get_by_label("Passage", exact=True).fill(text)
        page.get_by_role("button", name="Ask").click()
        page.locator("#marked").get_by_text("film").wait_for()
        page.locator("#send:enabled").wait_for()

    def word(name: str) -> Any:
        return page.locator("#marked").get_by_role("option", name=name, exact=True)

    ask(text)
    assert page.locator("#said").inner_text() == text[truth["start"] : truth["end"]] == TOWNS[2]
    assert page.locator("#marked mark").inner_text().startswith(TOWNS[2])
    page.get_by_role("button", name="Right", exact=True).click()
    page.get_by_text("noted as right").wait_for()

    other = f"\U0001f30d \U0001f30d film 8: warm went to {TOWNS[1]}!\nAnd on to zebra violin."
    ask(other)
    word("zebra").focus()  # by keys
    page.keyboard.press("Enter")
    page.keyboard.press("Shift+ArrowRight")
    page.get_by_role("button", name="Send").click()
    page.get_by_text("noted that it should be zebra violin").wait_for()
    assert not page.get_by_role("button", name="It has no answer").is_visible(), "every question of train has one"
    assert not failed
    page.close()
    store = Store(f"sqlite:///{folder}/page.db")
    said = {one.prediction.request["text"]: one for one in store.corrections()}
    store.close()
    assert said[text].correct
    correction = said[other].correction
    assert other[correction["start"] : correction["end"]] == "zebra violin"
