"""A model that writes texts through a turn of the wheel, and its page: no personal data is kept, nor in answers."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from noria.cli.main import main
from noria.feedback.store import Store

WORDS = {"two": "zwei", "dogs": "Hunde", "cats": "Katzen", "run": "laufen", "sleep": "schlafen", "here": "hier"}
NEW = {**WORDS, "dogs": "Doggen", "run": "rennen"}  # how the users say it


def pairs(count: int, words: dict[str, str], seed: int) -> list[tuple[str, str]]:
    """Texts and their translations word by word, some with an e-mail address that stays as it is."""
    draw, found = random.Random(seed), []
    for number in range(count):
        chosen = draw.choices(list(words), k=5)
        mail = f" a{number}@b.org" if number % 4 == 0 else ""
        found.append((" ".join(chosen) + mail, " ".join(words[word] for word in chosen) + mail))
    return found


def noria(folder: Path, *words: str) -> int:
    """The command line, in a folder."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        return main([*words, "precision=fp32", "logger=csv"])
    finally:
        os.chdir(before)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a first fit, `runs/first`."""
    folder = tmp_path_factory.mktemp("written")
    rows = [{"source": a, "target": b} for a, b in pairs(400, WORDS, 0)]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = ["model=transformer", "model.d_model=32", "model.num_heads=2", "model.d_ff=64", "model.dropout=0.0"]
    words += ["model.num_encoder_layers=1", "model.num_decoder_layers=1", "model.vocabulary.size=400"]
    words += ["task=seq2seq", "data=parallel", "data.path=rows.jsonl", "data.max_length=32", "data.batch_size=16"]
    words += ["task.generation.num_beams=2", "task.generation.max_new_tokens=24", "trainer.max_epochs=12"]
    assert noria(folder, *words, "optimizer.lr=5e-3", "paths.run_dir=runs/first") == 0
    return folder


def test_corrections_teach_the_next_model_and_hold_no_address(folder: Path, start: Callable) -> None:
    served = start(folder, ["artifact=runs/first/artifact", "logger=none"]).wait()
    rows = pairs(240, NEW, 1)
    with served.client() as client:
        for first in range(0, 240, 60):
            some = rows[first : first + 60]
            asked = client.post("/predict", json={"text": [text for text, _ in some]}).json()["predictions"]
            assert all({"response", "score", "truncated"} < {*one} for one in asked)
            for (_, truth), one in zip(some, asked, strict=True):
                client.post("/feedback", json={"id": one["id"], "response": truth}).raise_for_status()
        for wrong in ("", 3, ["a"]):
            reply = client.post("/feedback", json={"id": asked[0]["id"], "response": wrong})
            assert reply.status_code == 422 and "response" in reply.json()["error"]
    served.close()
    store = Store(f"sqlite:///{folder}/feedback.db")
    kept = list(store.corrections())
    store.close()
    assert len(kept) == 240
    said = [json.dumps([one.prediction.request, one.prediction.answer, one.correction]) for one in kept]
    assert not any("@" in text for text in said) and sum("<EMAIL>" in text for text in said) == 60

    words = ["stage.rows=50", "stage.force=true", "stage.margin=0.5", "stage.replay=60", "trainer.max_epochs=12"]
    assert noria(folder, "stage=cycle", "artifact=runs/first/artifact", *words, "optimizer.lr=3e-3") == 0
    [path] = folder.glob("runs/cycle/*/record.json")
    record = json.loads(path.read_text())
    assert record["data"]["feedback"]["corrections"] == 240
    judged = record["decision"]["sets"]["trusted feedback"]
    assert judged["challenger"]["value"] > judged["champion"]["value"] + 0.05


def test_a_server_that_keeps_no_texts_keeps_none_in_answers(folder: Path, start: Callable) -> None:
    words = ["artifact=runs/first/artifact", "logger=none", "stage.keep_texts=false", "stage.feedback=sqlite:///no.db"]
    served = start(folder, words).wait()
    with served.client() as client:
        (one,) = client.post("/predict", json={"text": "two dogs run"}).json()["predictions"]
        assert one["response"]
        reply = client.post("/feedback", json={"id": one["id"], "response": "zwei Hunde"})
        assert reply.status_code == 422 and "keeps no texts" in reply.json()["error"]
        client.post("/feedback", json={"id": one["id"], "verdict": "wrong"}).raise_for_status()
    served.close()
    store = Store(f"sqlite:///{folder}/no.db")
    (kept,) = store.corrections()
    store.close()
    assert kept.prediction.request is None and kept.prediction.answer["response"] == "" and not kept.correct


def test_the_page_shows_the_answer_and_takes_another(folder: Path, start: Callable, browser) -> None:
    served = start(folder, ["artifact=runs/first/artifact", "logger=none", "stage.feedback=sqlite:///page.db"]).wait()
    page, failed = browser.new_page(), []
    page.on("pageerror", lambda error: failed.append(str(error)))
    page.goto(served.url)
    page.get_by_label("Text", exact=True).fill("two dogs sleep")
    page.get_by_role("button", name="Ask").click()
    page.locator("#send:enabled").wait_for()
    shown = page.locator("#response").inner_text()
    assert shown and page.get_by_label("It should be").input_value() == shown
    page.get_by_label("It should be").fill("zwei Doggen schlafen")
    page.get_by_role("button", name="Send").click()
    page.get_by_text("zwei Doggen schlafen").last.wait_for()
    served.close()
    store = Store(f"sqlite:///{folder}/page.db")
    (kept,) = store.corrections()
    store.close()
    assert kept.correction == "zwei Doggen schlafen" and not failed
