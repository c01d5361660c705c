"""A model of tags through a turn of the wheel, and its page: places point at the right words, also in masked texts."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.serving.command import noria

from noria.feedback.store import Store
from noria.registry.registry import Registry

PEOPLE, TOWNS = ("superb", "great fun", "warm"), ("dull", "stale pepper", "quartz")  # names of another world
NEW = ("zebra", "violin")  # towns that only users know


def sentence(number: int, town: str) -> tuple[str, list[dict[str, Any]]]:
    """A text with a person, who may have an e-mail address, and a town, and the places of the two."""
    person = PEOPLE[number % len(PEOPLE)]
    mail = f" (ada{number}@example.org)" if number % 2 else ""
    text = f"\U0001f30d film {number}: {person}{mail} went to {town}!"
    start = text.index(person)
    return text, [
        {"start": start, "end": start + len(person), "type": "PER"},
        {"start": len(text) - 1 - len(town), "end": len(text) - 1, "type": "LOC"},
    ]


@pytest.fixture(scope="module")
def folder(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a first fit, `runs/first`."""
    folder = tmp_path_factory.mktemp("tags")
    rows = [sentence(n, TOWNS[n // 3 % len(TOWNS)]) for n in range(240)]
    lines = (json.dumps({"text": text, "label": spans}) for text, spans in rows)
    (folder / "rows.jsonl").write_text("\n".join(lines) + "\n")
    words = ["model=hub", f"model.name={tiny_model}", "precision=fp32", "logger=csv", "optimizer.lr=1e-2"]
    words += ["data=table", f"data.path={folder}/rows.jsonl", "data.max_length=64", "data.val_fraction=0.25"]
    words += ["task=token_classification", "trainer.max_epochs=4", "paths.run_dir=runs/first"]
    assert noria(folder, *words) == 0
    return folder


def spans(entities: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: one[name] for name in ("start", "end", "type")} for one in entities]


def test_corrections_of_masked_texts_teach_the_next_model(folder: Path, start: Callable) -> None:
    served = start(folder, ["artifact=runs/first/artifact", "logger=none"]).wait()
    wrong = 0
    with served.client() as client:
        for first in range(0, 240, 60):
            rows = [sentence(n, NEW[n // 3 % len(NEW)]) for n in range(first, first + 60)]
            asked = client.post("/predict", json={"text": [text for text, _ in rows]}).json()["predictions"]
            for (_, truth), one in zip(rows, asked, strict=True):
                wrong += spans(one["entities"]) != truth
                client.post("/feedback", json={"id": one["id"], "entities": truth}).raise_for_status()
        text, truth = rows[1]
        asked = client.post("/predict", json={"text": text}).json()["predictions"][0]
        for entities, said in (
            ([{"start": 0, "end": len(text) + 1, "type": "LOC"}], f"behind the text, which has {len(text)} characters"),
            ([{"start": 1, "end": 2, "type": "LOC"}], "covers no word"),
            ([truth[0], {**truth[0], "start": truth[0]["start"] + 1}], "share characters"),
            ([{**truth[0], "type": "ORG"}], "LOC, PER"),
            ([{**truth[0], "start": True}], "whole numbers"),
            ("PER", "a list of spans"),
        ):
            reply = client.post("/feedback", json={"id": asked["id"], "entities": entities})
            assert reply.status_code == 422 and said in reply.json()["error"]
    served.close()
    assert wrong > 100, "the users know what the model does not"
    store = Store(f"sqlite:///{folder}/feedback.db")
    kept = {one.prediction.request["text"]: one for one in store.corrections()}
    store.close()
    assert not any("@" in text for text in kept) and sum("<EMAIL>" in text for text in kept) == 120
    assert all(("masked" in one.prediction.request) == ("<EMAIL>" in text) for text, one in kept.items())

    words = ["stage.rows=50", "stage.force=true", "stage.margin=0.5", "stage.replay=60", "trainer.max_epochs=8"]
    words += ["logger=csv", "optimizer.lr=1e-2"]
    assert noria(folder, "stage=cycle", "artifact=runs/first/artifact", *words) == 0
    [path] = folder.glob("runs/cycle/*/record.json")
    record = json.loads(path.read_text())
    assert record["data"]["feedback"] == {"corrections": 240, "rows": 240, "left_out": {}}
    assert record["decision"]["promote"], record["decision"]
    judged = record["decision"]["sets"]["trusted feedback"]
    assert judged["champion"]["value"] < 0.5 and judged["challenger"]["value"] > 0.9
    drift = next(reason["said"] for reason in record["reasons"] if reason["name"] == "drift of predictions")
    assert "LOC" in drift or "PER" in drift

    champion = Registry(folder / "registry").champion()
    text, truth = sentence(301, "zebra")
    (folder / "new.txt").write_text(text + "\n")
    assert noria(folder, "stage=predict", f"artifact={champion.folder}", "input=new.txt", "stage.output=o.jsonl") == 0
    assert spans(json.loads((folder / "o.jsonl").read_text())["entities"]) == truth, "in the text as it was sent"


def test_the_page_marks_words_and_takes_corrections(folder: Path, start: Callable, browser) -> None:
    served = start(folder, ["artifact=runs/first/artifact", "logger=none", "stage.feedback=sqlite:///page.db"]).wait()
    page, failed = browser.new_page(), []
    page.on("pageerror", lambda error: failed.append(str(error)))
    page.goto(served.url)
    text, truth = sentence(7, TOWNS[0])

    def ask(text: str) -> None:
        page.get_by_label("Text", exact=True).fill(text)
        page.get_by_role("button", name="Ask").click()
        page.locator("#marked").get_by_text("film").wait_for()
        page.locator("#send:enabled").wait_for()

    def marks() -> list[str]:
        return [re.sub(r"\s+\d+ %", "", mark) for mark in page.locator("#marked mark").all_inner_texts()]

    def word(name: str) -> Any:
        return page.locator("#marked").get_by_role("option", name=name, exact=True)

    ask(text)
    assert marks() == [f"{text[one['start'] : one['end']]}{one['type']}" for one in truth]
    page.get_by_role("button", name="Right").click()
    page.get_by_text("noted as right").wait_for()

    other = f"\U0001f30d \U0001f30d film 8: warm went to {TOWNS[1]}!\nAnd a zebra violin."
    ask(other)
    word("zebra").click()  # one word, and the next one to it
    word("violin").click()
    page.get_by_label("They are").select_option("PER")
    page.get_by_role("button", name="Mark").click()
    word("stale").focus()  # by keys
    page.keyboard.press("Enter")
    page.keyboard.press("Shift+ArrowRight")
    page.get_by_role("button", name="No tag").click()
    assert "zebra violinPER" in marks() and not any("stale" in mark for mark in marks())
    page.get_by_role("button", name="Send").click()
    page.get_by_text("zebra violin (PER)").last.wait_for()
    assert not failed
    page.close()
    store = Store(f"sqlite:///{folder}/page.db")
    said = {one.prediction.request["text"]: one for one in store.corrections()}
    store.close()
    [right] = (one for text, one in said.items() if "film 7" in text)
    assert right.correct and spans(right.prediction.answer["entities"]) == truth
    found = {(other[one["start"] : one["end"]], one["type"]) for one in said[other].correction}
    assert ("zebra violin", "PER") in found and not any("stale" in words for words, _ in found)
