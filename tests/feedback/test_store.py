"""The store keeps what it is told, once, and forgets it when it is told; in SQLite as in PostgreSQL."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from noria.common.errors import UserError
from noria.feedback.database import Database
from noria.feedback.store import Prediction, Store, StoreDown, UnknownPrediction
from noria.feedback.text import LABEL_LIMIT

Make = Callable[..., Prediction]

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_what_went_in_comes_out(store: Store, prediction: Make) -> None:
    there = prediction("first 👍 €", created=datetime(2026, 3, 1, 14, 30, 0, 123456, timezone(timedelta(hours=5))))
    store.add_predictions([there])
    [back] = store.predictions()
    assert back == there
    assert back.created.utcoffset() == timedelta(0) and back.created.hour == 9
    assert store.counts() == {"predictions": 1, "feedback": 0, "preferences": 0}


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("a\0b", "a\ufffdb"),
        ("half \ud83d of a pair", "half \ufffd of a pair"),
        ("", ""),
        ("x" * 3_000_000, "x" * 3_000_000),
        ("line\r\nline\u2028\U0001f468\u200d\U0001f469\ufffe '; DROP TABLE feedback; --", None),
    ],
    ids=["nul", "surrogate", "empty", "long", "odd"],
)
def test_any_text_can_be_stored(store: Store, text: str, kept: str | None, prediction: Make) -> None:
    store.add_predictions([prediction(text, label="sehr\0gut", probabilities={"sehr\0gut": 1.0})])
    [back] = store.predictions()
    assert back.request == {"text": text if kept is None else kept}
    assert back.answer == {"label": "sehr\ufffdgut", "probabilities": {"sehr\ufffdgut": 1.0}}


def test_personal_data_stays_out(url: str, prediction: Make) -> None:
    with_mail = prediction("write to ada@example.org")
    store = Store(url)
    store.add_predictions([with_mail])
    as_it_is, without = Store(url, scrub=None), Store(url, keep_texts=False)
    as_it_is.add_predictions([prediction("or to bob@example.org", created=with_mail.created + timedelta(seconds=1))])
    without.add_predictions([prediction("or to eve@example.org", created=with_mail.created + timedelta(seconds=2))])
    texts = [{"text": "write to <EMAIL>"}, {"text": "or to bob@example.org"}, None]
    assert [p.request for p in store.predictions()] == texts
    with pytest.raises(UserError, match="keeps no texts"):
        without.add_preference("a prompt", "good", "bad", "client")
    for opened in (store, as_it_is, without):
        opened.close()


def test_the_texts_of_a_pair_are_kept_and_scrubbed_each_by_itself(url: str, prediction: Make) -> None:
    across = prediction("Send it to P.O. Box", text_pair="211 films were made")  # no address, but for a joint
    both = prediction("I am ann@example.org", text_pair="and I am bob@example.org")
    store, without = Store(url), Store(url, keep_texts=False)
    store.add_predictions([across, both])
    without.add_predictions([(hidden := prediction("a secret", text_pair="another"))])
    kept = {one.id: one.request for one in store.predictions()}
    assert kept[across.id] == across.request and kept[hidden.id] is None
    assert kept[both.id] == {"text": "I am <EMAIL>", "text_pair": "and I am <EMAIL>"}
    store.close()
    without.close()


def test_predictions_come_oldest_first_and_can_be_chosen(store: Store, prediction: Make) -> None:
    hours = [3, 0, 2, 1]
    store.add_predictions(
        [prediction(str(hour), created=NOON + timedelta(hours=hour), version=f"000{hour % 2}") for hour in hours]
    )

    def texts(**choice: Any) -> list[str | None]:
        return [(p.request or {}).get("text") for p in store.predictions(**choice)]

    assert texts() == ["0", "1", "2", "3"]
    assert texts(since=NOON + timedelta(hours=1)) == ["1", "2", "3"]
    assert texts(version="0001") == ["1", "3"] and texts(version="9") == []
    assert texts(limit=2) == ["0", "1"] and texts(limit=0) == []
    with pytest.raises(UserError, match="no time zone"):
        store.predictions(since=datetime(2026, 3, 1))


def test_a_prediction_that_is_sent_twice_is_there_once(store: Store, prediction: Make) -> None:
    first, second = prediction("first"), prediction("second")
    store.add_predictions([first])
    store.add_predictions([first, second])
    store.add_predictions([])
    assert store.counts()["predictions"] == 2


@pytest.mark.parametrize(
    "wrong",
    [
        {"id": ""},
        {"client": "c" * 201},
        {"version": ""},
        {"form": ""},
        {"latency_ms": math.inf},
        {"probabilities": {"POSITIVE": math.nan}},
        {"answer": {"deep": [{"down": math.inf}]}},
        {"created": datetime(2026, 3, 1)},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_what_cannot_be_right_is_refused_whole(store: Store, wrong: dict[str, Any], prediction: Make) -> None:
    with pytest.raises(UserError):
        store.add_predictions([prediction(), prediction(**wrong)])
    assert store.counts()["predictions"] == 0


def test_feedback_counts_once_and_the_newest_word_counts(store: Store, prediction: Make) -> None:
    about = prediction()
    store.add_predictions([about])
    assert store.add_feedback(about.id, "ann", correct=True)
    assert not store.add_feedback(about.id, "ann", correct=True)
    [said] = store.corrections()
    assert (said.prediction, said.client, said.correction, said.correct) == (about, "ann", None, True)
    assert abs(datetime.now(UTC) - said.created) < timedelta(minutes=1)

    assert store.add_feedback(about.id, "ben", correct=False, correction="NEGATIVE")
    assert store.add_feedback(about.id, "ann", correct=False, correction="NEUTRAL")
    said, later = store.corrections()
    assert [(s.client, s.correction, s.correct) for s in (said, later)] == [
        ("ben", "NEGATIVE", False),
        ("ann", "NEUTRAL", False),
    ]
    assert list(store.corrections(since=later.created)) == [later]
    assert store.counts()["feedback"] == 2


def test_a_word_said_again_is_the_newest(store: Store, prediction: Make) -> None:
    both = [prediction("one"), prediction("two")]
    store.add_predictions(both)
    for about in both:
        store.add_feedback(about.id, "ann", correct=True)
    first, second = store.corrections()
    assert not store.add_feedback(both[0].id, "ann", correct=True), "nothing that was not known"
    assert [said.prediction.request["text"] for said in store.corrections()] == ["two", "one"]
    again = list(store.corrections())[1]
    assert again.created > second.created > first.created
    store.add_preference("p", "a", "b", "ann")
    store.add_preference("q", "a", "b", "ann")
    store.add_preference("p", "a", "b", "ann")
    assert [said.prompt for said in store.preferences()] == ["q", "p"]


def test_feedback_must_make_sense(store: Store, prediction: Make) -> None:
    about = prediction()
    store.add_predictions([about])
    assert store.prediction(about.id).answer == about.answer
    for correct, correction, complaint in [
        (True, "NEGATIVE", "that is correct has no correction"),
        (False, "", f"1 to {LABEL_LIMIT}"),
        (False, "x" * (2 * LABEL_LIMIT), f"1 to {LABEL_LIMIT}"),
        (False, ["x" * LABEL_LIMIT], f"1 to {LABEL_LIMIT}"),
    ]:
        with pytest.raises(UserError, match=complaint):
            store.add_feedback(about.id, "ben", correct=correct, correction=correction)
    with pytest.raises(UserError, match="client"):
        store.add_feedback(about.id, "", correct=True)
    assert store.counts()["feedback"] == 0


SPANS = [{"start": 0, "end": 4, "tag": "PER"}, {"tag": "LOC", "start": 9, "end": 14}]


@pytest.mark.parametrize(
    "correction", ["another", ["a", "b"], [], 3.5, {"text": "sehr\0gut"}, SPANS], ids=lambda value: type(value).__name__
)
def test_a_correction_is_any_json_and_wrong_alone_is_kept(store: Store, correction: Any, prediction: Make) -> None:
    about = prediction()
    store.add_predictions([about])

    def said() -> list[tuple[Any, bool]]:
        return [(one.correction, one.correct) for one in store.corrections()]

    assert store.add_feedback(about.id, "ann", correct=False)
    assert not store.add_feedback(about.id, "ann", correct=False), "once"
    assert said() == [(None, False)] and store.counts()["feedback"] == 1
    assert store.add_feedback(about.id, "ann", correct=False, correction=correction), "the newest word counts"
    kept = {"text": "sehr\ufffdgut"} if isinstance(correction, dict) else correction
    assert said() == [(kept, False)]
    again = [dict(reversed(one.items())) for one in SPANS] if correction is SPANS else correction
    assert not store.add_feedback(about.id, "ann", correct=False, correction=again), "however its keys are ordered"
    assert store.add_feedback(about.id, "ann", correct=False)
    assert said() == [(None, False)]
    assert store.add_feedback(about.id, "ann", correct=True)
    assert said() == [(None, True)] and store.counts()["feedback"] == 1


@pytest.mark.parametrize("key", ["nothing", "", "\0", "\udc80", "x" * 100_000, "' OR 1=1 --"], ids=range(6))
def test_feedback_to_what_is_not_there(store: Store, key: str) -> None:
    for look in (lambda: store.add_feedback(key, "ann", correct=True), lambda: store.prediction(key)):
        with pytest.raises(UnknownPrediction) as caught:
            look()
        assert len(str(caught.value)) < 200
    assert not store.delete(key)


def test_preferences(store: Store) -> None:
    assert store.add_preference("Who?", "ada@example.org", "nobody", "ann")
    assert not store.add_preference("Who?", "ada@example.org", "nobody", "ann")
    assert store.add_preference("Who?", "nobody", "ada@example.org", "ann"), "a changed mind"
    assert store.add_preference("Who?", "nobody", "ada@example.org", "ben")
    ann, ben = store.preferences()
    assert (ann.prompt, ann.chosen, ann.rejected, ann.client) == ("Who?", "nobody", "<EMAIL>", "ann")
    assert list(store.preferences(since=ben.created)) == [ben] and ann.created <= ben.created
    with pytest.raises(UserError, match="two different answers"):
        store.add_preference("Who?", "me", "me", "ann")


def test_a_prediction_is_deleted_with_its_feedback(store: Store, prediction: Make) -> None:
    gone, stays = prediction(), prediction()
    store.add_predictions([gone, stays])
    for about in (gone, stays):
        store.add_feedback(about.id, "ann", correct=True)
    assert store.delete(gone.id) and not store.delete(gone.id)
    assert [said.prediction.id for said in store.corrections()] == [stays.id]
    with pytest.raises(UnknownPrediction):
        store.add_feedback(gone.id, "ann", correct=True)


def test_all_of_a_client_is_deleted(store: Store, prediction: Make) -> None:
    hers, his = prediction(client="ann"), prediction(client="ben")
    store.add_predictions([hers, his])
    for about in (hers, his):
        for client in ("ann", "ben"):
            store.add_feedback(about.id, client, correct=True)
    store.add_preference("Who?", "a", "b", "ann")
    assert store.delete_client("ann") == 4, "a prediction, two words about predictions and a preference"
    assert store.delete_client("ann") == 0
    assert store.counts() == {"predictions": 1, "feedback": 1, "preferences": 0}


def test_what_is_too_old_goes(store: Store, prediction: Make) -> None:
    now = datetime.now(UTC)
    old, new = prediction(created=now - timedelta(days=3)), prediction(created=now - timedelta(days=1))
    store.add_predictions([old, new])
    store.add_feedback(old.id, "ann", correct=True)
    store.add_preference("Who?", "a", "b", "ann")
    assert store.retain(10_000_000) == 0 and store.retain(3.5) == 0
    assert store.retain(2) == 1
    assert store.counts() == {"predictions": 1, "feedback": 0, "preferences": 1}
    assert store.retain(0) == 1
    assert store.counts() == {"predictions": 0, "feedback": 0, "preferences": 0}
    for days in (-1, math.nan, math.inf):
        with pytest.raises(UserError, match="number of days"):
            store.retain(days)


def test_a_long_read_is_a_stream_that_hinders_nobody(store: Store, prediction: Make) -> None:
    store.add_predictions([prediction(str(number), created=NOON + timedelta(seconds=number)) for number in range(2500)])
    seen = []
    for number, row in enumerate(store.predictions()):
        if number % 500 == 0:
            assert store.delete(row.id)
            store.add_predictions([prediction("later")])
        seen.append(row.request["text"])
    assert seen == [str(number) for number in range(2500)]
    for _ in range(50):  # reads that nobody finishes give their connections back
        next(store.predictions())


def test_many_threads_lose_nothing(store: Store, prediction: Make) -> None:
    failures: list[BaseException] = []

    def work(name: str) -> None:
        try:
            for _ in range(15):
                about = prediction()
                store.add_predictions([about])
                store.add_feedback(about.id, name, correct=True)
                store.counts()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(f"thread {number}",)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert store.counts() == {"predictions": 300, "feedback": 300, "preferences": 0}


def test_a_database_that_fails_is_nobodys_mistake(store: Store, url: str, prediction: Make) -> None:
    """And what it says holds no text: it may end in a log."""
    store.add_predictions([prediction()])
    beside = Database(url)
    with beside.write() as connection:
        connection.exec_driver_sql("DROP TABLE feedback")
        connection.exec_driver_sql("DROP TABLE predictions")
    beside.close()
    for action in (store.counts, lambda: store.add_predictions([prediction("a secret")]), lambda: store.delete("a")):
        with pytest.raises(StoreDown) as caught:
            action()
        assert "predictions" in str(caught.value) and "secret" not in str(caught.value)


def test_deleted_texts_leave_the_file(tmp_path: Path, prediction: Make) -> None:
    store = Store(f"sqlite:///{tmp_path}/feedback.db")
    gone = prediction("the word is XYLOPHONE")
    store.add_predictions([prediction(f"filler {number}") for number in range(50)] + [gone])

    def on_disk() -> bool:
        return any(b"XYLOPHONE" in path.read_bytes() for path in tmp_path.iterdir())

    assert on_disk()
    store.delete(gone.id)
    assert not on_disk()
    store.close()
