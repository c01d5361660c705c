"""`experiment=feedback_loop` on a tiny model: train, serve, hear, turn, measure; the numbers mean nothing here."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path


def test_the_wheel_turns_with_simulated_users(
    noria: Callable[..., int], tiny_model: Path, run_notebook: Callable[..., str], tmp_path: Path
) -> None:
    model = ["model=hub", f"model.name={tiny_model}", "data.max_length=24", "precision=fp32"]
    limits = ["data.limit=200", "data.eval_limit=200"]
    sizes = ["stage.turns=1", "stage.reviews=128", "stage.gold=32", "stage.held_out=60", "stage.poisoned=[0.5]"]
    assert noria("experiment=feedback_loop", *model, *limits, *sizes, "logger=csv", "paths.run_dir=runs/loop") == 0
    folder = tmp_path / "runs/loop"
    found = json.loads((folder / "record.json").read_text())["loop"]
    assert set(found["turns"]) == {"with the defence", "without it"}
    for measured in found["turns"].values():
        assert [one["turn"] for one in measured] == [0, 1]
        assert measured[0]["version"] == "0001" and measured[0]["other"]["n"] == 60
    turn = json.loads((folder / "defended/turn-1/record.json").read_text())
    assert turn["data"]["feedback"]["corrections"] == 160
    assert turn["data"]["clients"]["user-0"] < 0.6 < turn["data"]["clients"]["user-5"], "who lies is found out"
    assert turn["data"]["feedback"]["left_out"]["gold"] == 32
    assert found["refused"]["said"]
    challengers = [found["poison"][name]["0.5"] for name in found["turns"]]
    assert [one["version"] for one in challengers] == ["0002", "0002"], "measured whether it was promoted or not"
    assert set(found["saved"]) == {"champions", "0.5"}
    saved, ours, theirs = found["saved"]["0.5"]["difference"]["value"], *(one["other"]["value"] for one in challengers)
    assert abs(saved - (ours - theirs)) < 1e-9
    assert (folder / "feedback_loop.png").stat().st_size > 10_000
    said = run_notebook("04_the_wheel", NORIA_LOOP=folder)
    assert f"refused - {found['refused']['said']}" in said or f"promoted - {found['refused']['said']}" in said
