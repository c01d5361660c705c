from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

STRANGER = "import pathlib\n\ndef leave(**_):\n    pathlib.Path('was_here').touch()\n"


@pytest.fixture
def artifact(fitted: Path) -> Path:
    return fitted / "artifact"


@pytest.fixture
def composed(noria: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> Callable[..., dict[str, Any]]:
    """composed(*words): the config that these words make, without running it."""

    def look(*words: object) -> dict[str, Any]:
        assert noria(*words, "--cfg", "job") == 0, capsys.readouterr().err
        return yaml.safe_load(capsys.readouterr().out)

    return look


@pytest.fixture
def saved(request: pytest.FixtureRequest, fitted: Path, tmp_path: Path) -> Callable[..., str]:
    """saved(where, change): a copy of the artifact or of the run with its config changed; the words that open it."""

    def copy(where: str, change: Callable[[dict[str, Any]], object]) -> list[str]:
        folder = tmp_path / where
        if where == "artifact":
            shutil.copytree(fitted / "artifact", folder)
            facts = yaml.safe_load((folder / "noria.yaml").read_text())
            change(facts["config"])
            (folder / "noria.yaml").write_text(yaml.safe_dump(facts))
            return ["stage=evaluate", f"artifact={folder}"]
        shutil.copytree(fitted, folder)
        record = json.loads((folder / "record.json").read_text())
        (folder / "record.json").write_text(json.dumps(record | {"status": "interrupted"}))
        config = yaml.safe_load((folder / "config.yaml").read_text())
        change(config)
        (folder / "config.yaml").write_text(yaml.safe_dump(config))
        return [f"resume={folder}"]

    return copy


# artifact=


def test_what_an_artifact_was_made_with_holds(artifact, composed, tiny_model, reviews):
    config = composed(f"artifact={artifact}", "stage=evaluate")
    assert config["data"]["path"] == str(reviews) and config["data"]["max_length"] == 32
    assert config["model"]["name"] == str(tiny_model)
    assert config["trainer"]["precision"] == "32-true" and set(config["metric"]) == {"accuracy", "f1"}
    assert config["stage"]["_target_"] == "noria.stage.evaluate.evaluate"
    assert config["artifact"] == str(artifact)
    # the fit's own: where it logged to, what watched it, which folder it filled
    assert "callback" not in config and "logger" not in config
    assert config["paths"]["run_dir"].startswith("${paths.runs}")


def test_what_is_typed_goes_over_an_artifact(artifact, composed):
    config = composed(f"artifact={artifact}", "stage=evaluate", "data.max_length=16", "seed=5", "stage.split=val")
    assert (config["data"]["max_length"], config["seed"], config["stage"]["split"]) == (16, 5, "val")


def test_a_choice_that_is_typed_replaces_the_whole_group(artifact, composed):
    config = composed(f"artifact={artifact}", "stage=evaluate", "data=imdb", "metric=[matthews]", "data.limit=9")
    assert config["data"]["source"] == "imdb" and config["data"]["limit"] == 9 and "path" not in config["data"]
    assert set(config["metric"]) == {"matthews"}
    assert config["task"]["kind"] == "single_label"


def test_an_artifact_is_evaluated_when_no_stage_is_typed(artifact, composed):
    assert composed(f"artifact={artifact}")["stage"]["_target_"] == "noria.stage.evaluate.evaluate"


@pytest.mark.parametrize("name", ["with spaces", "it's", "a=b", "comma,comma"])
def test_a_folder_of_any_name(name, artifact, composed, tmp_path):
    shutil.copytree(artifact, tmp_path / name)
    quoted = "'" + name.replace("'", "\\'") + "'"
    assert composed(f"artifact={quoted}")["data"]["max_length"] == 32


def test_home_is_a_tilde(artifact, noria, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(artifact.parent))
    (tmp_path / "in.txt").write_text("wonderful\n")
    assert noria("stage=predict", "artifact=~/artifact", f"input={tmp_path / 'in.txt'}", "stage.output=out") == 0
    assert len((tmp_path / "out").read_text().splitlines()) == 1


def test_nothing_is_left_in_the_temporary_folder(artifact, noria, monkeypatch, tmp_path_factory):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path_factory.mktemp("temporary")))
    assert noria(f"artifact={artifact}", "--cfg", "job") == 0
    assert noria(f"artifact={artifact}", "stage=evaluate", "data.batch_sise=1") == 2
    assert os.listdir(tempfile.gettempdir()) == []


# resume=


def test_what_a_run_was_started_with_holds(saved, composed, reviews):
    words = saved("run", lambda config: config["callback"]["checkpoint"].update(every_n_steps=3))
    config = composed(*words)
    assert config["data"]["path"] == str(reviews) and config["stage"]["_target_"] == "noria.stage.fit.fit"
    assert config["callback"]["checkpoint"]["every_n_steps"] == 3 and set(config["logger"]) == {"csv"}
    assert composed(*words, "callback.checkpoint.every_n_steps=4")["callback"]["checkpoint"]["every_n_steps"] == 4
    assert composed(*words, "logger=[]").get("logger") is None


def test_the_folder_of_a_run_may_have_been_moved(saved, composed, tmp_path):
    config = composed(*saved("run", lambda config: None), "--resolve")
    assert config["paths"]["run_dir"] == str(tmp_path / "run")
    assert config["callback"]["checkpoint"]["directory"] == str(tmp_path / "run/checkpoints")
    assert config["logger"]["csv"]["path"] == str(tmp_path / "run/metrics.csv")


# Trust


@pytest.mark.parametrize("where", ["artifact", "run"])
@pytest.mark.parametrize(
    ("group", "value"),
    [
        ("optimizer", {"_target_": "os.system"}),
        ("data", {"_target_": "stranger.leave"}),
        ("trainer", {"plugins": [{"_target_": "builtins.eval"}]}),
        ("notes", "${oc.env:HOME}"),
    ],
)
def test_a_strangers_code_is_refused_before_it_can_run(
    where, group, value, saved, noria, capsys, monkeypatch, tmp_path
):
    (tmp_path / "stranger.py").write_text(STRANGER)
    monkeypatch.syspath_prepend(str(tmp_path))

    def change(config: dict[str, Any]) -> None:
        config[group] = {**config[group], **value} if isinstance(value, dict) else value

    assert noria(*saved(where, change)) == 2
    said = capsys.readouterr().err
    assert "is not trusted" in said and group in said and "Traceback" not in said
    assert not (tmp_path / "was_here").exists() and not (tmp_path / "runs").exists()


@pytest.mark.parametrize("where", ["artifact", "run"])
def test_a_group_that_is_typed_need_not_be_trusted(where, saved, noria, composed, capsys):
    words = saved(where, lambda config: config["optimizer"].update(_target_="my_parts.mine"))
    assert noria(*words) == 2
    assert "type optimizer=… anew" in capsys.readouterr().err
    assert composed(*words, "optimizer=sgd")["optimizer"]["_target_"] == "noria.optimizer.sgd.sgd"


@pytest.mark.parametrize("where", ["artifact", "run"])
def test_a_model_with_code_of_its_own_has_to_be_trusted_again(where, saved, noria, composed, capsys):
    words = saved(where, lambda config: config["model"].update(trust_remote_code=True))
    assert noria(*words) == 2
    assert "add model.trust_remote_code=true" in capsys.readouterr().err
    assert composed(*words, "model.trust_remote_code=true")["model"]["trust_remote_code"] is True


# What the artifact's model needs


@pytest.mark.parametrize(
    "words", [["data=rotten_tomatoes"], ["data=table", "data.path=x.csv"], ["experiment=quickstart"]]
)
def test_the_length_that_a_model_was_trained_at_holds_for_any_data(words, artifact, composed):
    assert composed(f"artifact={artifact}", *words)["data"]["max_length"] == 32
    assert composed(f"artifact={artifact}", *words, "data.max_length=64")["data"]["max_length"] == 64


@pytest.mark.parametrize("where", ["artifact", "run"])
def test_an_experiment_takes_the_place_of_whole_groups(where, saved, composed, reviews):
    words = saved(where, lambda config: config["model"].update(new_head=True))
    config = composed(*words, "experiment=sst2_bert")
    assert config["data"]["_target_"] == "noria.data.source.sst2.Sst2" and "val_path" not in config["data"]
    assert config["model"]["name"] != composed(*words)["model"]["name"]
    assert "label" not in config["data"] and config["optimizer"]["_target_"] == "noria.optimizer.adam.adam"
    assert composed(*words, "debug=smoke")["data"]["path"] == str(reviews), "what it does not choose stays"


def test_an_overlay_that_chooses_an_adapter_takes_its_whole_place(saved, composed, tmp_path):
    words = saved("artifact", lambda config: config["model"].update(peft={"_target_": "noria.model.peft.IA3", "x": 1}))
    assert composed(*words)["model"]["peft"]["x"] == 1
    (tmp_path / "mine/experiment").mkdir(parents=True)
    overlay = "# @package _global_\ndefaults:\n  - override /model/peft: lora\n"
    (tmp_path / "mine/experiment/adapted.yaml").write_text(overlay)
    config = composed(*words, "--config-dir", tmp_path / "mine", "experiment=adapted")
    assert "x" not in config["model"]["peft"] and config["model"]["peft"]["r"]


def test_the_template_is_the_artifacts_own_unless_one_is_typed(saved, composed):
    words = saved("artifact", lambda config: config["data"].update(chat_template="chat.jinja"))
    assert composed(*words)["data"]["chat_template"] is None
    assert composed(*words, "data.chat_template=other.jinja")["data"]["chat_template"] == "other.jinja"


def test_pairs_and_single_texts_are_not_taken_for_one_another(saved, noria, capsys, reviews):
    words = saved("artifact", lambda config: config["data"].update(text=["text", "label"]))
    assert noria(*words, "data=table", f"data.path={reviews}") == 2
    assert "reads pairs of texts: type data.text=[" in capsys.readouterr().err
    assert noria(*words, "stage=predict", "data=table", "data.text=[text,label,text]", "input=-") == 2
    assert "names 3 columns" in capsys.readouterr().err


def test_data_for_another_kind_of_model_is_refused(artifact, noria, capsys, tmp_path):
    (tmp_path / "a.txt").write_text("a text\n")
    assert noria(f"artifact={artifact}", "experiment=domain_lm", "data.path=a.txt") == 2
    said = capsys.readouterr().err
    assert (
        "data=PlainText is not what the artifact's task, TextClassification, is measured on" in said
        and "before" not in said
    )
