from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from tests.conftest import FORM

from noria.artifact.bundle import open_artifact
from noria.common.errors import UserError
from noria.feedback.store import Prediction, Store
from noria.inference.runner import Runner
from noria.serving.model import Model, describe
from noria.serving.source import Named, Source

CPU = torch.device("cpu")


def opened(folder: Path) -> Model:
    return Model(Named("one", folder), "32-true", CPU, 4)


def asked(folder: Path, texts: list[str]) -> list[dict[str, Any]]:
    model = opened(folder)
    return model.answer([model.description.service.request(text, "text") for text in texts])


@pytest.fixture(scope="module")
def similar(tiny_model, tmp_path_factory):
    """The artifact of a regression on pairs of texts."""
    from noria.cli.main import main

    folder = tmp_path_factory.mktemp("similar")
    rows = [f"a cat sat {n}\ta {('cat', 'dog', 'boat')[n % 3]} sat {n}\t{5 - 2 * (n % 3)}" for n in range(120)]
    (folder / "pairs.tsv").write_text("\n".join(["first\tsecond\tscore", *rows]) + "\n")
    words = ["task=text_regression", "model=hub", f"model.name={tiny_model}", "data=table", "data.path=pairs.tsv"]
    words += ["data.text=[first,second]", "data.label=score", "trainer.max_epochs=1", "logger=csv", "precision=fp32"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main([*words, "metric=[mse]", "monitor.metric=val/mse", "monitor.mode=min"]) == 0
    return (folder / "runs/latest/artifact").resolve()


def predicted(folder: Path, rows: list[dict[str, str]], names: list[str]) -> list[dict]:
    """What stage=predict answers."""
    runner = Runner(open_artifact(folder), "32-true", CPU)
    requests = [dict(zip(("text", "text_pair"), (row[name] for name in names), strict=False)) for row in rows]
    return runner.answer(requests, 64)


def test_it_answers_as_predict_does(fitted):
    texts = ["superb acting", "a bore " * 40, "no fun", "ß\u00e9\u4e2d", "great fun"]
    answers = asked(fitted / "artifact", texts)
    wanted = predicted(fitted / "artifact", [{"text": text} for text in texts], ["text"])
    for answer, row in zip(answers, wanted, strict=True):
        assert answer["label"] == row["prediction"]
        assert answer["probabilities"] == pytest.approx(row["probabilities"], abs=2e-6)
    assert [answer["truncated"] for answer in answers] == [False, True, False, False, False]


def test_pairs_and_numbers(similar):
    described = opened(similar).description.service.described()
    assert described == {"kind": "regression", "labels": [], "pairs": True}
    texts = ["a cat\ta dog", "a cat\t" + "a boat " * 30]
    answers = asked(similar, texts)
    rows = [dict(zip(("first", "second"), text.split("\t"), strict=True)) for text in texts]
    wanted = predicted(similar, rows, ["first", "second"])
    assert [answer["label"] for answer in answers] == pytest.approx([row["prediction"] for row in wanted], abs=1e-5)
    assert [answer["probabilities"] for answer in answers] == [{}, {}]
    long = yaml.safe_load((similar / "noria.yaml").read_text())["max_length"] < 60
    assert [answer["truncated"] for answer in answers] == [False, long]


def test_which_of_the_longest_were_cut(fitted):
    """Two of as many tokens as the model reads, of which one was cut."""
    words = "fun " * 29
    answers = asked(fitted / "artifact", [words + "fun", words + "fun fun", "fun"])
    assert [answer["truncated"] for answer in answers] == [False, True, False]


def test_a_version_that_answers_nonsense_is_refused(shifted):
    with pytest.raises(UserError, match="its weights are no good"):
        opened(shifted(float("nan")))


def test_a_language_model_is_refused(fitted, tmp_path):
    folder = tmp_path / "artifact"
    shutil.copytree(fitted / "artifact", folder)
    facts = yaml.safe_load((folder / "noria.yaml").read_text())
    (folder / "noria.yaml").write_text(
        yaml.safe_dump({**facts, "kind": "noria.task.causal_lm.kind.CausalLM", "settings": {}})
    )
    with pytest.raises(UserError, match="is a language model: stage=serve serves classifiers"):
        opened(folder)


def test_names_of_versions(fitted, registry):
    assert Source(fitted / "artifact").current() == Named(fitted.name, fitted / "artifact")
    source = Source(registry.folder)
    odd = Source(fitted / "runs\udcff")
    assert odd.current().version == "runs\ufffd", "a name that any JSON holds"
    assert source.follows and source.current().version == "0001"
    assert Source(registry.folder / "champion").current().version == "0001", "one that stays as it is"
    assert not Source(registry.folder / "champion").follows


def test_what_could_not_be_kept_is_said_before_anything_is_served():
    """Many labels, long ones, and a long name are no trouble; what is beyond any use is said at the start."""
    named = Named("n" * 255, Path("artifact"))

    def facts(kind: str, labels: list[str]) -> dict[str, Any]:
        return {
            "kind": "noria.task.text_classification.kind.TextClassification",
            "settings": {"kind": kind, "labels": labels, "texts": 1},
            "max_length": 9,
        }

    described = describe(facts("multi_label", [f"label {n} of many" for n in range(3000)]), named)
    assert len(described.service.described()["labels"]) == 3000
    assert describe(facts("single_label", ["l" * 5000, "m"]), named).service.described()["labels"][1] == "m"
    with pytest.raises(UserError, match=r"all its labels together have \d+,\d+ characters"):
        describe(facts("multi_label", [f"label {n} of many" for n in range(9000)]), named)
    with pytest.raises(UserError, match=r"one of its labels has 100,001 characters"):
        describe(facts("single_label", ["l" * 100_001, "m"]), named)
    with pytest.raises(UserError, match=r"the label 'half \\ud83d' holds what no JSON"):
        describe(facts("single_label", ["half \ud83d", "m"]), named)
    with pytest.raises(UserError, match="a label without a name"):
        describe(facts("single_label", ["", "m"]), named)


def test_long_labels_and_names_are_stored(tmp_path):
    store = Store(f"sqlite:///{tmp_path}/feedback.db")
    labels = [f"label {n} of many" for n in range(3000)]
    answer = {"label": labels, "probabilities": dict.fromkeys(labels, 0.5)}
    about = Prediction("1" * 32, "n" * 255, FORM, {"text": "fun"}, answer, 1.0, "anyone", datetime.now(UTC))
    store.add_predictions([about])
    assert store.add_feedback(about.id, "anyone", correct=False, correction=labels[1:])
    [said] = store.corrections()
    assert said.prediction == about and said.correction == labels[1:]
    store.close()
