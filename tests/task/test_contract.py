"""What every kind of work keeps to, whatever it learns: found by walking `task/`, a kind without a case fails."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf, open_dict
from tests.task.case import Case

import noria as package
from noria.artifact import bundle
from noria.cli.main import main
from noria.common.errors import UserError
from noria.common.paths import conf_dir
from noria.data.rows.rows import Rows
from noria.data.source.votes import Believed
from noria.model.head import scores_of
from noria.serving.model import Model
from noria.serving.page import page
from noria.serving.source import Named
from noria.task.learner import Learner

RUN = Path(__file__).resolve().parents[2] / "scripts/run.py"
KINDS = sorted(path.parent.name for path in (Path(package.__file__).parent / "task").glob("*/kind.py"))
CASES = {
    f"{kind}-{case.name.replace(' ', '_')}": case
    for kind in KINDS
    for case in importlib.import_module(f"tests.task.{kind}.case").CASES
}
FIRST = [name for name in CASES if name == next(other for other in CASES if other.startswith(name.partition("-")[0]))]
NEAR = {"rel": 2e-5, "abs": 2e-6}


def test_there_are_kinds() -> None:
    assert len(KINDS) >= 2 and {name.partition("-")[0] for name in CASES} == set(KINDS)


def test_the_yaml_of_a_kind_stands_anywhere_in_a_config() -> None:
    """It holds the kind alone: its usual metrics are chosen where it is the one task of a run."""
    with initialize_config_dir(str(conf_dir()), version_base=None):
        plain = OmegaConf.to_container(compose("config"))
        both = compose("config", [f"+task/kind@heads.{kind}={kind}" for kind in KINDS])
    heads = OmegaConf.to_container(both).pop("heads")
    assert {name: keys["_target_"].split(".")[-3] for name, keys in heads.items()} == {kind: kind for kind in KINDS}
    with open_dict(both):
        del both["heads"]
    assert OmegaConf.to_container(both) == plain


@dataclass(frozen=True)
class Fitted:
    case: Case
    folder: Path
    words: list[str]

    @property
    def run(self) -> Path:
        return self.folder / "fits/0"

    @property
    def artifact(self) -> Path:
        return self.run / "artifact"

    def record(self, run: str = "fits/0") -> dict[str, Any]:
        return json.loads((self.folder / run / "record.json").read_text())

    def predictions(self, run: str = "fits/0", split: str = "val") -> dict[str, list[Any]]:
        table = pq.read_table(self.folder / run / "predictions.parquet").to_pylist()
        rows = sorted((row for row in table if row["split"] == split), key=lambda row: row["id"])
        return {name: [row[name] for row in rows] for name in rows[0]}

    def noria(self, *words: str) -> int:
        before = Path.cwd()
        os.chdir(self.folder)
        try:
            return main([*words, "precision=fp32"])
        finally:
            os.chdir(before)


@pytest.fixture(scope="module", params=CASES)
def fitted(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    tiny_model: Path,
    tiny_decoder: Path,
    tiny_encoder_decoder: Path,
) -> Iterator[Fitted]:
    """A kind's small fit, two epochs."""
    case = CASES[request.param]
    folder = tmp_path_factory.mktemp("kind")
    for name, text in case.files.items():
        (folder / name).write_text(text)
    models = {"encoder": tiny_model, "decoder": tiny_decoder, "both": tiny_encoder_decoder}
    words = [*case.words, f"model.architecture={case.architecture}"]
    if "model=transformer" not in words:
        words += ["model=hub", f"model.name={models[case.architecture]}"]
    words += ["trainer.max_epochs=2", "optimizer.lr=3e-3", "logger=csv", "data.batch_size=8"]
    words += ["callback.checkpoint.every_n_steps=3"]
    made = Fitted(case, folder, words)
    assert made.noria(*words, "paths.run_dir=fits/0") == 0
    yield made


def near(found: Any, wanted: Any, **within: float) -> None:
    """The same answers; numbers up to rounding."""
    if isinstance(wanted, dict):
        assert found.keys() == wanted.keys()
        for name in wanted:
            near(found[name], wanted[name], **within)
    elif isinstance(wanted, list):
        assert len(found) == len(wanted)
        for one, other in zip(found, wanted, strict=True):
            near(one, other, **within)
    else:
        wanted = pytest.approx(wanted, **(within or NEAR), nan_ok=True) if isinstance(wanted, float) else wanted
        assert found == wanted


def test_it_learns_and_says_what_it_measured(fitted: Fitted) -> None:
    record = fitted.record()
    losses = [row["train/loss"] for row in record["history"]]
    assert record["status"] == "done" and losses[1] < losses[0]
    assert {"val/loss", "test/loss", fitted.case.monitor} <= set(record["metrics"])
    assert all(found["low"] <= found["value"] <= found["high"] for found in record["metrics"].values())
    form = bundle.open_kind(fitted.artifact, bundle.read_facts(fitted.artifact)).form
    named = set(form.contents_of())
    assert named >= set(pq.read_schema(fitted.run / "predictions.parquet").names) - {"id", "key", "split"}


def test_the_artifact_answers_as_the_fit_did(fitted: Fitted) -> None:
    for split in ("val", "test"):
        words = [f"artifact={fitted.artifact}", f"stage.split={split}", f"paths.run_dir=again/{split}"]
        assert fitted.noria("stage=evaluate", *words) == 0
        near(fitted.predictions(f"again/{split}", split), fitted.predictions(split=split))
        for name, found in fitted.record(f"again/{split}")["metrics"].items():
            near(found["value"], fitted.record()["metrics"][name]["value"])


def test_no_answer_depends_on_its_batch(fitted: Fitted) -> None:
    words = [f"artifact={fitted.artifact}", "stage.split=val", "paths.run_dir=again/alone", "++data.eval_batch_size=1"]
    assert fitted.noria("stage=evaluate", *words) == 0
    near(fitted.predictions("again/alone"), fitted.predictions())


@pytest.mark.parametrize("fitted", FIRST, indirect=True)
def test_what_reads_whole_texts_is_exported_and_says_the_same(fitted: Fitted) -> None:
    words = [f"artifact={fitted.artifact}", "logger=csv"]
    reads = bundle.open_kind(fitted.artifact, bundle.read_facts(fitted.artifact)).packed
    assert fitted.noria("stage=export", *words, "paths.run_dir=export") == (0 if reads else 2)
    assert (fitted.folder / "export/artifact").exists() == reads
    if not reads:
        return
    words = ["artifact=export/artifact", "stage.split=val", "logger=csv", "paths.run_dir=again/exported"]
    assert fitted.noria("stage=evaluate", *words) == 0
    near(fitted.predictions("again/exported"), fitted.predictions(), rel=1e-4, abs=1e-4)


@pytest.mark.parametrize("fitted", FIRST, indirect=True)
def test_it_is_made_smaller_and_says_the_same_where_nothing_is_taken_away(fitted: Fitted) -> None:
    words = [f"artifact={fitted.artifact}", "logger=csv", "stage.split=null"]
    kept = "{prune_magnitude: {ratio: 0}}"
    assert fitted.noria("stage=compress", *words, f"stage.steps=[{kept}]", "paths.run_dir=small/kept") == 0
    words = ["artifact=small/kept/artifact", "stage.split=val", "logger=csv", "paths.run_dir=again/kept"]
    assert fitted.noria("stage=evaluate", *words) == 0
    assert fitted.predictions("again/kept") == fitted.predictions(), "bit for bit"
    words = [f"artifact={fitted.artifact}", "logger=csv", "paths.run_dir=small/half"]
    steps = "stage.steps=[{prune_magnitude: {ratio: 0.3, recover_epochs: 1}},bfloat16]"
    assert fitted.noria("stage=compress", *words, steps) == 0
    assert {"metrics", "pace", "against"} <= set(fitted.record("small/half")["gate"])
    facts = bundle.read_facts(fitted.folder / "small/half/artifact")
    assert [one["name"] for one in facts["compression"]] == ["prune_magnitude", "bfloat16"]


def predicted(fitted: Fitted, rows: list[dict[str, Any]], name: str, *more: str) -> list[dict[str, Any]]:
    (fitted.folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = [f"artifact={fitted.artifact}", f"input={name}.jsonl", f"stage.output={name}.out.jsonl"]
    assert fitted.noria("stage=predict", *words, *fitted.case.predict, *more) == 0
    return [json.loads(line) for line in (fitted.folder / f"{name}.out.jsonl").read_text().splitlines()]


def test_requests_are_answered_alone_as_among_others(fitted: Fitted) -> None:
    asked = list(fitted.case.asked)
    many = predicted(fitted, asked, "many")
    near(predicted(fitted, asked, "each", "stage.batch_size=1"), many)
    near(predicted(fitted, asked[2:3], "one"), many[2:3])
    assert len(many) == len(asked) and all("error" not in line for line in many)
    assert all(line.items() >= row.items() for row, line in zip(asked, many, strict=True))


def text_of(row: dict[str, Any]) -> Any:
    """What a client sends to ask what a row of an input asks: its one text, or all of its columns."""
    return next(iter(row.values())) if len(row) == 1 else row


def is_sendable(row: dict[str, Any]) -> bool:
    return isinstance(text_of(row), str | dict)


def test_what_cannot_be_answered_harms_no_other(fitted: Fitted) -> None:
    case = fitted.case
    odd = [case.asked[0], *case.unanswerable, case.long, case.asked[1]]
    lines = predicted(fitted, odd, "odd")
    assert [bool(line.get("error")) for line in lines[1:-2]] == [True] * len(case.unanswerable)
    assert "error" not in lines[0] and "error" not in lines[-1] and len(lines[-2]) > len(case.long)
    near([lines[0], lines[-1]], predicted(fitted, [case.asked[0], case.asked[1]], "even"))


def test_transformers_opens_the_artifact(fitted: Fitted) -> None:
    import transformers

    theirs = getattr(transformers, fitted.case.opens).from_pretrained(fitted.artifact).eval()
    ours = bundle.open_artifact(fitted.artifact).network
    batch = {"input_ids": torch.tensor([[5, 6, 7, 8], [9, 8, 7, 6]]), "attention_mask": torch.ones(2, 4).long()}
    if fitted.case.architecture == "both":
        batch["decoder_input_ids"] = torch.tensor([[0, 4, 5], [0, 6, 7]])
    with torch.inference_mode():
        torch.testing.assert_close(scores_of(ours(**batch)), scores_of(theirs(**batch)), rtol=1e-5, atol=1e-6)


def test_an_interrupted_fit_goes_on_bit_for_bit(fitted: Fitted, monkeypatch: pytest.MonkeyPatch) -> None:
    step, count = Learner.training_step, iter(range(10**6))

    def interrupted(self: Learner, *args: Any) -> Any:
        if next(count) == 5:
            raise KeyboardInterrupt
        return step(self, *args)

    with monkeypatch.context() as patch:
        patch.setattr(Learner, "training_step", interrupted)
        assert fitted.noria(*fitted.words, "paths.run_dir=fits/resumed") == 130
    assert fitted.noria("resume=fits/resumed") == 0
    weights = [
        torch.load(fitted.folder / run / "checkpoints/last.ckpt", weights_only=True)["state_dict"]
        for run in ("fits/0", "fits/resumed")
    ]
    assert weights[0].keys() == weights[1].keys()
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert fitted.record("fits/resumed")["metrics"] == fitted.record()["metrics"]
    assert fitted.predictions("fits/resumed") == fitted.predictions()


@pytest.mark.parametrize("fitted", FIRST, indirect=True)
def test_two_ranks_do_what_one_does(fitted: Fitted) -> None:
    words = ["strategy=ddp", "trainer.accelerator=cpu", "trainer.devices=2", "data.batch_size=4"]
    words = [word for word in fitted.words if not word.startswith("data.batch_size")] + words
    environment = {name: value for name, value in os.environ.items() if name not in ("LOCAL_RANK", "WORLD_SIZE")}
    done = subprocess.run(
        [sys.executable, str(RUN), *words, "precision=fp32", "paths.run_dir=fits/ranks"],
        cwd=fitted.folder, env=environment, capture_output=True, text=True, timeout=240, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    ours, theirs = fitted.record(), fitted.record("fits/ranks")
    assert theirs["devices"] == 2
    for one, other in zip(ours["history"], theirs["history"], strict=True):
        assert other["val/loss"] == pytest.approx(one["val/loss"], rel=1e-3)
    assert theirs["metrics"]["val/loss"]["n"] == ours["metrics"]["val/loss"]["n"]


def test_two_runs_are_compared(fitted: Fitted) -> None:
    assert fitted.noria(*fitted.words, "seed=1", "optimizer.lr=1e-3", "paths.run_dir=fits/1") == 0
    metric = fitted.case.monitor.partition("/")[2]
    words = ["stage.runs=[fits/0,fits/1]", "stage.split=val", f"stage.metric={metric}", "paths.run_dir=compared"]
    assert fitted.noria("stage=compare", "logger=csv", *words) == 0
    assert fitted.record("compared")["comparison"]["systems"] == 2
    assert (fitted.folder / "compared/report.html").is_file()


def test_what_is_served_refuses_what_is_no_request(fitted: Fitted) -> None:
    form = bundle.open_kind(fitted.artifact, bundle.read_facts(fitted.artifact)).form
    try:
        service = form.service()
    except UserError as error:
        assert "stage=serve" in str(error) and not fitted.case.wrong
        return
    service.check()
    assert all(service.request(example, "it") for example in service.examples()) and fitted.case.wrong
    for wrong in fitted.case.wrong:
        with pytest.raises(UserError, match="number three"):
            service.request(wrong, "number three")
    assert "<!-- piece" not in page(service) and "const piece = {" in page(service)


def test_a_served_model_answers_as_predictions_do(fitted: Fitted) -> None:
    named = Named("it", fitted.artifact)
    try:
        model = Model(named, "32-true", torch.device("cpu"), 4)
    except UserError as error:
        assert "stage=serve" in str(error)
        return
    service = model.description.service
    asked = [*filter(is_sendable, fitted.case.asked), fitted.case.long]
    served = model.answer([service.request(text_of(row), "it") for row in asked])
    assert len(served) == len(asked) > 2
    for answer, line in zip(served, predicted(fitted, asked, "as_served"), strict=True):
        near({name: value for name, value in answer.items() if name != "truncated"}, service.answer(line))
        assert isinstance(service.group(answer), str) and "truncated" in answer


def test_corrections_become_rows_of_the_same_kind(fitted: Fitted) -> None:
    """Of predictions: who says that all answers are right votes for rows that the form takes, with these answers."""
    form = bundle.open_kind(fitted.artifact, bundle.read_facts(fitted.artifact)).form
    try:
        ballot, service = form.ballot(), form.service()
    except UserError as error:
        assert "data=feedback" in str(error) or "stage=serve" in str(
            error
        )  # not served, or served as a part of an index
        return
    asked = [*filter(is_sendable, fitted.case.asked)]
    believed = []
    for row, line in zip(asked, predicted(fitted, asked, "voted"), strict=True):
        sent = service.request(text_of(row), "it")
        request, problem = ballot.read(sent)
        vote = ballot.vote(request, service.answer(line), True, None)
        assert problem is None and vote is not None and not vote[1] and request == sent
        believed.append(Believed("it", ballot.place(request), vote[0], 1.0, 1, request))
    table = pa.table({"id": [str(n) for n in range(len(believed))], **ballot.rows(believed)})
    rows = form.clean({"train": Rows(table, "feedback")}, {})["train"]
    form.check(rows)
    assert ballot.known(rows) == [one.label for one in believed]
    assert [ballot.place(one) for one in ballot.requests(rows)] == [one.place for one in believed]


def test_training_answering_and_comparing_need_no_torch_to_be_described() -> None:
    """The forms alone: a config is checked, and runs are compared, where torch would take a second to import."""
    modules = [f"noria.task.{kind}.form" for kind in KINDS]
    code = f"import sys, importlib; [importlib.import_module(m) for m in {modules}]; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
