"""A report is built as W&B wants it; without an online run there is none. Saving one needs W&B itself."""

from __future__ import annotations

import pytest

from noria.tracking.wandb_report import build, publish


def test_a_report_has_the_table_and_the_runs_of_each_group() -> None:
    reports = pytest.importorskip("wandb_workspaces.reports.v2")
    made = build("val/accuracy", "| a |\n|---|\n| 1 |", ["sweep", "other"], "val/accuracy", "me", "noria")
    text, grid = made.blocks
    assert isinstance(text, reports.MarkdownBlock) and text.text.startswith("| a |")
    assert [runset.name for runset in grid.runsets] == ["sweep", "other"]
    assert {plot.y[0].name if hasattr(plot.y[0], "name") else plot.y[0] for plot in grid.panels} == {
        "val/accuracy",
        "val/loss",
    }


def test_without_an_online_run_there_is_none() -> None:
    assert publish("title", "text", ["sweep"], "val/accuracy") is None
