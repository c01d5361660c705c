from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from annotated_types import Gt

from noria.common.errors import UserError
from noria.config.signature import class_attributes, read


def test_in_house_keys_are_the_keyword_only_parameters(write, house):
    write(
        {
            "house/__init__.py": "",
            "house/part.py": """
            from typing import Annotated, Literal
            from annotated_types import Gt
            class Part:
                def __init__(
                    self, network: object, labels: list[str], *, lr: Annotated[float, Gt(0)],
                    name: str = None, kind: Literal["a", "b"] = "a", untyped=3,
                ) -> None: ...
            def make(rows, *, size: int): ...
            def helper(rows): ...
            """,
        }
    )
    part = read("house.part.Part")
    assert {name: key.annotation for name, key in part.keys.items()} == {
        "lr": Annotated[float, Gt(0)],
        "name": str | None,  # by its default
        "kind": Literal["a", "b"],
        "untyped": Any,
    }
    assert [name for name, key in part.keys.items() if key.required] == ["lr"]
    assert part.supplied == {"network", "labels"}
    assert not part.open
    assert list(read("house.part.make").keys) == ["size"]
    assert read("house.part.make").supplied == {"rows"}
    assert not read("house.part.helper").keys


def test_in_house_kwargs_mean_the_keys_of_the_base(write, house):
    write(
        {
            "house/__init__.py": "",
            "house/base.py": """
            class Base:
                def __init__(self, data, *, size: int = 1, mode: str = 'x'): ...
            """,
            "house/leaf.py": """
            from house.base import Base
            class Leaf(Base):
                def __init__(self, data, *, extra: bool = False, size: float = 2, **kwargs):
                    super().__init__(data, mode="y", size=int(size), **kwargs)
            class Twig(Leaf): ...
            class Loose(Base):
                def __init__(self, *, extra: bool = False, **kwargs): super().__init__(**kwargs)
            def function(*, extra: int = 0, **kwargs): ...
            """,
        }
    )
    leaf = read("house.leaf.Leaf")
    assert {name: key.annotation for name, key in leaf.keys.items()} == {"extra": bool, "size": float}
    assert not leaf.open
    assert read("house.leaf.Twig").keys == leaf.keys
    assert set(read("house.leaf.Loose").keys) == {"extra", "size", "mode"}
    assert read("house.leaf.function").open


def test_fields_are_keys(write, house):
    write(
        {
            "house/__init__.py": "",
            "house/rows.py": """
            from dataclasses import dataclass, field
            from typing import ClassVar, NamedTuple
            @dataclass
            class Base:
                first: int
            @dataclass(frozen=True, kw_only=True)
            class Row(Base):
                text: str
                size: int = 1
                hidden: int = field(init=False, default=0)
                count: ClassVar[int] = 0
            class Pair(NamedTuple):
                left: int
                right: str = ""
            """,
        }
    )
    row = read("house.rows.Row")
    assert {name: key.required for name, key in row.keys.items()} == {
        "first": False,
        "text": True,
        "size": False,
    }
    assert list(read("house.rows.Pair").keys) == ["left", "right"]


def test_elsewhere_keys_are_all_parameters(write):
    write(
        {
            "elsewhere.py": """
            class Made:
                def __init__(self, params, /, lr: float = 0.1, *, fused: bool, **options): ...
            class Inherits(Made): ...
            class News:
                def __new__(cls, size: int): ...
            class Plain: ...
            class Out(Unknown): ...
            class Kit:
                @classmethod
                def load(cls, path: str): ...
                @staticmethod
                def join(left: int): ...
            """
        }
    )
    made = read("elsewhere.Made")
    assert list(made.keys) == ["lr", "params", "fused"]
    assert [name for name, key in made.keys.items() if key.required] == ["fused"]
    assert made.open
    assert read("elsewhere.Inherits").keys == made.keys
    assert list(read("elsewhere.News").keys) == ["size"]
    assert not read("elsewhere.Plain").keys and not read("elsewhere.Plain").open
    assert read("elsewhere.Out").open
    assert list(read("elsewhere.Kit.load").keys) == ["path"] and read("elsewhere.Kit.load").is_method
    assert list(read("elsewhere.Kit.join").keys) == ["left"]


def test_real_libraries():
    adamw = read("torch.optim.AdamW")
    assert adamw.keys["lr"].annotation is float
    assert adamw.keys["betas"].annotation == tuple[float, float]
    assert {"weight_decay", "fused", "maximize"} <= set(adamw.keys) and not adamw.open
    trainer = read("lightning.pytorch.Trainer")
    assert trainer.keys["max_epochs"].annotation == int | None
    assert trainer.keys["devices"].annotation == list[int] | str | int
    assert not trainer.open
    assert set(read("lightning.pytorch.callbacks.early_stopping.EarlyStopping").keys) >= {
        "monitor",
        "patience",
    }
    assert "num_warmup_steps" in read("transformers.optimization.get_linear_schedule_with_warmup").keys
    assert read("lightning.pytorch.strategies.fsdp.FSDPStrategy").open
    assert read("math.sqrt").open


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("torch.optim.AdamV", "there is no 'AdamV' in torch.optim. Did you mean 'Adam"),
        ("torch.optim.adamv.AdamW", "there is no 'adamv' in torch.optim. Did you mean 'adam"),
        ("torch.optim.lr_scheduler", "is a file or folder"),
        ("no_such_package_x.part.Part", "there is no package 'no_such_package_x'"),
        ("torch", "is no dotted path"),
        ("torch.optim.AdamW()", "is no dotted path"),
    ],
)
def test_a_target_that_does_not_exist(target, said):
    with pytest.raises(UserError) as error:
        read(target)
    assert target in str(error.value) and said in str(error.value)


def test_class_attributes_own_inherited_and_computed(write):
    write(
        {
            "attributed.py": """
            from typing import ClassVar
            KINDS = ("a", "b")
            class Base:
                kinds: ClassVar[tuple[str, ...]] = KINDS
                mode = "max"
                unset: int
            class Leaf(Base):
                mode = "min"
                other = len("abc")
            class Computed(Base):
                kinds = tuple(sorted(KINDS))
            def function(): ...
            """
        }
    )
    assert class_attributes("attributed.Leaf") == {"kinds": ("a", "b"), "mode": "min"}
    assert class_attributes("attributed.Computed") == {"mode": "max"}
    assert class_attributes("attributed.function") == {}
    assert class_attributes("attributed.Nothing") == {}
