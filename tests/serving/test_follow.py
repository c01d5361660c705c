from __future__ import annotations

import time
from pathlib import Path

import pytest
import torch

from noria.serving.follow import Failed, Follower, Refused, Taken
from noria.serving.model import Model
from noria.serving.source import Named, Source


@pytest.fixture
def told():
    return []


@pytest.fixture
def follower(registry, told):
    """Follows a registry, by hand."""

    def load(named: Named) -> Model:
        return Model(named, "32-true", torch.device("cpu"), 8)

    return Follower(Source(registry.folder), load, told.append, 7)


def kinds(told: list) -> list[tuple[type, str]]:
    return [(type(event), event.named.version if isinstance(event, Taken) else event.version) for event in told]


def test_it_takes_what_is_good_and_refuses_once_what_is_not(follower, registry, told, shifted):
    assert follower.begin(None)
    follower.look()
    assert kinds(told) == [(Taken, "0001")] and told[0].worker == 7
    assert told[0].description.service.described()["labels"] == ["bad", "good"]
    first = follower.model

    bad = registry.add(shifted(float("nan")), {})
    registry.promote(bad, "")
    follower.look()
    follower.look()
    assert kinds(told)[1:] == [(Refused, bad.name)], "said once"
    assert follower.model is first

    good = registry.add(shifted(5.0), {})
    registry.promote(good, "")
    follower.look()
    assert kinds(told)[2:] == [(Taken, good.name)] and follower.model.named.version == good.name
    registry.promote(bad, "")
    follower.look()
    assert kinds(told)[3:] == [(Refused, bad.name)], "tried again once something else had answered"
    registry.promote(registry.versions()[0], "")
    follower.look()
    assert kinds(told)[4:] == [(Taken, "0001")]


def test_a_pointer_to_nothing_changes_nothing(follower, registry, told):
    assert follower.begin(None)
    champion = registry.folder / "champion"
    champion.unlink()
    for _ in range(2):
        follower.look()
    champion.symlink_to(Path("versions") / "9999")
    follower.look()
    assert follower.model.named.version == "0001"
    assert [type(event) for event in told[1:]] == [Refused], "no champion, and then a broken one, are one story"
    champion.unlink()
    registry.promote(registry.versions()[0], "")
    follower.look()
    assert len(told) == 2


def test_a_start_without_a_model(follower, registry, told, shifted):
    registry.promote(registry.add(shifted(float("nan")), {}), "")
    assert not follower.begin(None)
    (event,) = told
    assert isinstance(event, Failed) and "no good" in event.reason
    first = registry.versions()[0]
    assert follower.begin(Named(first.name, first.folder)), "one that answered before"
    assert [type(event) for event in told[1:]] == [Refused, Taken] and follower.model.named.version == first.name


def test_it_looks_by_itself(follower, registry, told, shifted):
    registry.promote(registry.versions()[0], "")
    assert follower.begin(None)
    follower.follow(0.02)
    good = registry.add(shifted(3.0), {})
    registry.promote(good, "")
    end = time.monotonic() + 60
    while follower.model.named.version != good.name:
        assert time.monotonic() < end
        time.sleep(0.01)
