"""The migrations make exactly the tables that the code expects, once, and never those of a newer version."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, inspect, text

from noria.common.errors import UserError
from noria.feedback.engine import connect, parse, writing
from noria.feedback.migrate import VERSION_TABLE, alembic_config, alone
from noria.feedback.store import Prediction, Store
from noria.feedback.tables import metadata

Make = Callable[..., Prediction]


@contextmanager
def writing_to(url: str) -> Iterator[Connection]:
    """A transaction beside the store."""
    engine = connect(parse(url))
    with writing(engine).begin() as connection:
        yield connection
    engine.dispose()


@contextmanager
def reading(url: str) -> Iterator[Connection]:
    """A look at what the store keeps, beside it."""
    engine = connect(parse(url))
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def test_models_and_migrations_agree(store: Store, url: str) -> None:
    with reading(url) as connection:
        options = {"version_table": VERSION_TABLE, "compare_type": True}
        assert compare_metadata(MigrationContext.configure(connection, opts=options), metadata) == []
        [key] = inspect(connection).get_foreign_keys("feedback")
        assert key["options"]["ondelete"] == "CASCADE"


def test_an_open_store_can_be_opened_again(store: Store, url: str, prediction: Make) -> None:
    store.add_predictions([prediction()])
    again = Store(url)
    assert again.counts()["predictions"] == 1
    again.close()


def test_a_newer_store_is_left_alone(store: Store, url: str) -> None:
    with writing_to(url) as connection:
        connection.exec_driver_sql(f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    with pytest.raises(UserError, match=r"schema 9999.*newer"):
        Store(url)


def test_every_step_can_be_taken_back(url: str) -> None:
    Store(url).close()
    engine = connect(parse(url))
    with writing(engine).begin() as connection:
        config, _ = alembic_config(connection)
        command.downgrade(config, "base")
        assert inspect(connection).get_table_names() == [VERSION_TABLE]
    engine.dispose()
    store = Store(url)
    assert store.counts()["predictions"] == 0
    store.close()


THREE = {"POSITIVE": 0.5, "NEGATIVE": 0.3, "NEUTRAL": 0.2}


def test_a_store_of_the_first_version_is_brought_up_to_date(url: str, prediction: Make) -> None:
    """Feedback had to name a label in it. What is in it stays, and it is as good as a new one."""
    about = prediction(probabilities=THREE, created=datetime.now(UTC))
    row = old_row(about)
    engine = connect(parse(url))
    with alone(engine) as connection:
        command.upgrade(alembic_config(connection)[0], "0001")
        add(connection, "predictions", row)
        for client, label in (("ann", "POSITIVE"), ("ben", "NEUTRAL")):
            word = {"client": client, "label": label, "correct": label == "POSITIVE"}
            add(connection, "feedback", {"prediction_id": about.id, **word, "created": about.created})
    with engine.connect() as connection:
        before = indexes(connection)
    engine.dispose()

    store = Store(url)
    test_models_and_migrations_agree(store, url)
    with reading(url) as connection:
        assert indexes(connection) == before
    ann, ben = store.corrections()
    assert (ann.prediction, ann.client, ann.correction, ann.correct, ann.created) == (
        about, "ann", None, True, about.created,
    )  # fmt: skip
    assert (ben.client, ben.correction, ben.correct, ben.created) == ("ben", "NEUTRAL", False, about.created)
    assert store.add_feedback(about.id, "ben", correct=False)
    assert [(said.client, said.correction) for said in store.corrections()] == [("ann", None), ("ben", None)]
    if url.startswith("sqlite"):
        with reading(url) as connection:
            assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
            assert not connection.exec_driver_sql("PRAGMA foreign_key_check").all()
    assert store.delete(about.id) and store.counts()["feedback"] == 0, "feedback goes with its prediction"
    store.close()


def indexes(connection: Connection) -> dict[str, list[str | None]]:
    return {index["name"]: index["column_names"] for index in inspect(connection).get_indexes("feedback")}


def old_row(about: Prediction) -> dict[str, Any]:
    """A prediction as the first version had it."""
    request, label = about.request or {}, about.answer["label"]
    return {
        "id": about.id,
        "version": about.version,
        "text": request.get("text"),
        "label": label if isinstance(label, str) else json.dumps(label),
        "probabilities": json.dumps(about.answer["probabilities"]),
        "latency_ms": about.latency_ms,
        "client": about.client,
        "created": about.created,
    }


def add(connection: Connection, table: str, row: dict[str, Any]) -> None:
    names = ", ".join(f":{name}" for name in row)
    connection.execute(text(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({names})"), row)


def test_labels_become_json_and_labels_again(url: str, prediction: Make) -> None:
    """One name, a name that looks like JSON, several names, a number, a pair, no text; more than one part of rows."""
    kinds = {
        "one": (prediction(probabilities=THREE), "NEUTRAL", "NEUTRAL"),
        "odd": (prediction(label='["x"]', probabilities={'["x"]': 0.9, "3": 0.1}), "3", "3"),
        "several": (prediction(label=["a", "b"], probabilities={"a": 0.9, "b": 0.8, "c": 0.1}), ["c"], '["c"]'),
        "none": (prediction(label=[], probabilities={"a": 0.1}), ["a"], '["a"]'),
        "number": (prediction(label=3.5, probabilities={}), 4.0, "4.0"),
        "pair": (prediction("a question", text_pair="an answer"), "NEGATIVE", "NEGATIVE"),
        "hidden": (prediction(request=None), "NEGATIVE", "NEGATIVE"),
    }
    many = [prediction(f"text {number}") for number in range(2100)]
    engine = connect(parse(url))
    with alone(engine) as connection:
        command.upgrade(alembic_config(connection)[0], "0003")
        for about, _, label in kinds.values():
            add(connection, "predictions", {**old_row(about), "text_pair": (about.request or {}).get("text_pair")})
            words = {"ann": (True, old_row(about)["label"]), "ben": (False, label), "eve": (False, None)}
            for client, (correct, said) in words.items():
                word = {"client": client, "label": said, "correct": correct, "created": about.created}
                add(connection, "feedback", {"prediction_id": about.id, **word})
        for about in many:
            add(connection, "predictions", old_row(about))
        before = rows_of(connection)
    engine.dispose()

    store = Store(url)
    assert {one.id: one for one in store.predictions()} == {
        one.id: one for one in [*many, *(about for about, _, _ in kinds.values())]
    }
    found = {(said.prediction.id, said.client): (said.correct, said.correction) for said in store.corrections()}
    for about, correction, _ in kinds.values():
        assert [found[about.id, client] for client in ("ann", "ben", "eve")] == [
            (True, None), (False, correction), (False, None),
        ]  # fmt: skip
    test_models_and_migrations_agree(store, url)
    store.add_predictions([other := prediction(form="another.form", answer={"spans": []})])
    store.add_feedback(other.id, "ann", correct=True)
    with writing_to(url) as connection:
        if url.startswith("sqlite"):
            assert not connection.exec_driver_sql("PRAGMA foreign_key_check").all()
        command.downgrade(alembic_config(connection)[0], "0003")
        assert rows_of(connection) == before, "but for what is of another form, which has no place there"
    store.close()
    again = Store(url)
    assert len(list(again.predictions())) == len(many) + len(kinds)
    again.close()


def rows_of(connection: Connection) -> tuple[list[Any], list[Any]]:
    names = "id, version, text, text_pair, label, latency_ms, client"
    said = "prediction_id, client, label, correct"
    return (
        connection.exec_driver_sql(f"SELECT {names} FROM predictions ORDER BY id").all(),
        connection.exec_driver_sql(f"SELECT {said} FROM feedback ORDER BY prediction_id, client").all(),
    )


def test_a_word_that_an_older_version_cannot_keep_goes_when_the_step_is_taken_back(url: str, prediction: Make) -> None:
    store, about = Store(url), prediction(probabilities=THREE)
    store.add_predictions([about])
    store.add_feedback(about.id, "ann", correct=False)
    store.add_feedback(about.id, "ben", correct=False, correction="NEUTRAL")
    with writing_to(url) as connection:
        command.downgrade(alembic_config(connection)[0], "0001")
        assert connection.exec_driver_sql("SELECT client FROM feedback").scalars().all() == ["ben"]
    store.close()
    again = Store(url)
    assert [said.client for said in again.corrections()] == ["ben"]
    again.close()


def test_the_second_text_of_a_pair_goes_back_behind_a_tab(url: str, prediction: Make) -> None:
    pair, alone = prediction("a question", text_pair="an answer"), prediction("a\ttext of columns")
    store = Store(url)
    store.add_predictions([pair, alone])
    for about in (pair, alone):
        store.add_feedback(about.id, "ann", correct=True)
    with writing_to(url) as connection:
        command.downgrade(alembic_config(connection)[0], "0002")
        texts = connection.exec_driver_sql("SELECT id, text FROM predictions").all()
        assert {tuple(row) for row in texts} == {(pair.id, "a question\tan answer"), (alone.id, "a\ttext of columns")}
    store.close()
    again = Store(url)  # the step is made once more; nothing but data=feedback knows which of them were pairs
    assert [(one.request, one.created) for one in again.predictions()] == [
        ({"text": "a question\tan answer"}, pair.created),
        ({"text": "a\ttext of columns"}, alone.created),
    ]
    assert again.counts() == {"predictions": 2, "feedback": 2, "preferences": 0}, "the feedback is still there"
    again.close()


def test_a_step_that_fails_changes_nothing(url: str) -> None:
    """Somebody else's table of the same name is in the way."""
    engine = connect(parse(url))
    with writing(engine).begin() as connection:
        connection.exec_driver_sql("CREATE TABLE preferences (theirs TEXT)")
    with pytest.raises(UserError, match=r"cannot be opened: .*preferences.* already exists"):
        Store(url)
    with engine.connect() as connection:
        assert inspect(connection).get_table_names() == ["preferences"]
    engine.dispose()
