from __future__ import annotations

import asyncio
import dataclasses
import sqlite3
import threading
import uuid
from datetime import UTC, datetime

import pytest
from tests.conftest import FORM

from noria.common.errors import UserError
from noria.feedback.scrub import Span, personal
from noria.feedback.store import Prediction, Store, StoreDown, UnknownPrediction
from noria.serving.bodies import Verdict
from noria.serving.writer import Writer
from noria.task.text_classification.form import TextClassificationForm

SERVICE = TextClassificationForm("single_label", ["bad", "good"]).service()


def text_of(row: Prediction) -> str | None:
    return None if row.request is None else row.request["text"]


@pytest.fixture
def store(tmp_path):
    store = Store(f"sqlite:///{tmp_path / 'feedback.db'}")
    yield store
    store.close()


def prediction(text: str = "fun") -> Prediction:
    answer = {"label": "good", "probabilities": {"bad": 0.1, "good": 0.9}}
    return Prediction(uuid.uuid4().hex, "0001", FORM, {"text": text}, answer, 1.0, "alice", datetime.now(UTC))


def test_what_has_returned_is_in_the_store(store):
    async def many() -> None:
        writer = Writer(store)

        async def one(number: int) -> None:
            row = prediction()
            await writer.add([row, prediction()])
            assert await writer.say(Verdict(row.id, number % 2 == 0, None), "bob", FORM, SERVICE)

        await asyncio.gather(*(one(number) for number in range(40)))
        writer.close()

    asyncio.run(many())
    counts = store.counts()
    assert (counts["predictions"], counts["feedback"]) == (80, 40)


def test_what_a_model_of_another_kind_has_answered_is_not_judged_by_this_one(store):
    async def one() -> None:
        writer = Writer(store)
        row = dataclasses.replace(prediction(), form="another.form", answer={"entities": []})
        await writer.add([row])
        for verdict in (Verdict(row.id, True, None), Verdict(row.id, False, "good")):
            with pytest.raises(UserError, match="another kind"):
                await writer.say(verdict, "bob", FORM, SERVICE)
        writer.close()

    asyncio.run(one())
    assert store.counts()["feedback"] == 0


def test_what_waits_goes_into_one_transaction(store, monkeypatch):
    sizes = []
    add = store.add_predictions
    monkeypatch.setattr(store, "add_predictions", lambda rows: (sizes.append(len(rows)), add(rows)))

    async def many() -> None:
        writer = Writer(store)
        await asyncio.gather(*(writer.add([prediction()]) for _ in range(50)))
        writer.close()

    asyncio.run(many())
    assert sum(sizes) == 50 and len(sizes) < 10


def test_a_label_that_was_predicted_means_right(store):
    async def say() -> list[bool]:
        writer, row = Writer(store), prediction()
        await writer.add([row])
        said = [await writer.say(Verdict(row.id, False, "good"), "bob", FORM, SERVICE)]
        said.append(await writer.say(Verdict(row.id, True, None), "bob", FORM, SERVICE))
        with pytest.raises(UnknownPrediction):
            await writer.say(Verdict("0" * 32, False, "good"), "bob", FORM, SERVICE)
        writer.close()
        return said

    assert asyncio.run(say()) == [True, False]
    (row,) = store.corrections()
    assert row.correct and row.correction is None


def test_of_two_labels_wrong_means_the_other_one_and_of_three_it_is_kept_alone(store):
    three = {"label": "good", "probabilities": {"bad": 0.1, "fair": 0.2, "good": 0.7}}
    several = {"label": ["good"], "probabilities": {"good": 0.9}}
    rows = [prediction(), *(dataclasses.replace(prediction(), answer=answer) for answer in (three, several))]

    async def say() -> None:
        writer = Writer(store)
        await writer.add(rows)
        for row in rows:
            await writer.say(Verdict(row.id, False, None), "bob", FORM, SERVICE)
        writer.close()

    asyncio.run(say())
    assert [(row.correction, row.correct) for row in store.corrections()] == [
        ("bad", False), (None, False), (None, False),
    ]  # fmt: skip


def test_a_database_that_is_gone_is_said_once_and_that_it_is_back(store, tmp_path, caplog):
    async def run() -> list[Prediction]:
        writer, kept = Writer(store), [prediction()]
        await writer.add(kept)
        (tmp_path / "feedback.db").rename(tmp_path / "elsewhere.db")
        for _ in range(5):
            with pytest.raises(StoreDown, match="not there any more"):
                await writer.add([prediction()])
            with pytest.raises(StoreDown, match="not there any more"):
                await writer.say(Verdict(kept[0].id, True, None), "bob", FORM, SERVICE)
        (tmp_path / "elsewhere.db").rename(tmp_path / "feedback.db")
        for _ in range(3):
            kept.append(prediction())
            await writer.add(kept[-1:])
        writer.close()
        return kept

    kept = asyncio.run(run())
    assert {row.id for row in store.predictions()} == {row.id for row in kept}
    said = [record.getMessage() for record in caplog.records if record.name == "noria.serving.writer"]
    assert len(said) == 2 and "503: The feedback store" in said[0] and said[1] == "The store works again."


def test_a_store_that_fails_is_told_and_works_again(store, tmp_path):
    def rename(before: str, after: str) -> None:
        with sqlite3.connect(tmp_path / "feedback.db") as database:
            database.execute(f"ALTER TABLE {before} RENAME TO {after}")
        database.close()

    async def try_it() -> None:
        writer = Writer(store)
        await writer.add([prediction()])
        rename("predictions", "elsewhere")
        with pytest.raises(StoreDown):
            await writer.add([prediction()])
        rename("elsewhere", "predictions")
        await writer.add([prediction()])
        writer.close()

    asyncio.run(try_it())
    assert store.counts()["predictions"] == 2


def test_closing_writes_what_waits(store):
    async def leave() -> None:
        writer = Writer(store)
        waiting = [asyncio.ensure_future(writer.add([prediction()])) for _ in range(5)]
        await asyncio.sleep(0)
        await asyncio.to_thread(writer.close)
        await asyncio.gather(*waiting)

    asyncio.run(leave())
    assert store.counts()["predictions"] == 5


def test_texts_are_scrubbed_while_the_loop_goes_on(tmp_path):
    """Each search through a window lets other threads run: the loop turns while one long text is read. (It would turn
    once or twice if one search kept the other threads waiting; how often it does turn depends on the machine.)"""
    store = Store(f"sqlite:///{tmp_path / 'feedback.db'}", scrub=None)
    writer = Writer(store, personal)
    text = "call +1 984 182 0190 or " + "1234 " * 25_000

    async def count() -> int:
        turns = 0
        adding = asyncio.ensure_future(writer.add([prediction(text)]))
        while not adding.done():
            turns += 1
            await asyncio.sleep(0.001)
        await adding
        return turns

    assert asyncio.run(count()) > 5
    writer.close()
    [kept] = store.predictions()
    assert text_of(kept).startswith("call <PHONE> or 1234") and len(text_of(kept)) > 120_000
    store.close()


def test_a_request_of_long_texts_lets_others_have_their_turn(store):
    scrubbed = []

    def noted(text: str) -> list[Span]:
        scrubbed.append(text[:1])
        return []

    async def both() -> None:
        writer = Writer(store, noted)
        many = [prediction("a" * 1_500) for _ in range(10)]
        first = asyncio.ensure_future(writer.add(many))
        await asyncio.sleep(0)
        await writer.add([prediction("b")])
        await first
        writer.close()

    asyncio.run(both())
    assert scrubbed.index("b") < 9 and scrubbed.count("a") == 10


def test_a_short_text_does_not_wait_for_a_long_one(store):
    go = threading.Event()

    def slow(text: str) -> list[Span]:
        if len(text) > 1:
            go.wait()
        return []

    async def both() -> None:
        writer = Writer(store, slow)
        long = asyncio.ensure_future(writer.add([prediction("long " * 1000)]))
        await asyncio.sleep(0)
        for _ in range(3):
            await writer.add([prediction("s")])
        assert not long.done()
        go.set()
        await long
        writer.close()

    asyncio.run(both())
    assert store.counts()["predictions"] == 4


def test_what_nobody_waits_for_is_not_scrubbed(store):
    begun, go = threading.Event(), threading.Event()
    seen = []

    def slow(text: str) -> list[Span]:
        seen.append(text)
        begun.set()
        go.wait()
        return []

    async def leave() -> None:
        writer = Writer(store, slow)
        adding = [writer.add([prediction(name)]) for name in ("first", "second", "third")]
        tasks = [asyncio.ensure_future(each) for each in adding]
        await asyncio.to_thread(begun.wait)
        tasks[1].cancel()
        await asyncio.sleep(0)
        go.set()
        await asyncio.gather(tasks[0], tasks[2])
        writer.close()

    asyncio.run(leave())
    assert seen == ["first", "third"]


def test_a_text_that_cannot_be_kept_leaves_its_prediction(store, caplog):
    async def add() -> None:
        writer = Writer(store, lambda text: None if len(text) > 100 else [])
        for length in (200, 300, 10):
            await writer.add([prediction("a" * length)])
        writer.close()

    asyncio.run(add())
    assert [text_of(row) for row in store.predictions()] == [None, None, "a" * 10]
    assert caplog.text.count("too long to be scrubbed") == 1
