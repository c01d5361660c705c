from __future__ import annotations

import pytest

from noria.config.schema import problems

HOUSE = {
    "house/__init__.py": "",
    "house/model.py": """
    from typing import Annotated, Literal
    from annotated_types import Gt
    class Model:
        def __init__(
            self, vocabulary, *, name: str, size: Annotated[int, Gt(0)] = 1, parts: list[int] | None = None,
            inner: str = "x",
        ) -> None: ...
    class Bare: ...
    """,
}


@pytest.fixture(autouse=True)
def library(write, house):
    write(HOUSE)


def model(**keys):
    return {"model": {"_target_": "house.model.Model", "name": "a", **keys}}


def test_nothing_to_say_of_a_sound_config():
    config = {
        **model(size=3, parts=[1, 2]),
        "seed": 0,
        "tags": ["a"],
        "resume": None,
        "monitor": {"metric": "val/loss", "mode": "min"},
        "optimizer": {"_target_": "torch.optim.AdamW", "lr": 1e-4, "betas": [0.9, 0.95], "_partial_": True},
        "callback": {"bare": {"_target_": "house.model.Bare"}},
    }
    assert problems(config) == []


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (model(nam="b"), "model.nam is not a key of Model (house.model.Model). Did you mean 'name'?"),
        (model(vocabulary=3), "model.vocabulary is not for a config: the code that makes Model supplies it."),
        (model(size=0), "model.size = 0 is out of range: it must be greater than 0."),
        (model(size="ten"), "model.size = 'ten' is not a whole number."),
        (model(parts=[1, "x"]), "model.parts[1] = 'x' is not a whole number."),
        (model(name="???"), "model.name is required: type model.name=…"),
        ({"model": {"_target_": "house.model.Model"}}, "model.name is required: type +model.name=…"),
        (
            {"model": {"_target_": "house.model.Bare", "x": 1}},
            "model.x is not a key of Bare, which takes none.",
        ),
        (
            {"model": {"_target_": "house.nope.X"}},
            "model._target_ = 'house.nope.X': there is no 'nope' in house.",
        ),
        ({"model": {"_target_": "house.model.Modl"}}, "Did you mean 'Model'?"),
        ({"model": {"_target_": 3}}, "model._target_ = 3 is no dotted path to a class or function."),
        ({"data": {"rows": ["???"]}}, "data.rows[0] is required"),
        ({"optimizer": {"_target_": "torch.optim.AdamW", "lrr": 1}}, "Did you mean 'lr'?"),
        ({"optimizer": {"_target_": "torch.optim.AdamW", "lr": "x"}}, "optimizer.lr = 'x' is not a number."),
        (
            {"callback": {"a": {"b": [{"_target_": "house.model.Bare", "x": 1}]}}},
            "callback.a.b[0].x is not a key",
        ),
        ({"sed": 3}, "sed is not a key of a config. Did you mean 'seed'?"),
        ({"seed": -1}, "seed = -1 is out of range: it must be at least 0."),
        ({"seed": "x"}, "seed = 'x' is not a whole number."),
        ({"model": 3}, "model = 3 is not a group of keys or null."),
        (
            {"monitor": {"metric": "x", "mod": "min"}},
            "monitor.mod is not a key of a config. Did you mean 'monitor.mode'?",
        ),
        ({"monitor": {"mode": "up"}}, "monitor.mode = 'up' is not one of 'min' or 'max'."),
        ({"monitor": 3}, "monitor = 3 is not a group of keys."),
        ({"tags": "a"}, "tags = 'a' is not a list."),
    ],
)
def test_a_problem(config, said):
    found = problems(config)
    assert len(found) == 1, found
    assert said in found[0]


@pytest.mark.parametrize("group", ["model", "logger"])
def test_a_group_may_be_null(group):
    """Whether the stage can do without it is a rule of its own (`part_that_is_left_out`)."""
    assert problems({group: None}) == []


def test_every_problem_is_reported():
    assert len(problems({**model(size=0, nam=1, name="???"), "sed": 1})) == 4


def test_a_component_is_not_checked_against_the_type_of_its_key():
    assert problems(model(inner={"_target_": "house.model.Bare"}, parts=[{"_target_": "house.model.Bare"}])) == []


def test_keys_beyond_sight_are_not_refused():
    strategy = {"_target_": "lightning.pytorch.strategies.fsdp.FSDPStrategy", "limit_all_gathers": True}
    assert problems({"trainer": {"strategy": strategy}}) == []


def test_a_group_of_ones_own_is_a_key():
    assert problems({"mine": {"x": 1}}, groups=["mine"]) == []
    assert problems({"mine": {"x": 1}})
