"""Runs are found by name, and put together by config."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from noria.common.errors import UserError
from noria.comparison.runs import find_runs
from noria.comparison.systems import baseline, group

Make = Callable[..., Path]


def groups_of(*folders: Path, runs: Path = Path("runs")):
    return group(find_runs([str(folder) for folder in folders], runs)[0])


def test_runs_are_found_by_folder_pattern_and_name(make_runs: Make, tmp_path: Path) -> None:
    folder = make_runs("first", seeds=3)
    make_runs("second", seeds=2)
    everything = tmp_path / "runs"
    for word, count in ((folder, 3), (folder / "first-1", 1), ("first", 3), ("first-1", 0), (folder.parent / "*", 5)):
        if count:
            assert len(find_runs([str(word)], everything)[0]) == count
        else:
            with pytest.raises(UserError, match="Did you mean 'first'"):
                find_runs([str(word)], everything)
    assert len(find_runs(["first", str(folder / "first-0"), "second"], everything)[0]) == 5, "each once"


def test_what_is_left_out_is_counted(make_runs: Make, tmp_path: Path) -> None:
    folder = make_runs("sweep", seeds=4)
    for number, change in enumerate(({"status": "failed"}, {"status": "failed"}, {"stage": "predict"})):
        path = folder / f"sweep-{number}" / "record.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | change))
    found, notes = find_runs([str(folder)], tmp_path)
    assert len(found) == 1
    assert sorted(notes) == ["Left out: 1 runs of stage=predict.", "Left out: 2 runs failed."]
    (folder / "sweep-3" / "predictions.parquet").unlink()
    with pytest.raises(UserError, match=r"none of the 4 runs .*1 without predictions"):
        find_runs([str(folder)], tmp_path)


def test_a_group_is_one_config_over_its_seeds(make_runs: Make) -> None:
    folders = [make_runs(f"lr{lr}", seeds=3, optimizer__lr=lr) for lr in (1e-4, 3e-5)]
    groups, notes = groups_of(*folders)
    assert [one.name for one in groups] == ["optimizer.lr=0.0001", "optimizer.lr=3e-05"]
    assert [[run.seed for run in one.runs] for one in groups] == [[0, 1, 2]] * 2
    assert not notes


def test_the_name_of_a_choice_stands_for_all_that_it_decides(make_runs: Make) -> None:
    first = make_runs("first", scheduler="linear")
    second = make_runs("second", scheduler="cosine", scheduler__warmup=0.0, scheduler___target_="noria.x.Cosine")
    third = make_runs("third", scheduler="cosine", scheduler__warmup=0.2, scheduler___target_="noria.x.Cosine")
    assert [one.name for one in groups_of(first, second)[0]] == ["scheduler=linear", "scheduler=cosine"]
    assert [one.name for one in groups_of(first, second, third)[0]] == [
        "scheduler=linear scheduler.warmup=0.1",
        "scheduler=cosine scheduler.warmup=0",
        "scheduler=cosine scheduler.warmup=0.2",
    ]


def test_another_training_set_makes_another_config(make_runs: Make) -> None:
    first, second = make_runs("first"), make_runs("second")
    path = second / "second-0" / "record.json"
    record = json.loads(path.read_text())
    record["data"]["fingerprints"]["train"] = "u" * 64
    path.write_text(json.dumps(record))
    assert [one.name for one in groups_of(first, second)[0]] == ["training rows=tttttttt", "training rows=uuuuuuuu"]


def test_a_run_that_repeats_another_is_no_second_seed(make_runs: Make) -> None:
    groups, notes = groups_of(make_runs("first", seeds=2), make_runs("again", seeds=2))
    assert len(groups) == 1 and len(groups[0].runs) == 2
    assert notes == ["2 runs repeat the config and seed of another: of each the newest was taken."]


def test_the_baseline_is_what_the_word_means(make_runs: Make) -> None:
    folders = [
        make_runs(f"{lr}{schedule}", optimizer__lr=lr, scheduler=schedule, scheduler__kind=schedule)
        for lr in (1e-4, 3e-5)
        for schedule in ("linear", "cosine")
    ]
    groups, _ = groups_of(*folders)
    assert baseline(groups, None) is groups[0]
    assert baseline(groups, "optimizer.lr=3e-5 scheduler=cosine") is groups[3]
    assert baseline(groups, "lr:0.00003,scheduler=linear") is groups[2]
    assert baseline(groups, groups[1].runs[0].folder.name) is groups[1]
    with pytest.raises(UserError, match="means 2 of the configs"):
        baseline(groups, "scheduler=cosine")
    with pytest.raises(UserError, match="is none of the configs"):
        baseline(groups, "optimizer.lr=7")
