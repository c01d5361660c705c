from __future__ import annotations

import queue
import threading
import time
from typing import Any

import pytest
import torch

from noria.serving.follow import Follower
from noria.serving.model import Model
from noria.serving.source import Source
from noria.serving.worker import END, Answering, Plan
from noria.task.requests import NO_NUMBER


@pytest.fixture
def waiting():
    return queue.Queue()


@pytest.fixture
def take(waiting, tmp_path):
    """take(**plan): the texts of the next batch."""

    def next_batch(batch_size: int = 4, batch_timeout: float = 0.05, timeout: float = 10.0) -> list[list[str]]:
        plan = Plan(Source(tmp_path), "32-true", batch_size, batch_timeout, timeout, 1.0)
        api = Answering(plan, queue.SimpleQueue())
        batch, late = api.loop.get_batch_requests(api, waiting, None)
        assert late == []
        return [asked for _, _, asked in batch]

    return next_batch


def put(waiting: queue.Queue, *texts: str, ago: float = 0.0) -> None:
    waiting.put((0, "uid", time.monotonic() - ago, list(texts)))


def test_it_takes_what_is_there_up_to_so_many_texts(waiting, take):
    for texts in ("a", "bc", "de", "f"):
        put(waiting, *texts)
    assert take() == [["a"], ["b", "c"], ["d", "e"]], "a request is not torn apart"
    assert take() == [["f"]]


def test_the_first_waits_for_others_but_not_twice(waiting, take):
    put(waiting, "a")
    later = threading.Timer(0.1, put, (waiting, "b"))
    later.start()
    assert take(batch_timeout=5.0, batch_size=2) == [["a"], ["b"]]
    put(waiting, "c", ago=60.0)
    put(waiting, "d", ago=30.0)
    begun = time.monotonic()
    assert take(batch_timeout=60.0, timeout=600.0) == [["c"], ["d"]], "what is there is taken"
    assert time.monotonic() - begun < 30, "and the queue was wait enough: the limit is 60 s"


def test_nothing_comes(take):
    begun = time.monotonic()
    assert take() == []
    assert time.monotonic() - begun > 0.5, "it waits for some, and then looks at what else there is to do"


def test_who_has_been_given_up_is_left_out(waiting, take):
    put(waiting, "old", ago=11.0)
    put(waiting, "new")
    assert take() == [["new"]]


def test_the_end_comes_after_what_was_let_in(waiting, take):
    put(waiting, "a")
    waiting.put(END)
    assert take() == [["a"]]
    with pytest.raises(SystemExit):
        take()


def test_one_request_that_fails_spoils_no_other(fitted, tmp_path):
    source = Source(fitted / "artifact")
    api = Answering(Plan(source, "32-true", 4, 0.0, 1.0, 1.0), queue.SimpleQueue())
    api.follower = Follower(source, lambda named: Model(named, "32-true", torch.device("cpu"), 4), api.events.put)
    assert api.follower.begin(None)
    superb, fun, none = ({"text": text} for text in ("superb acting", "fun", "no fun"))
    replies = api.predict([[superb], [{"text": 3}], [none, fun]])
    assert [len(reply.get("answers", [])) for reply in replies] == [1, 0, 2]
    assert "error" in replies[1] and replies[0]["version"] == fitted.name
    whole = api.follower.model.answer

    def overflown(requests: list[dict[str, str]]) -> list[dict[str, Any]]:
        answers = zip(whole(requests), requests, strict=True)
        return [{"error": NO_NUMBER} if "nan" in request["text"] else one for one, request in answers]

    api.follower.model.answer = overflown
    bad, fine = api.predict([[fun, {"text": "nan"}], [fun]])
    assert "not finite" in bad["error"] and len(fine["answers"]) == 1, "nor one whose answer is no number"
    api.follower.model.answer = whole
    good = api.predict([[superb], [none, fun]])
    assert good[0]["batch"] == 3 and "batch" not in good[1]
    assert good[0]["answers"][0]["probabilities"] == pytest.approx(replies[0]["answers"][0]["probabilities"], abs=1e-5)
