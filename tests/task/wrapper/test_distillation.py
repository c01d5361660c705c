"""A student of a teacher, for every kind that can be taught: what it learns is the formula's, and what the teacher says
is computed once."""

from __future__ import annotations

import gc
import importlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

from noria.artifact import bundle
from noria.cli.main import main
from noria.task.learner import Learner

CASES = {
    f"{kind}-{case.name.replace(' ', '_')}": case
    for kind, names in {
        "text_classification": ("one label", "several labels"),
        "token_classification": None,
        "question_answering": None,
        "text_embedding": None,
        "causal_lm": ("chats",),
    }.items()
    for case in importlib.import_module(f"tests.task.{kind}.case").CASES[: None if names else 1]
    if names is None or case.name in names
}
LEARNT = "task/wrapper=distillation"


@dataclass(frozen=True)
class Taught:
    folder: Path
    words: list[str]

    @property
    def compares(self) -> bool:
        """Whether its loss is one of a whole step."""
        return "task=embedding" in self.words

    def noria(self, *words: str) -> int:
        before = Path.cwd()
        os.chdir(self.folder)
        try:
            return main([*words, "precision=fp32"])
        finally:
            os.chdir(before)

    def fit(self, run: str, *words: str, teacher: str = "teacher") -> dict[str, Any]:
        given = [LEARNT, f"task.wrapper.teacher={teacher}/artifact", f"paths.run_dir={run}"]
        assert self.noria(*self.words, *given, *words) == 0
        return self.record(run)

    def record(self, run: str) -> dict[str, Any]:
        return json.loads((self.folder / run / "record.json").read_text())

    def weights(self, run: str) -> bytes:
        return (self.folder / run / "artifact/model.safetensors").read_bytes()


def made(case: Any, folder: Path, models: dict[str, Path]) -> Taught:
    for name, text in case.files.items():
        (folder / name).write_text(text)
    words = [*case.words, "model=hub", f"model.name={models[case.architecture]}"]
    words += [f"model.architecture={case.architecture}", "optimizer.lr=3e-3", "logger=csv", "data.batch_size=8"]
    words += ["trainer.max_epochs=1", "stage.test=false", "data.limit=48", "data.eval_limit=24"]
    taught = Taught(folder, words)
    assert taught.noria(*words, "paths.run_dir=teacher", "seed=1") == 0
    return taught


@pytest.fixture(scope="module", params=CASES)
def kind(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, tiny_model: Path, tiny_decoder: Path
) -> Iterator[Taught]:
    """A kind with a teacher: another seed of the same fit."""
    models = {"encoder": tiny_model, "decoder": tiny_decoder}
    yield made(CASES[request.param], tmp_path_factory.mktemp("kind"), models)


@pytest.fixture(scope="module")
def classes(tmp_path_factory: pytest.TempPathFactory, tiny_with_dropout: Path) -> Taught:
    """The same of one classifier, with dropout."""
    models = {"encoder": tiny_with_dropout}
    return made(CASES["text_classification-one_label"], tmp_path_factory.mktemp("classes"), models)


def columns(cache: Path) -> dict[Path, int]:
    """The files in the cache that hold what teachers say, with the times of their making."""
    return {path: path.stat().st_mtime_ns for path in (cache / "columns").rglob("*") if path.suffix != ".lock"}


def test_a_student_is_an_artifact_like_any_other(kind: Taught, cache: Path) -> None:
    before = columns(cache)
    record = kind.fit("student")
    assert record["status"] == "done" and record["choices"]["task/wrapper"] == "distillation"
    facts = bundle.read_facts(kind.folder / "student/artifact")
    assert facts["kind"] == bundle.read_facts(kind.folder / "teacher/artifact")["kind"]
    assert facts["config"]["task"]["wrapper"]["teacher"] == "teacher/artifact"
    # how good the teacher is stands beside, as its own fit has measured it
    told, own = record["teacher"]["metrics"], kind.record("teacher")["metrics"]
    assert set(told) == {name for name in own if name.startswith("val/")}
    assert all(told[name]["value"] == pytest.approx(own[name]["value"], rel=1e-4, nan_ok=True) for name in told)
    # validation is that of any run: what the artifact is measured at
    assert record["history"][-1]["val/loss"] == pytest.approx(record["metrics"]["val/loss"]["value"], rel=1e-4)

    # what the teacher has said is there now: the next run does not ask it
    kept = columns(cache)
    assert record["teacher"]["opened"] and len(kept) > len(before)
    again = kind.fit("second")
    assert not again["teacher"]["opened"] and columns(cache) == kept
    assert again["teacher"]["metrics"] == told and kind.weights("second") == kind.weights("student")


def test_the_loss_is_of_labels_and_teacher(kind: Taught) -> None:
    """The first step, of the whole set: what is logged is the sum of both with their weights."""
    whole = ["data.batch_size=64", "optimizer.lr=1e-9", "trainer.max_epochs=1"]
    found = []
    for number, (labels, soft) in enumerate([(1, 1e-9), (0, 1), (0.3, 2)]):
        words = [f"task.wrapper.labels={labels}", f"task.wrapper.soft={soft}", *whole]
        found.append(kind.fit(f"parts/{number}", *words)["history"][0]["train/loss"])
    assert found[1] > 0
    assert found[2] == pytest.approx(0.3 * found[0] + 2 * found[1], rel=1e-4)


def test_no_teacher_is_learnt_from_as_well_as_oneself(kind: Taught) -> None:
    """A student that begins as its teacher is at no distance from it, however the rows are cut into batches."""
    own = [f"model.name={kind.folder}/teacher/artifact", "task.wrapper.labels=0", "optimizer.lr=1e-9"]
    for number, more in enumerate((["data.batch_size=7"], ["data.batch_size=64", "model.attn_implementation=sdpa"])):
        record = kind.fit(
            f"self/{number}", *own, *more, "++data.eval_batch_size=5", "data.limit=40", "task.wrapper.top=1000"
        )
        assert abs(record["history"][0]["train/loss"]) < 2e-4


def test_a_student_is_measured_without_its_teacher(classes: Taught) -> None:
    record = classes.fit("alone")
    shutil.move(classes.folder / "teacher", classes.folder / "away")
    try:
        words = ["stage=evaluate", "artifact=alone/artifact", "stage.split=val", "paths.run_dir=again"]
        assert classes.noria(*words) == 0
    finally:
        shutil.move(classes.folder / "away", classes.folder / "teacher")
    again = classes.record("again")
    assert again["metrics"]["val/loss"]["value"] == pytest.approx(record["metrics"]["val/loss"]["value"], rel=1e-4)
    assert "wrapper" not in again["config"]["task"] and "task/wrapper" not in again["choices"]


def test_hidden_states_count_as_well(kind: Taught, capsys: pytest.CaptureFixture[str]) -> None:
    if kind.compares:
        words = [*kind.words, LEARNT, "task.wrapper.teacher=teacher/artifact", "task.wrapper.hidden=1"]
        assert kind.noria(*words) == 2 and "learns vectors" in capsys.readouterr().err
        return
    whole = ["data.batch_size=64", "optimizer.lr=1e-9", "task.wrapper.labels=0"]
    found = []
    for hidden, soft in ((0, 1), (1, 1e-9), (2, 1)):
        words = [f"task.wrapper.hidden={hidden}", f"task.wrapper.soft={soft}"]
        found.append(kind.fit(f"states/{hidden}", *words, *whole)["history"][0]["train/loss"])
    assert found[1] > 0 and found[2] == pytest.approx(found[0] + 2 * found[1], rel=1e-4)


def test_hidden_states_of_another_width(classes: Taught, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from tests.conftest import make_tiny

    words = [LEARNT, "task.wrapper.teacher=teacher/artifact", "task.wrapper.hidden=1"]
    narrow = make_tiny(tmp_path / "narrow", hidden_size=16)
    assert classes.noria(*classes.words, *words, f"model.name={narrow}", "paths.run_dir=narrow") == 2
    assert "teacher/artifact are 32 wide and the student's 16" in " ".join(capsys.readouterr().err.split())


def test_it_goes_on_bit_for_bit(classes: Taught, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["trainer.max_epochs=2", "callback.checkpoint.every_n_steps=3"]
    classes.fit("whole", *words)
    steps, step = [], Learner.training_step

    def interrupted(self: Learner, *args: Any) -> Any:
        steps.append(1)
        if len(steps) == 9:
            raise KeyboardInterrupt
        return step(self, *args)

    with monkeypatch.context() as patch:
        patch.setattr(Learner, "training_step", interrupted)
        given = [LEARNT, "task.wrapper.teacher=teacher/artifact", "paths.run_dir=resumed"]
        assert classes.noria(*classes.words, *given, *words) == 130
    assert classes.noria("resume=resumed", "stage.test=false") == 0
    assert classes.weights("resumed") == classes.weights("whole")


def test_it_does_not_go_on_with_another_teacher(classes: Taught, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(classes.folder / "teacher", classes.folder / "other")
    classes.fit("changed", teacher="other")
    record = classes.folder / "changed/record.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | {"status": "failed"}))
    shutil.copy(classes.folder / "changed/artifact/model.safetensors", classes.folder / "other/artifact")
    assert classes.noria("resume=changed") == 2
    assert "the teacher's files (other/artifact)" in " ".join(capsys.readouterr().err.split())


def test_what_the_cache_holds_changes_no_run(classes: Taught, cache: Path) -> None:
    classes.fit("held")
    shutil.rmtree(cache / "columns")
    shutil.rmtree(cache / "teachers")
    assert classes.fit("anew")["teacher"]["opened"]
    assert classes.weights("held") == classes.weights("anew")


def test_a_damaged_cache_is_made_again(classes: Taught, cache: Path) -> None:
    classes.fit("sound")
    for path in (cache / "columns").rglob("*.values"):
        path.write_bytes(path.read_bytes()[:-3])
    assert classes.fit("mended")["teacher"]["opened"]
    assert classes.weights("mended") == classes.weights("sound")


def test_no_network_of_a_teacher_is_there_in_training(classes: Taught, monkeypatch: pytest.MonkeyPatch) -> None:
    beside, step = [], Learner.training_step

    def counted(self: Learner, *args: Any) -> Any:
        gc.collect()
        own = {id(x) for x in self.network.parameters()}
        live = [x for x in gc.get_objects() if isinstance(x, torch.nn.Parameter) and id(x) not in own]
        beside.append(sum(x.numel() for x in live))
        return step(self, *args)

    monkeypatch.setattr(Learner, "training_step", counted)
    assert classes.noria(*classes.words, "paths.run_dir=plain", "data.limit=30") == 0
    without = max(beside)
    beside.clear()
    assert classes.fit("beside", "data.limit=30")["teacher"]["opened"]
    assert max(beside) <= without


@pytest.mark.parametrize("family", ["encoder", "decoder"])
def test_a_student_of_the_teachers_own_layers(family: str, tmp_path: Path, tiny_decoder: Path) -> None:
    from tests.conftest import make_tiny, make_tiny_decoder

    sizes: dict[str, Any] = {"num_hidden_layers": 4}
    decodes = family == "decoder"
    model = (make_tiny_decoder if decodes else make_tiny)(tmp_path / "model", **sizes)
    case = CASES["causal_lm-chats" if decodes else "text_classification-one_label"]
    taught = made(case, tmp_path, {"encoder": model, "decoder": model})
    record = taught.fit("half", "task.wrapper.every=2", "optimizer.lr=1e-12")
    assert record["model"]["parameters"] < taught.record("teacher")["model"]["parameters"]
    auto = AutoModelForCausalLM if decodes else AutoModelForSequenceClassification
    half, whole = (auto.from_pretrained(tmp_path / run / "artifact").eval() for run in ("half", "teacher"))
    assert half.config.num_hidden_layers == 2 and whole.config.num_hidden_layers == 4
    own, teachers = (dict(network.named_parameters()) for network in (half, whole))
    prefix = next(name.partition("layer")[0] for name in own if "layer" in name)
    prefix += "layers" if decodes else "layer"
    begun = {f"{prefix}.1.": f"{prefix}.3.", f"{prefix}.0.": f"{prefix}.0."}
    for name, weight in own.items():
        there = next((name.replace(a, b) for a, b in begun.items() if name.startswith(a)), name)
        torch.testing.assert_close(weight, teachers[there], rtol=0, atol=1e-6)
    ids = torch.arange(5, 15)[None]
    opened = bundle.open_artifact(tmp_path / "half/artifact").network
    with torch.inference_mode():
        torch.testing.assert_close(half(input_ids=ids).logits, opened(input_ids=ids).logits)


def test_a_teacher_with_its_labels_in_another_order(classes: Taught) -> None:
    """Its rows are put in the student's order, so that it says the same."""
    folder = classes.folder / "turned"
    shutil.copytree(classes.folder / "teacher", folder)
    opened = bundle.open_artifact(folder / "artifact")
    labels = list(opened.labels)
    order = [2, 0, 1]
    head = opened.network.classifier
    head.weight.data, head.bias.data = head.weight.data[order], head.bias.data[order]
    opened.network.config.id2label = {number: labels[place] for number, place in enumerate(order)}
    opened.network.config.label2id = {labels[place]: number for number, place in enumerate(order)}
    opened.kind.form.labels = [labels[place] for place in order]
    bundle.save(folder / "artifact", opened.network, opened.tokenizer, opened.kind, {
        name: opened.facts[name] for name in ("max_length", "precision", "config", "data")
    })  # fmt: skip
    straight, turned = classes.fit("straight"), classes.fit("twisted", teacher="turned")
    assert turned["teacher"]["opened"]
    assert turned["history"][0]["train/loss"] == pytest.approx(straight["history"][0]["train/loss"], rel=1e-5)


def test_a_teacher_that_is_none_for_this_student(
    classes: Taught, tiny_decoder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, labels in (("others", "xyz"), ("numbers", "123")):
        lines = [f"film {number} was warm,{labels[number % 3]}" for number in range(90)]
        (classes.folder / f"{name}.csv").write_text("\n".join(["text,label", *lines]))

    numbers = count()

    def refused(*words: str) -> str:
        run = f"paths.run_dir={tmp_path}/{next(numbers)}"
        assert classes.noria(*classes.words, LEARNT, *words, run) == 2
        assert not list(tmp_path.rglob("*.ckpt"))
        return " ".join(capsys.readouterr().err.split())

    teacher = "task.wrapper.teacher=teacher/artifact"
    assert "task.wrapper.teacher is required" in refused()
    assert "there is no such folder" in refused("task.wrapper.teacher=nobody")
    assert "Did you mean teacher/artifact?" in refused("task.wrapper.teacher=teacher")
    assert "task.wrapper.soft" in refused(teacher, "task.wrapper.soft=0")
    said = refused(teacher, "data.path=others.csv")
    assert "knows the labels cold, loud, warm" in said and "those of this data are x, y, z" in said
    said = refused(teacher, "data.path=numbers.csv", "task=text_regression")
    assert "trained with kind 'single_label', and the student has 'regression'" in said
    said = refused(teacher, f"model.name={tiny_decoder}", "model.architecture=decoder")
    assert "has another tokenizer than the student's model" in said and "task.wrapper.every=2" in said
    assert "Seq2Seq cannot be learnt from a teacher" in refused(teacher, "task=seq2seq", "model.architecture=both")


def test_a_sweep_over_the_wrapper(classes: Taught) -> None:
    words = [LEARNT, "task.wrapper.teacher=teacher/artifact", "task.wrapper.temperature=1,4", "-m", "sweep=warm"]
    assert classes.noria(*classes.words, *words, f"paths.runs={classes.folder}/swept") == 0
    records = [json.loads(path.read_text()) for path in (classes.folder / "swept").rglob("record.json")]
    found = {record["config"]["task"]["wrapper"]["temperature"]: record for record in records}
    assert set(found) == {1, 4} and len({record["config_hash"] for record in records}) == 2
    assert len({np.float64(record["history"][0]["train/loss"]) for record in records}) == 2
