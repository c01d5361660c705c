"""What a user may get wrong, each through the command line: the exit status, the words that matter, no traceback."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import yaml


class Case(NamedTuple):
    """Words of a command line and what must be said of them."""

    name: str
    words: str
    said: tuple[str, ...]
    status: int = 2


def lines(*rows: str) -> str:
    return "\n".join(rows) + "\n"


def table(*rows: str, header: str = "text,label") -> str:
    return lines(header, *rows)


ROWS = [
    f"film {number} is {word},{label}" for number in range(30) for word, label in (("fine", "good"), ("dull", "bad"))
]

FILES: dict[str, str | bytes] = {
    "good.csv": table(*ROWS),
    # files
    "empty.csv": "",
    "header.csv": table(),
    "latin.csv": table("café,good").encode("latin-1"),
    "latin.jsonl": '{"text": "fine", "label": "a"}\n{"text": "café", "label": "b"}\n'.encode("latin-1"),
    "broken.jsonl": lines('{"text": "fine", "label": "a"}', '{"text": "dull", "label":'),
    "number.jsonl": lines('{"text": "fine", "label": "a"}', "3"),
    "mixed.jsonl": lines('{"text": "fine", "label": "a"}', '{"text": 3, "label": "b"}'),
    "ragged.csv": table("fine,good", "dull,bad,worse"),
    "sheet.xlsx": b"PK\x03\x04",
    "broken.parquet": b"PAR1 and nothing more",
    # rows
    "column.csv": table(*ROWS, header="txt,label"),
    "label.csv": table(*ROWS, header="text,lable"),
    "twice.csv": table("a,b,c", header="text,text,label"),
    "numbers.csv": table(*(f"{number},{number % 2}" for number in range(20))),
    "blank.csv": table(*(f"  ,{number % 2}" for number in range(20))),
    "unlabelled.csv": table(*(f"film {number}," for number in range(20))),
    "neutral.csv": table("a new film,neutral"),
    "moods.csv": table(*(f"film {number},{('good', 'neutral')[number % 2]}" for number in range(40))),
    "one.csv": table(*(f"film {number},good" for number in range(20))),
    "each.csv": table(*(f"film {number},label {number}" for number in range(40))),
    "many.csv": table(*(f"film {number},label {number // 2}" for number in range(3000))),
    "stars.csv": table(*(f"film {number},{number / 7}" for number in range(20))),
    "few.csv": table("fine,good", "dull,bad"),
    # what is to be predicted
    "broken_input.jsonl": lines('{"text": "fine"}', '{"text": "dull"'),
    "no_text.jsonl": lines('{"text": "fine"}', '{"txt": "dull"}'),
    "no_object.jsonl": lines('["fine"]'),
    "no_string.jsonl": lines('{"text": ["fine"]}'),
    "no_text.csv": table("fine,1", header="txt,number"),
    "latin.txt": "café\n".encode("latin-1"),
    "brace.txt": lines("fine", "{not JSON"),
    # configs
    "own/experiment/broken.yaml": "seed: [1\nnotes: x\n",
    "own/experiment/stray.yaml": "# @package _global_\ndefaults:\n  - override /modle: minilm\n",
    "own/model/gone.yaml": "_target_: no_such_package.Model\n",
    "own/model/typo.yaml": "_target_: noria.model.pretrained.Pretraned\nname: x\n",
}

CONFIG = [
    Case("group", "modle=minilm", ("'modle'", "Did you mean 'model'?")),
    Case("choice", "model=minlm", ("model=minlm", "Did you mean 'minilm'?", "bert_base, hub, minilm")),
    Case("experiment", "experiment=quick", ("experiment=quick", "Did you mean 'quickstart'?")),
    Case("key", "optimizer.lrr=1", ("optimizer.lrr", "Did you mean 'optimizer.lr'?")),
    Case("key at the top", "batch_size=8", ("'batch_size'", "Did you mean 'data.batch_size'?")),
    Case("added key", "+optimizer.momentun=1", ("optimizer.momentun", "adamw", "There are: betas")),
    Case("added key at the top", "+sed=1", ("sed is not a key", "Did you mean 'seed'?")),
    Case("wrong type", "data.batch_size=many", ("data.batch_size = 'many'", "a whole number")),
    Case("wrong type of a list", "tags=a", ("tags = 'a'", "a list")),
    Case("out of range", "optimizer.lr=-1", ("optimizer.lr = -1", "greater than 0")),
    Case("no device", "trainer.devices=0", ("trainer.devices = 0", "greater than 0, 'auto'")),
    Case("no such word", "task.kind=regresion", ("task.kind = 'regresion'", "Did you mean 'regression'?")),
    Case("no value", "data=table", ("data.path is required", "type data.path=")),
    Case("no equals sign", "quickstart", ("'quickstart' is not key=value", "model=minilm")),
    Case("brackets", "notes=a(b", ("'notes=a(b'", "quotes of its own")),
    Case("several values", "optimizer.lr=1e-4,1e-5", ("several values", "add -m")),
    Case("reference", "seed=${sed}", ("seed refers to ${sed}", "Did you mean 'seed'?")),
    Case("group of nothing", "model=null", ("not a number or null", "~group")),
    Case("left out", "~optimizer", ("stage=fit needs a choice for optimizer",)),
    Case("nothing measured", "metric=[]", ("stage=fit needs a choice for metric",)),
    Case("list left out", "~callback", ("~callback", "type callback=[]")),
    Case("no stage", "~stage", ("no stage", "stage=fit")),
    Case("fp16 on a CPU", "precision=fp16 trainer.accelerator=cpu", ("16-mixed needs a GPU", "precision=auto")),
    Case("metric of another task", "task=text_regression metric=[f1]", ("metric 'f1'", "regression", "pearson")),
    Case("monitor", "monitor.metric=val/acc", ("monitor.metric=val/acc", "Did you mean val/accuracy?")),
    Case("endless", "trainer.max_epochs=-1", ("never end", "trainer.max_epochs")),
    Case("no training rows", "data.val_fraction=0.5 data.test_fraction=0.5", ("leave no row to train on",)),
    Case("stage without artifact", "stage=evaluate", ("stage=evaluate needs a model", "artifact=runs/latest/artifact")),
    Case("stage without input", "stage=predict artifact={artifact}", ("needs texts", "input=texts.txt")),
    Case("resume of nothing", "resume=nowhere", ("resume=nowhere: there is no such folder",)),
    Case("two artifacts", "stage=evaluate artifact={artifact},{artifact} -m", ("one artifact or run at a time",)),
    Case("config folder", "--config-dir nowhere", ("--config-dir", "nowhere: there is no such folder")),
    Case("broken YAML", "--config-dir own experiment=broken", ("own/experiment/broken.yaml, line 2", "cannot be read")),
    Case("group in a file", "--config-dir own experiment=stray", ("experiment/stray.yaml", "Did you mean 'model'?")),
    Case("package", "--config-dir own model=gone", ("no package 'no_such_package'", "PYTHONPATH")),
    Case("class", "--config-dir own model=typo", ("'Pretraned'", "Did you mean 'Pretrained'?")),
]

# each of these is a fit of the tiny model
FITS = [
    Case("missing file", "data.path=god.csv", ("data.path=god.csv: there is no such file", "Did you mean good.csv?")),
    Case("empty file", "data.path=empty.csv", ("'empty.csv' is empty",)),
    Case("header only", "data.path=header.csv", ("header.csv holds no rows",)),
    Case("encoding", "data.path=latin.csv", ("'latin.csv', line 2: not UTF-8", "Save the file as UTF-8")),
    Case("encoding of JSON", "data.path=latin.jsonl", ("'latin.jsonl', line 2: not UTF-8",)),
    Case("broken JSON", "data.path=broken.jsonl", ("'broken.jsonl', line 2: not valid JSON", '"label":')),
    Case("no object", "data.path=number.jsonl", ("'number.jsonl', line 2: not a JSON object: 3",)),
    Case("mixed types", "data.path=mixed.jsonl", ("'mixed.jsonl', line 2", "type int, in line 1 of type str")),
    Case("ragged", "data.path=ragged.csv", ("'ragged.csv', row 2", "3 columns, the header has 2", "dull,bad,worse")),
    Case("suffix", "data.path=sheet.xlsx", ("'.xlsx' are not read", ".csv, .tsv, .json")),
    Case("broken Parquet", "data.path=broken.parquet", ("'broken.parquet' is not a readable Parquet file",)),
    Case("folder", "data.path=own", ("'own' is a folder", "name a file in it")),
    Case("text column", "data.path=column.csv", ("no column 'text'", "txt, label", "Did you mean 'txt'?", "data.text")),
    Case("label column", "data.path=label.csv", ("no column 'label'", "Did you mean 'lable'?")),
    Case("column twice", "data.path=twice.csv", ("2 columns named 'text'",)),
    Case("one column for both", "data.path=good.csv data.text=label", ("data.text (label)", "name a column twice")),
    Case("three texts", "data.path=good.csv data.text=[a,b,c]", ("data.text names 3 columns", "the two of a pair")),
    Case("numbers as text", "data.path=numbers.csv", ("numbers.csv: the column 'text'", "nothing but numbers")),
    Case("no texts", "data.path=blank.csv", ("blank.csv: every row was left out (no text: 20)",)),
    Case("no labels", "data.path=unlabelled.csv", ("unlabelled.csv: every row was left out (no label: 20)",)),
    Case("unknown label", "data.path=good.csv data.val_path=neutral.csv", ("neutral.csv:1", "'neutral'", "bad, good")),
    Case("no number", "data.path=good.csv task=text_regression", ("row good.csv:1", "'good' is not a number")),
    Case("one class", "data.path=one.csv", ("every row has the label 'good'", "nothing to learn")),
    Case("own labels", "data.path=each.csv", ("each.csv: every row has a label of its own", "right column?")),
    Case("many classes", "data.path=many.csv", ("different labels (at most 1000)", "right column?")),
    Case("stars", "data.path=stars.csv", ("row stars.csv:2", "is a number, not a class", "task=text_regression")),
    Case("few rows", "data.path=few.csv", ("few.csv: its 2 rows are too few", "data.val_fraction=0")),
    Case("names", "data.path=good.csv data.label_names=[x,x]", ("data.label_names names a label twice",)),
    Case("weights", "data.path=good.csv task.class_weights=[1,2,3]", ("3 weights for 2 labels", "one a label")),
    Case(
        "weight of no rows",
        "data.path=good.csv task.class_weights=[1,-1]",
        ("task.class_weights[1] = -1", "at least 0"),
    ),
    Case(
        "no steps", "data.path=good.csv trainer.limit_train_batches=0", ("not one training step", "Raise trainer.limit")
    ),
    Case("rare validation", "data.path=good.csv trainer.val_check_interval=99", ("val_check_interval=99", "2 batches")),
    Case("no validation", "data.path=good.csv trainer.limit_val_batches=0.1", ("less than one", "take 0 to leave")),
    Case("warm-up", "data.path=good.csv scheduler.warmup_steps=99", ("scheduler.warmup_steps=99", "train longer")),
    Case(
        "early stopping",
        "data.path=good.csv data.val_fraction=0 callback=[early_stopping]",
        ("early_stopping", "no val split", "data.val_fraction"),
    ),
    Case("model folder", "data.path=good.csv model.name=own", ("model.name=own", "no config.json")),
    Case("model path", "data.path=good.csv model.name=/no/where", ("model.name=/no/where: there is no such folder",)),
    Case("model name", "data.path=good.csv model.name=nobody/none", ("model.name=nobody/none", "name a folder")),
    Case("learning rate", "data.path=good.csv optimizer.lr=1e30", ("loss became nan", "Lower optimizer.lr"), 1),
]

# each of these opens a copy of a sound artifact, or goes on with a copy of a run, that `damage` has changed
OPENED = [
    Case("no folder", "stage=evaluate artifact=nowhere", ("artifact=nowhere: there is no such folder",)),
    Case("run for artifact", "stage=evaluate artifact={run}", ("no artifact", "Did you mean artifact=")),
    Case("no noria.yaml", "stage=evaluate artifact=own", ("artifact=own holds no noria.yaml",)),
    Case("broken noria.yaml", "stage=evaluate artifact=damaged", ("damaged/noria.yaml cannot be read", "line 1")),
    Case("newer format", "stage=evaluate artifact=damaged", ("format 99; this Noria reads format 2", "Update Noria")),
    Case("stranger", "stage=predict artifact=damaged input=good.csv", ("is not trusted", "'os.system'")),
    Case("kind", "stage=evaluate artifact=damaged", ("damaged/noria.yaml names 'wonder'", "no kind of work")),
    Case("settings gone", "stage=evaluate artifact=damaged", ("does not describe an artifact: it lacks settings",)),
    Case("half the weights", "stage=predict artifact=damaged input=good.csv", ("damaged", "weights", "cut short")),
    Case("no weights", "stage=predict artifact=damaged input=good.csv", ("damaged", "no file named model.safetensors")),
    Case("broken config.json", "stage=predict artifact=damaged input=good.csv", ("config.json", "not a valid JSON")),
    Case("no tokenizer", "stage=predict artifact=damaged input=good.csv", ("no tokenizer.json", "the whole folder")),
    Case("other labels", "stage=evaluate artifact={artifact} data.path=moods.csv",
         ("row moods.csv:2", "'neutral' is not among the known ones: bad, good")),
    Case("no such split", "stage=evaluate artifact={artifact} stage.split=tset", ("'tset'", "Did you mean 'test'?")),
    Case("split not cut", "stage=evaluate artifact={artifact} data.test_fraction=0", ("only train, val",)),
    Case("other task", "stage=evaluate artifact={artifact} metric=[mse]", ("metric 'mse'", "take metric=[accuracy")),
    Case("half a checkpoint", "resume=damaged_run", ("last.ckpt cannot be read", "start a new run")),
    Case("checkpoint with code", "resume=damaged_run", ("last.ckpt cannot be read", "none of Noria's")),
    Case("broken record", "resume=damaged_run", ("damaged_run/record.json cannot be read",)),
    Case("broken config.yaml", "resume=damaged_run", ("damaged_run/config.yaml cannot be read: it is no mapping",)),
    Case("no record", "resume=damaged_run", ("damaged_run is not a run folder", "record.json")),
    Case("no checkpoint", "resume=damaged_run", ("holds no checkpoints/last.ckpt", "resume=auto")),
    Case("done", "resume={run}", ("this run is done", "model=hub model.name=")),
    Case("changed", "resume=damaged_run optimizer.lr=0.5", ("optimizer.lr: was 0.001, would be 0.5",)),
]  # fmt: skip

INPUTS = [
    Case("missing input", "input=god.csv", ("input=god.csv: there is no such file", "Did you mean good.csv?")),
    Case("folder as input", "input=own", ("input=own is a folder", "standard input")),
    Case("broken line", "input=broken_input.jsonl", ("broken_input.jsonl', line 2: not valid JSON",)),
    Case("no text", "input=no_text.jsonl", ("no_text.jsonl, line 2", "no 'text'", "Did you mean 'txt'?", "data.text=")),
    Case("no text column", "input=no_text.csv", ("no column 'text'", "Did you mean 'txt'?")),
    Case("list for a line", "input=no_object.jsonl", ("no_object.jsonl', line 1: not a JSON object", "[")),
    Case("list for a text", "input=no_string.jsonl", ("line 1: 'text' is [\"fine\"], which is no text",)),
    Case("numbers for texts", "input=numbers.parquet", ("numbers.parquet, row 1: 'text' is 3",)),
    Case("encoding of an input", "input=latin.txt", ("latin.txt, line 1: not UTF-8",)),
    Case("brace", "input=brace.txt", ("brace.txt, line 2: not valid JSON", "{")),
    Case("input suffix", "input=sheet.xlsx", ("'.xlsx' are not read",)),
    Case("output", "input=good.csv stage.output=no/where/out", ("stage.output=no/where/out cannot be written",)),
    Case("output over input", "input=good.csv stage.output=./good.csv", ("is the input itself", "another file")),
    Case("batch size", "input=good.csv stage.batch_size=0", ("stage.batch_size = 0", "greater than 0")),
]


@pytest.fixture(autouse=True)
def place(tmp_path: Path) -> None:
    """All the files, in the folder that the commands run in."""
    for name, content in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    pq.write_table(pa.table({"text": [3, 4]}), tmp_path / "numbers.parquet")


@pytest.fixture
def refused(noria: Callable[..., int], capsys: pytest.CaptureFixture[str], fitted: Path) -> Callable[..., None]:
    """refused(case, *words): runs the case's words after these, and checks how it ends."""

    def run(case: Case, *words: str) -> None:
        typed = case.words.replace("{run}", str(fitted)).replace("{artifact}", str(fitted / "artifact"))
        status = noria(*words, *typed.split())
        said = capsys.readouterr()
        assert "Traceback" not in said.out + said.err, said.err
        missing = [part for part in case.said if part not in said.err]
        assert (status, missing) == (case.status, []), said.err

    return run


def ids(cases: list[Case]) -> dict[str, Any]:
    return {"argvalues": cases, "ids": [case.name for case in cases]}


@pytest.mark.parametrize("case", **ids(CONFIG))
def test_a_bad_config(case, refused, tmp_path):
    refused(case)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("case", **ids(FITS))
def test_bad_files_rows_and_settings_of_a_fit(case, refused, tiny):
    refused(case, *(word for word in tiny if not word.startswith("data.path=")))


@pytest.mark.parametrize("case", **ids(OPENED))
def test_bad_artifacts_and_runs(case, refused, fitted, tmp_path):
    if "damaged" in case.words:
        damage(case.name, fitted, tmp_path)
    refused(case)


@pytest.mark.parametrize("case", **ids(INPUTS))
def test_bad_inputs_of_predict(case, refused, fitted, tmp_path):
    refused(case, "stage=predict", f"artifact={fitted / 'artifact'}")
    assert (tmp_path / "good.csv").read_text() == FILES["good.csv"]


def test_every_case_has_a_name_of_its_own():
    names = [case.name for case in [*CONFIG, *FITS, *OPENED, *INPUTS]]
    assert len(set(names)) == len(names) >= 100


def damage(name: str, run: Path, folder: Path) -> None:
    """Copies the artifact to `damaged`, or the run to `damaged_run` as an unfinished one, and breaks it."""
    artifact, copy = folder / "damaged", folder / "damaged_run"
    shutil.copytree(run / "artifact", artifact)
    shutil.copytree(run, copy, ignore=shutil.ignore_patterns("artifact", "predictions.parquet"))
    record = json.loads((copy / "record.json").read_text())
    (copy / "record.json").write_text(json.dumps(record | {"status": "failed"}))
    checkpoint = copy / "checkpoints/last.ckpt"
    facts = yaml.safe_load((artifact / "noria.yaml").read_text())

    def refact(**changed: Any) -> None:
        kept = {key: value for key, value in (facts | changed).items() if value is not None}
        (artifact / "noria.yaml").write_text(yaml.safe_dump(kept))

    damages: dict[str, Callable[[], Any]] = {
        "broken noria.yaml": lambda: (artifact / "noria.yaml").write_text("format: [1\nkind: x\n"),
        "newer format": lambda: refact(format=99),
        "stranger": lambda: refact(config=facts["config"] | {"data": {"_target_": "os.system"}}),
        "kind": lambda: refact(kind="wonder"),
        "settings gone": lambda: refact(settings=None),
        "half the weights": lambda: halve(artifact / "model.safetensors"),
        "no weights": lambda: (artifact / "model.safetensors").unlink(),
        "broken config.json": lambda: (artifact / "config.json").write_text("{"),
        "no tokenizer": lambda: (artifact / "tokenizer.json").unlink(),
        "half a checkpoint": lambda: halve(checkpoint),
        "checkpoint with code": lambda: torch.save({"state_dict": Path("code")}, checkpoint),
        "broken record": lambda: (copy / "record.json").write_text('{"status": '),
        "broken config.yaml": lambda: (copy / "config.yaml").write_text("- seed\n"),
        "no record": lambda: (copy / "record.json").unlink(),
        "no checkpoint": lambda: checkpoint.unlink(),
        "changed": lambda: None,
    }
    damages[name]()


def halve(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
