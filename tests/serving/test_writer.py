from __future__ import annotations

import asyncio
import sqlite3
import uuid
from datetime import UTC, datetime

import pytest

from noria.feedback.store import Prediction, Store, StoreDown, UnknownPrediction
from noria.serving.bodies import Verdict
from noria.serving.writer import Writer


@pytest.fixture
def store(tmp_path):
    store = Store(f"sqlite:///{tmp_path / 'feedback.db'}")
    yield store
    store.close()


def prediction() -> Prediction:
    shares = {"bad": 0.1, "good": 0.9}
    return Prediction(uuid.uuid4().hex, "0001", "fun", "good", shares, 1.0, "alice", datetime.now(UTC))


def test_what_has_returned_is_in_the_store(store):
    async def many() -> None:
        writer = Writer(store)

        async def one(number: int) -> None:
            row = prediction()
            await writer.add([row, prediction()])
            assert await writer.say(Verdict(row.id, number % 2 == 0, None), "bob")

        await asyncio.gather(*(one(number) for number in range(40)))
        writer.close()

    asyncio.run(many())
    counts = store.counts()
    assert (counts["predictions"], counts["feedback"]) == (80, 40)


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
        said = [await writer.say(Verdict(row.id, False, "good"), "bob")]
        said.append(await writer.say(Verdict(row.id, True, None), "bob"))
        with pytest.raises(UnknownPrediction):
            await writer.say(Verdict("0" * 32, False, "good"), "bob")
        writer.close()
        return said

    assert asyncio.run(say()) == [True, False]
    (row,) = store.corrections()
    assert row.correct and row.label == "good"


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
