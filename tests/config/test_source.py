from __future__ import annotations

import ast
import sys

import pytest

from noria.common.errors import UserError
from noria.config.source import Definition, Module, Opaque, bases, class_member, find, find_module, submodules


def defined(path: str) -> Definition:
    found = find(path)
    assert isinstance(found, Definition), found
    return found


def test_finds_a_class_without_importing_its_package(write):
    write({"pkg_boom/__init__.py": "raise RuntimeError('imported')", "pkg_boom/part.py": "class Part: ..."})
    assert defined("pkg_boom.part.Part").path == "pkg_boom.part.Part"
    assert "pkg_boom" not in sys.modules


def test_follows_reexports_relative_imports_aliases_and_stars(write):
    write(
        {
            "pkg_a/__init__.py": """
            from .sub import Renamed as Public
            from pkg_a.stars import *
            Again = Public
            """,
            "pkg_a/sub/__init__.py": "from ..deep.inner import Real as Renamed\n",
            "pkg_a/deep/__init__.py": "",
            "pkg_a/deep/inner.py": "class Real: ...\n",
            "pkg_a/stars.py": "def starred(): ...\ndef _hidden(): ...\n",
        }
    )
    assert defined("pkg_a.Public").path == "pkg_a.deep.inner.Real"
    assert defined("pkg_a.Again").path == "pkg_a.deep.inner.Real"
    assert defined("pkg_a.starred").path == "pkg_a.stars.starred"
    assert find("pkg_a._hidden") is None


def test_looks_under_if_and_try(write):
    write(
        {
            "pkg_b.py": """
            import typing
            try:
                from json import loads
            except ImportError:
                def loads(): ...
            if typing.TYPE_CHECKING:
                class Chosen: first = 1
            else:
                class Chosen: second = 1
            """
        }
    )
    body = defined("pkg_b.Chosen").node.body[0]
    assert isinstance(body, ast.Assign)
    assert ast.unparse(body) == "first = 1"


def test_an_attribute_comes_before_a_submodule_of_the_same_name(write):
    write({"pkg_c/__init__.py": "from .fit import fit\n", "pkg_c/fit.py": "def fit(): ...\n"})
    assert defined("pkg_c.fit").path == "pkg_c.fit.fit"
    assert defined("pkg_c.fit.fit").path == "pkg_c.fit.fit"


@pytest.mark.parametrize(
    "path",
    ["no_such_package_x.a", "json.nothing", "json.decoder.JSONDecoder.nothing", "json..x", "json.a-b", ""],
)
def test_what_does_not_exist(path):
    assert find(path) is None


def test_case_matters_on_every_file_system(write):
    write({"pkg_d/__init__.py": "", "pkg_d/adamw.py": "class AdamW: ...\n"})
    assert find("pkg_d.AdamW") is None
    assert defined("pkg_d.adamw.AdamW")


@pytest.mark.parametrize("path", ["math.sqrt", "os.system", "torch.nn.functional.conv2d", "torch._C._nothing"])
def test_what_no_source_tells_is_opaque(path):
    assert isinstance(find(path), Opaque)


def test_a_circle_of_imports_ends(write):
    write(
        {
            "pkg_e/__init__.py": "",
            "pkg_e/a.py": "from pkg_e.b import X\n",
            "pkg_e/b.py": "from pkg_e.a import X\n",
        }
    )
    assert isinstance(find("pkg_e.a.X"), Opaque)


def test_methods_own_and_inherited(write):
    write({"pkg_f.py": "class A:\n    def make(self): ...\nclass B(A): ...\n"})
    found = class_member(defined("pkg_f.B"), "make")
    assert found is not None and found.path == "pkg_f.A.make"
    assert defined("pkg_f.B.make").path == "pkg_f.A.make"
    assert [base.path for base in bases(defined("pkg_f.B")) if isinstance(base, Definition)] == ["pkg_f.A"]


def test_a_changed_file_is_read_again(write):
    folder = write({"pkg_g.py": "class Old: ...\n"})
    assert find("pkg_g.Old")
    (folder / "pkg_g.py").write_text("class LongerName: ...\n")
    import os

    os.utime(folder / "pkg_g.py", (1, 1))
    assert find("pkg_g.Old") is None
    assert find("pkg_g.LongerName")


def test_a_file_that_is_not_python_is_a_users_error(write):
    write({"pkg_h.py": "class Broken(\n"})
    with pytest.raises(UserError, match=r"pkg_h\.py, line 1"):
        find("pkg_h.Broken")


def test_modules_and_what_is_in_a_package(write):
    write({"pkg_i/__init__.py": "", "pkg_i/one.py": "", "pkg_i/two/__init__.py": "", "pkg_i/data.csv": ""})
    assert isinstance(find("pkg_i.one"), Module)
    assert find_module("pkg_i.three") is None
    assert submodules("pkg_i") == ["one", "two"]


@pytest.mark.parametrize(
    ("path", "where"),
    [
        ("torch.optim.AdamW", "torch.optim.adamw.AdamW"),
        ("torch.nn.Linear", "torch.nn.modules.linear.Linear"),
        ("lightning.pytorch.Trainer", "lightning.pytorch.trainer.trainer.Trainer"),
        (
            "lightning.pytorch.callbacks.EarlyStopping",
            "lightning.pytorch.callbacks.early_stopping.EarlyStopping",
        ),
        ("torchmetrics.Accuracy", "torchmetrics.classification.accuracy.Accuracy"),
        ("transformers.get_scheduler", "transformers.optimization.get_scheduler"),
    ],
)
def test_real_libraries(path, where):
    assert defined(path).path == where
