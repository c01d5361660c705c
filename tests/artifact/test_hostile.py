"""An artifact made to do harm, or merely odd, ends in one message: no traceback, no hang, no file elsewhere."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file

from noria.artifact import bundle
from noria.cli.base import find_start
from noria.common.errors import UserError
from noria.common.mapping_file import DEEPEST, LARGEST, read_mapping

Spoil = Callable[[Path], object]


@pytest.fixture
def artifact(fitted: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(fitted / "artifact", tmp_path / "artifact"))


def facts(change: Callable[[dict[str, Any]], object]) -> Spoil:
    def spoil(folder: Path) -> None:
        content = yaml.safe_load((folder / "noria.yaml").read_text())
        change(content)
        (folder / "noria.yaml").write_text(yaml.safe_dump(content))

    return spoil


def text(content: str | bytes) -> Spoil:
    return lambda folder: (folder / "noria.yaml").write_bytes(content.encode() if isinstance(content, str) else content)


def model(**change: Any) -> Spoil:
    def spoil(folder: Path) -> None:
        content = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(content | change))

    return spoil


BOMB = "a: &a [x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join([f'*{chr(97 + n)}'] * 9)}]\n" for n in range(20)
)

READING = {
    "aliases of aliases": (text(BOMB), r"line 2 refers to another place of the file"),
    "a value that holds itself": (text("config: &a\n  b: *a\n"), "refers to another place"),
    "too many levels": (text("a: " + "[" * 5000 + "]" * 5000), f"more than {DEEPEST} levels"),
    "levels that never end": (text("a: " + "{a: " * 100_000), f"more than {DEEPEST} levels"),
    "a number of many digits": (text("format: " + "1" * 5000), "cannot be read"),
    "a number in sixties": (text("format: 1" + ":1" * 5000), "line 1 holds a number of more than 100 digits"),
    "a number in hex": (text("seed: 1\nformat: 0x" + "f" * 5000), "line 2 holds a number of more than 100 digits"),
    "no truth": (text("format: !!bool maybe"), "cannot be read"),
    "a stamp without a time": (text("format: !!timestamp never"), "cannot be read"),
    "a date that is none": (text("format: 2026-99-99"), "cannot be read"),
    "a key that is a list": (text("? [a]\n: b"), "cannot be read"),
    "a key that is nothing": (text("config: {~: 1}"), "None is no name of a key"),
    "an object": (text("a: !!python/object/apply:os.system [true]"), "cannot be read"),
    "bytes": (text(b"\xff\xfe\x00"), "cannot be read"),
    "too large": (text("a: '" + "x" * LARGEST + "'"), "larger than 16 MiB"),
    "a pipe": (lambda folder: ((folder / "noria.yaml").unlink(), os.mkfifo(folder / "noria.yaml")), "is not a file"),
    "a folder": (lambda folder: ((folder / "noria.yaml").unlink(), (folder / "noria.yaml").mkdir()), "is not a file"),
    "kind that is a list": (facts(lambda f: f.update(kind=["single_label"])), "its kind is not as Noria writes it"),
    "labels that are a text": (facts(lambda f: f["settings"].update(labels="abc")), "its labels are no list"),
    "labels twice": (facts(lambda f: f["settings"].update(labels=["a", "a"])), "its labels are no list"),
    "length below one": (facts(lambda f: f.update(max_length=0)), "its max_length is not"),
    "length that is a text": (facts(lambda f: f.update(max_length="long")), "its max_length is not"),
    "length without end": (facts(lambda f: f.update(max_length=10**12)), "its max_length is not"),
    "config that is a text": (facts(lambda f: f.update(config="seed")), "its config is not"),
}


@pytest.mark.parametrize(("spoil", "words"), READING.values(), ids=READING)
def test_what_noria_yaml_says_is_read_within_bounds(artifact: Path, spoil: Spoil, words: str) -> None:
    spoil(artifact)
    with pytest.raises(UserError, match=words):
        bundle.open_kind(artifact, bundle.read_facts(artifact))


STARTING = {
    "a list of defaults": (lambda f: f["config"].update(defaults=[{"data": "hub"}]), "it holds 'defaults'"),
    "a config of Hydra's": (lambda f: f["config"].update(hydra={"run": {"dir": "/"}}), "it holds 'hydra'"),
    "data that is a text": (lambda f: f["config"].update(data="mine"), "'data' is 'mine', and should be a mapping"),
    "a model that is a list": (lambda f: f["config"].update(model=[1]), "'model' is .* should be a mapping"),
    "choices that are a list": (lambda f: f.update(choices=[1]), "choices"),
    "a database": (
        lambda f: f["config"]["data"].update(url="postgresql://10.0.0.1/x"),
        r"its data lies at data\.url=postgresql://10\.0\.0\.1/x",
    ),
    "a database inside the original data": (
        lambda f: f["config"]["data"].update(original={"url": "sqlite:////root/x.db"}),
        r"its data lies at data\.original\.url",
    ),
}


@pytest.mark.parametrize(("change", "words"), STARTING.values(), ids=STARTING)
def test_the_config_in_it_starts_nothing(artifact: Path, change: Any, words: str) -> None:
    facts(change)(artifact)
    with pytest.raises(UserError, match=words):
        find_start(["stage=evaluate", f"artifact={artifact}"])


def test_a_database_that_is_typed_is_opened(artifact: Path) -> None:
    facts(lambda f: f["config"]["data"].update(url="sqlite:///feedback.db"))(artifact)
    find_start(["stage=evaluate", f"artifact={artifact}", "data.url=sqlite:///feedback.db"]).clean_up()
    find_start(["stage=cycle", f"artifact={artifact}"]).clean_up()


def index(files: Any) -> Spoil:
    def spoil(folder: Path) -> None:
        (folder / "model.safetensors").rename(folder.parent / "elsewhere.safetensors")
        (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": files}))

    return spoil


def pickled(spoil: Spoil) -> Spoil:
    def spoil_it(folder: Path) -> None:
        torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
        (folder / "model.safetensors").unlink()
        spoil(folder)

    return spoil_it


OPENING = {
    "a million layers of a pickle": (pickled(model(num_hidden_layers=10**6)), "num_hidden_layers=1,000,000, and the"),
    "ten million layers": (model(num_hidden_layers=10**7), "says num_hidden_layers=10,000,000, and the weights are"),
    "endless positions": (model(max_position_embeddings=10**12), "says max_position_embeddings=1,000,000,000,000"),
    "a width of many digits": (model(hidden_size=10**30), r"says hidden_size=10\^30"),
    "no heads": (model(num_attention_heads=0), "cannot open this folder"),
    "a text for a number": (model(hidden_size="wide"), "cannot open this folder"),
    "a mapping for a number": (model(num_hidden_layers={"a": 1}), "cannot open this folder"),
    "a type that is a list": (model(model_type=["bert"]), "cannot open this folder"),
    "no mapping": (lambda folder: (folder / "config.json").write_text("[1]"), "cannot open this folder"),
    "levels": (lambda f: (f / "config.json").write_text('{"a":' * 9999 + "1" + "}" * 9999), "cannot open this folder"),
    "weights elsewhere": (index({"a": "../elsewhere.safetensors"}), "names a file outside the folder"),
    "weights at the root": (index({"a": "/etc/passwd"}), "names a file outside the folder"),
    "weights that are not there": (index({"a": "other.safetensors"}), "which is not there"),
    "an index without a map": (index(None), "holds no weight_map"),
    "an index that is a list": (index(["a"]), "holds no weight_map"),
}


@pytest.mark.parametrize(("spoil", "words"), OPENING.values(), ids=OPENING)
def test_the_model_in_it_is_opened_within_bounds(artifact: Path, spoil: Spoil, words: str) -> None:
    spoil(artifact)
    with pytest.raises(UserError, match=words):
        bundle.open_artifact(artifact)


def test_a_size_that_only_names_layers_is_no_number_of_them(artifact: Path) -> None:
    model(vocab_size_per_layer_input=262_144)(artifact)  # of Gemma 3n
    bundle.open_artifact(artifact)


def test_the_command_line_says_it_in_one_line(artifact: Path, noria: Callable[..., int], capsys: Any) -> None:
    text(BOMB)(artifact)
    for stage in ("evaluate", "predict", "serve", "cycle"):
        assert noria(f"stage={stage}", f"artifact={artifact}", "input=x.csv") == 2
        said = capsys.readouterr().err.strip()
        assert "\n" not in said and "refers to another place of the file" in said


def test_what_noria_writes_is_read(fitted: Path) -> None:
    assert read_mapping(fitted / "artifact" / "noria.yaml") == yaml.safe_load(
        (fitted / "artifact/noria.yaml").read_text()
    )
    assert read_mapping(fitted / "record.json")["status"] == "done"
