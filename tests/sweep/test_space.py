"""Hydra's grammar as Optuna's distributions."""

from __future__ import annotations

import optuna
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from noria.common.errors import UserError
from noria.sweep.space import Space, written


def space(*words: str, function: str | None = None) -> Space:
    return Space(OverridesParser.create().parse_overrides(list(words)), function)


@pytest.mark.parametrize(
    ("word", "distribution"),
    [
        ("a=1,2,3", CategoricalDistribution([1, 2, 3])),
        ("a=choice(adam, sgd)", CategoricalDistribution(["adam", "sgd"])),
        ("a=choice(1,1.0)", CategoricalDistribution([1, "1.0"])),  # to Lightning a batch and all of them
        ("a=choice(true,1)", CategoricalDistribution([True, "1"])),
        ("a=choice('1',1)", CategoricalDistribution(["'1'", 1])),
        ("a=choice(1e-3,0.001)", CategoricalDistribution([0.001])),
        ("a=range(1,10)", IntDistribution(1, 9)),
        ("a=range(1,10,3)", IntDistribution(1, 7, step=3)),
        ("a=range(10,1,-3)", IntDistribution(4, 10, step=3)),
        ("a=range(0.0,0.5,0.1)", FloatDistribution(0.0, 0.4, step=0.1)),
        ("a=interval(0.0,1.0)", FloatDistribution(0.0, 1.0)),
        ("a=interval(1,8)", FloatDistribution(1.0, 8.0)),
        ("a=int(interval(1,8))", IntDistribution(1, 8)),
        ("a=tag(log, interval(1e-5, 1e-3))", FloatDistribution(1e-5, 1e-3, log=True)),
        ("a=tag(log, int(interval(8, 64)))", IntDistribution(8, 64, log=True)),
    ],
)
def test_the_grammar(word, distribution):
    assert space(word).distributions == {"a": distribution}


def test_range_takes_the_values_that_hydra_takes():
    word = "a=range(1,10,3)"
    (override,) = OverridesParser.create().parse_overrides([word])
    hydras = {int(text) for text in override.sweep_string_iterator()}
    distribution = space(word).distributions["a"]
    assert set(range(distribution.low, distribution.high + 1, distribution.step)) == hydras


def test_equal_choices_of_different_types_are_read_back_as_typed():
    found = space("a=choice(1,1.0,true,'1')")
    texts = [found.text("a", choice) for choice in found.grid()["a"]]
    read = [o.value() for o in OverridesParser.create().parse_overrides([f"a={text}" for text in texts])]
    assert [type(value).__name__ for value in read] == ["int", "float", "bool", "str"]


def test_a_shuffled_choice_runs_the_value_that_is_told_to_the_study():
    found = space("a=shuffle(choice(1,2,3,4,5,6,7,8,9))")
    assert all(found.text("a", choice) == str(choice) for choice in found.grid()["a"])


def test_two_dicts_for_one_key_are_both_searched_over():
    found = space("a={x:1},{x:2}", "a={y:1},{y:2}")
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    words = {tuple(found.words(study.ask(found.distributions))) for _ in range(40)}
    assert words == {(f"a={{x:{x}}}", f"a={{y:{y}}}") for x in (1, 2) for y in (1, 2)}
    assert list(found.corners()) == [["a={x:1}", "a={y:1}"], ["a={x:2}", "a={y:2}"]]


@pytest.mark.parametrize("word", ["a=range(5,1)", "a=interval(5,1)", "a=int(interval(5,1))", "a=range(1,5,0)"])
def test_a_space_without_values_is_a_mistake(word):
    with pytest.raises(UserError, match=r"holds no value|goes up|cannot be counted"):
        space(word)


@pytest.mark.parametrize("word", ["a=tag(log, interval(0, 1))", "a=tag(log, range(1, 9))"])
def test_what_has_no_meaning_is_said(word):
    with pytest.raises(UserError, match="logarithm"):
        space(word)


def test_words_are_overrides_that_hydra_reads_back():
    found = space("lr=tag(log, interval(1e-5, 1e-3))", "metric=[accuracy],[accuracy,f1]", "name='a b',c", "x=null,true")
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(20):
        trial = study.ask(found.distributions)
        values = {o.key_or_group: o.value() for o in OverridesParser.create().parse_overrides(found.words(trial))}
        assert values["lr"] == trial.params["lr"]
        assert values["metric"] in (["accuracy"], ["accuracy", "f1"])
        assert str(values["name"]) in ("a b", "c") and values["x"] in (None, True)


def test_size_grid_and_corners():
    counted = space("a=1,2,3", "b=range(0,4)")
    assert counted.size == 12
    assert counted.grid() == {"a": [1, 2, 3], "b": [0, 1, 2, 3]}
    assert list(counted.corners()) == [["a=1", "b=0"], ["a=2", "b=3"], ["a=3", "b=3"]]
    assert space("a=interval(0.0,1.0)").size is None
    with pytest.raises(UserError, match="has no steps"):
        space("a=interval(0.0,1.0)").grid()


def conditional(trial: optuna.Trial) -> dict[str, object]:
    optimizer = trial.suggest_categorical("optimizer", ["adamw", "sgd"])
    if optimizer == "sgd":
        return {"optimizer": optimizer, "optimizer.momentum": trial.suggest_float("momentum", 0.1, 0.9)}
    return {"optimizer": optimizer}


def test_a_function_whose_keys_depend_on_each_other(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "mine_space", sys.modules[__name__])
    found = space(function="mine_space.conditional")
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    words = [found.words(study.ask()) for _ in range(20)]
    assert {len(some) for some in words} == {1, 2}
    assert all(any("momentum" in word for word in some) == ('optimizer="sgd"' in some) for some in words)


def test_a_long_range_is_searched_over_without_a_list_of_its_values():
    (whole,) = space("seed=range(0,4000000000)").distributions.values()
    assert (whole.low, whole.high) == (0, 3999999999)


@pytest.mark.parametrize("word", ["a=range(0,inf)", "a=interval(0,inf)", "a=interval(nan,1)"])
def test_what_has_no_end_cannot_be_searched_over(word):
    with pytest.raises(UserError, match="finite"):
        space(word)


def test_a_function_that_is_not_there():
    with pytest.raises(UserError, match="no such function"):
        space(function="nowhere.at_all")


@pytest.mark.parametrize("value", [None, True, 1, 1e-05, "a, b", ["x", 2], {"a": [1]}])
def test_written_values_are_read_back(value):
    (override,) = OverridesParser.create().parse_overrides([f"key={written(value)}"])
    read = override.value()
    assert (str(read) if isinstance(value, str) else read) == value
