"""Overrides of a sweep: which of them count, and what they are swept over."""

from __future__ import annotations

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override

from hydra_plugins.noria.grid_sweeper import GridSweeper
from noria.common.errors import UserError
from noria.sweep.overrides import effective, fixed_keys, key_of, values_of


def parsed(*words: str) -> list[Override]:
    return OverridesParser.create().parse_overrides(list(words))


@pytest.mark.parametrize(
    ("words", "trials"),
    [
        (["a=1,2", "b=3"], [["a=1", "b=3"], ["a=2", "b=3"]]),
        (["a=1,2", "a=3"], [["a=3"]]),  # the later takes the earlier's place
        (["a={x:1}", "a={y:2}", "b=1,2"], [["a={x:1}", "a={y:2}", "b=1"], ["a={x:1}", "a={y:2}", "b=2"]]),
        (["a={x:1},{x:2}", "a={y:3}"], [["a={x:1}", "a={y:3}"], ["a={x:2}", "a={y:3}"]]),
        (["a={x:1}", "a=5"], [["a=5"]]),
        (["a='1',1"], [["a='1'"], ["a=1"]]),
        (["a=range(0,2)"], [["a=0"], ["a=1"]]),
    ],
)
def test_the_trials_of_a_grid(words, trials):
    assert GridSweeper.split_arguments(parsed(*words), None) == [trials]


def test_batches_of_a_grid():
    assert [len(batch) for batch in GridSweeper.split_arguments(parsed("a=range(0,5)"), 2)] == [2, 2, 1]


@pytest.mark.parametrize(
    "word", ["a=range(5,1)", "a=range(1,1)", "a=range(1,5,-1)", "a=range(1,5,0)", "a=range(1.0,0.5,0.1)"]
)
def test_a_range_without_values_is_a_mistake(word):
    with pytest.raises(UserError, match=r"a=range.*(holds no value|cannot be counted)"):
        values_of(*parsed(word))


@pytest.mark.parametrize("word", ["a=range(0,inf)", "a=range(0,nan)", "a=range(0,1,0.0)", "a=range(0,1,1e-320)"])
def test_a_range_without_an_end_is_a_mistake(word):
    with pytest.raises(UserError, match=r"a=range.* cannot be counted"):
        values_of(*parsed(word))


def test_a_range_of_too_many_values_is_no_grid():
    with pytest.raises(UserError, match=r"a=range\(0,1e9,0.5\) holds 2,000,000,000 values.* at most 100,000"):
        values_of(*parsed("a=range(0,1e9,0.5)"))


def test_an_interval_has_no_steps_for_a_grid():
    with pytest.raises(UserError, match="no steps for a grid"):
        values_of(*parsed("a=interval(0,1)"))


def test_keys():
    words = ["+logger.x=1", "model/peft=lora", "task@part=b", "~callback.progress"]
    assert [key_of(word) for word in words] == ["logger.x", "model.peft", "part", "callback.progress"]
    assert fixed_keys(parsed("a=1", "b=1,2", "c=1,2", "c=3")) == {"a", "c"}
    assert [str(one.input_line) for one in effective(parsed("a=1", "b=2", "a=3"))] == ["b=2", "a=3"]
