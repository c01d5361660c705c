"""A search, through the command line."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.error import URLError

import optuna
import pytest
import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf
from optuna.trial import TrialState

from noria.common.errors import UserError
from noria.sweep.search import Search
from noria.sweep.space import Space
from noria.sweep.trial import Trial

SEARCH = ["hydra/sweeper=optuna", "sweep=search", "-m"]


def study(folder: Path) -> optuna.Study:
    return optuna.load_study(storage=f"sqlite:///{folder / 'study.db'}", study_name="search")


def test_a_search_goes_on_with_its_study(noria, tiny, tmp_path, capsys):
    words = [*tiny, "optimizer.lr=tag(log,interval(1e-5,1e-2))", "data.batch_size=choice(8,16)", *SEARCH]
    assert noria(*words, "hydra.sweeper.n_trials=2") == 0
    folder = tmp_path / "runs/default/search"
    first = {path.parent.name: path.stat().st_mtime_ns for path in folder.glob("*/record.json")}
    assert noria(*words, "hydra.sweeper.n_trials=4") == 0
    found = study(folder)
    assert [trial.state for trial in found.trials] == [TrialState.COMPLETE] * 4
    assert len({json.dumps(trial.params) for trial in found.trials}) == 4  # it did not draw the same again
    for trial in found.trials:
        record = json.loads((Path(tmp_path / trial.user_attrs["noria_folder"]) / "record.json").read_text())
        assert trial.value == record["metrics"]["val/accuracy"]["value"]
        assert record["config"]["optimizer"]["lr"] == trial.params["optimizer.lr"]
        assert record["config"]["data"]["batch_size"] == trial.params["data.batch_size"]
    now = {path.parent.name: path.stat().st_mtime_ns for path in folder.glob("*/record.json")}
    assert len(first) == 2 and len(now) == 4 and first.items() <= now.items()  # what was done is not touched
    assert len(json.loads((folder / "sweep.json").read_text())["trials"]) == 4
    best = yaml.safe_load((folder / "best.yaml").read_text())
    assert best["best"][0]["values"]["val/accuracy"] == found.best_value
    assert {path.name for path in folder.glob("*.png")} >= {"val_accuracy_history.png", "val_accuracy_slice.png"}
    assert "4 done" in capsys.readouterr().out
    assert noria(*words, "hydra.sweeper.n_trials=4") == 0  # nothing is left to do
    assert len(study(folder).trials) == 4
    assert [one["study_name"] for one in dashboard(f"sqlite:///{folder / 'study.db'}")] == ["search"]


def dashboard(storage: str) -> list[dict]:
    """The studies that optuna-dashboard shows of a storage."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    process = subprocess.Popen([Path(sys.executable).parent / "optuna-dashboard", storage, "--port", str(port)])
    try:
        until = time.monotonic() + 60
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/studies", timeout=10) as answer:
                    return json.load(answer)["study_summaries"]
            except URLError:
                assert time.monotonic() < until and process.poll() is None
                time.sleep(0.2)
    finally:
        process.kill()
        process.wait()


def test_failed_trials_do_not_stop_a_search_and_are_tried_again(noria, tiny, tmp_path):
    words = [*tiny, "optimizer.lr=choice(1e30,1e-3)", "hydra.sweeper.sampler=grid", *SEARCH]
    assert noria(*words) == 0
    found = study(tmp_path / "runs/default/search")
    assert sorted(trial.state.name for trial in found.trials) == ["COMPLETE", "FAIL"]
    assert noria(*words) == 0
    states = [(trial.params["optimizer.lr"], trial.state.name) for trial in study(found_folder(tmp_path)).trials]
    assert sorted(states) == [(1e-3, "COMPLETE"), (1e30, "FAIL"), (1e30, "FAIL")]


def found_folder(tmp_path: Path) -> Path:
    return tmp_path / "runs/default/search"


def test_what_is_worse_than_others_is_given_up(noria, tiny, tmp_path):
    words = [
        *(*tiny, "optimizer.lr=choice(1e-2,1e-9,1e-8)", "hydra.sweeper.sampler=grid", "trainer.max_epochs=6"),
        *("monitor.metric=val/loss", "monitor.mode=min", "hydra.launcher.n_jobs=1", "hydra.sweeper.pruner=percentile"),
        *("hydra.sweeper.pruner_options={percentile:10.0,n_startup_trials:1}", "hydra.sweeper.seed=1", *SEARCH),
    ]
    assert noria(*words) == 0
    trials = study(found_folder(tmp_path)).trials
    assert {trial.state.name for trial in trials} == {"COMPLETE", "PRUNED"}
    pruned = next(trial for trial in trials if trial.state == TrialState.PRUNED)
    record = json.loads((tmp_path / pruned.user_attrs["noria_folder"] / "record.json").read_text())
    assert record["status"] == "pruned" and record["error"].startswith("val/loss ")
    assert pruned.intermediate_values and len(record["history"]) < 6


def test_several_objectives(noria, tiny, tmp_path):
    words = [
        *tiny,
        "optimizer.lr=choice(1e-3,1e-4)",
        "hydra.sweeper.sampler=nsga2",
        "hydra.sweeper.n_trials=2",
        *SEARCH,
    ]
    objectives = "hydra.sweeper.objectives={val/accuracy:max,timings/fit_seconds:min}"
    assert noria(*words, objectives, "hydra.sweeper.n_trials=2") == 0
    for trial in study(found_folder(tmp_path)).trials:
        record = json.loads((tmp_path / trial.user_attrs["noria_folder"] / "record.json").read_text())
        assert trial.values == [record["metrics"]["val/accuracy"]["value"], record["timings"]["fit_seconds"]]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["optimizer.lr=1e-3"], "nothing to search over"),
        (["optimizer.lr=interval(-1.0,1.0)"], "optimizer.lr = -1.0 is out of range"),
        (["optimizer.lr=choice(1e-3,1e-4)", "hydra.sweeper.sampler=tpee"], "hydra.sweeper.sampler=tpee"),
        (["optimizer.lr=choice(1e-3,1e-4)", "hydra.sweeper.sampler_options={nonsense:1}"], "Optuna refuses"),
        (["optimizer.lr=choice(1e-3,1e-4)", "hydra.sweeper.storage=nonsense://x"], "cannot be opened"),
        (["optimizer.lr=choice(1e-3,1e-4)", "hydra.sweeper.space=nowhere.at_all"], "no such function"),
    ],
)
def test_a_mistake_is_said_before_the_first_trial(noria, tiny, tmp_path, capsys, words, said):
    assert noria(*tiny, *words, *SEARCH) == 2
    err = capsys.readouterr().err
    assert said in err and "Traceback" not in err
    assert not list(tmp_path.rglob("record.json"))


# Two commands at once


@pytest.fixture
def command(tmp_path):
    """command(): the search of one more shell on the same files."""

    def start() -> Search:
        space = Space(OverridesParser.create().parse_overrides(["a=interval(0.0,1.0)"]))
        return Search(tmp_path, space, {"val/accuracy": "max"}, sampler="random", n_trials=4)

    return start


@pytest.mark.parametrize("other", [{"val/loss": "min"}, {"val/f1": "max"}, {"val/accuracy": "max", "val/loss": "min"}])
def test_a_study_is_not_gone_on_with_for_other_numbers(command, tmp_path, other):
    """Optuna would keep the directions of the first command, and rank losses among accuracies."""
    first = command()
    first.tell(over(next(asked(first))))
    first.close()
    with pytest.raises(UserError, match=r"searches for val/accuracy: max, and this command for val/.*sweep="):
        Search(tmp_path, first.space, other, sampler="random", n_trials=4)
    again = command()
    assert again.study.best_value == 0.5 and not list(tmp_path.glob(".locks/search-*"))[1:]
    again.close()


def asked(search: Search) -> Iterator[Trial]:
    return search.ask(lambda number, words: Trial(number, words, f"key{number}", OmegaConf.create(), {}))


def over(trial: Trial, value: float = 0.5) -> Trial:
    trial.state, trial.record = "done", {"metrics": {"val/accuracy": {"value": value}}}
    return trial


def test_two_commands_share_a_search_and_neither_takes_the_others_trials_for_left(command, tmp_path):
    first, second = command(), command()  # at the same time, with the same seed
    ours, theirs = asked(first), asked(second)
    one = next(ours)  # asked for, and not begun: no process has it yet
    two, three = next(theirs), next(theirs)
    first.tell(over(one))
    second.tell(over(two))
    four = next(ours)
    assert next(theirs, None) is None and next(ours, None) is None
    second.tell(over(three))
    assert second.others() == 1
    first.tell(over(four))
    trials = first.study.get_trials()
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 4 and second.others() == 0
    assert len({trial.params["a"] for trial in trials}) == 4
    assert [one.number, two.number, three.number, four.number] == [0, 1, 2, 3]
    for search in (first, second):
        search.close()


def test_what_a_command_that_is_gone_has_left_is_asked_again_once(command):
    first = command()
    left = [next(trials) for trials in [asked(first)] for _ in range(2)]
    values = [first.study.trials[trial.number].params for trial in left]
    second, third = command(), command()
    theirs, others = asked(second), asked(third)
    new = next(theirs)
    first.close()  # as the system does where it is killed
    again = [next(theirs), next(others)]
    found = second.study.get_trials()
    assert [found[trial.number].state for trial in left] == [TrialState.FAIL] * 2
    assert [found[trial.number].params for trial in again] == values
    assert found[new.number].state == TrialState.RUNNING
    assert sum(trial.state == TrialState.WAITING for trial in found) == 0
    for search in (second, third):
        search.close()


def test_a_trial_that_another_machine_has_ended_is_left_as_it_is(command):
    search = command()
    trial = next(asked(search))
    search.study.tell(trial.number, state=TrialState.FAIL)
    search.tell(over(trial))
    assert search.study.trials[trial.number].state == TrialState.FAIL
    search.close()
