"""Where systems disagree most: rows that either side wins, drawn by the seed among those that are disputed alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from noria.comparison.common_rows import CommonRows
from noria.comparison.disputed import ROWS, disputed
from noria.comparison.result import Dispute
from noria.comparison.runs import find_runs

Make = Callable[..., Path]


@pytest.fixture
def dispute(make_runs: Make) -> Callable[..., Dispute]:
    """dispute(*rights, seed=…): of systems of which it is said on which rows each run is right."""

    made = count()

    def make(*rights: Sequence[np.ndarray], seed: int = 0) -> Dispute:
        answers = {}
        for number, runs in enumerate(rights):
            folder = make_runs(f"made{next(made)}", seeds=len(runs), rows=len(runs[0]), optimizer__lr=number + 1.0)
            found = find_runs([str(folder)], Path())[0]
            for run, right in zip(found, runs, strict=True):
                table = pq.read_table(run.predictions)
                truth = np.array(table["label"].to_pylist())
                wrong = np.where(truth == "positive", "negative", "positive")
                place = table.column_names.index("prediction")
                table = table.set_column(place, "prediction", pa.array(np.where(right, truth, wrong)))
                pq.write_table(table, run.predictions)
            answers[f"s{number}"] = found
        rows = CommonRows(answers["s0"][0], "val")
        told = {name: [rows.answers(run, ["prediction"]) for run in found] for name, found in answers.items()}
        return disputed(rows, told, ("s0", "s1"), lambda ids: dict.fromkeys(ids, "a text"), seed)

    return make


def sides(found: Dispute) -> tuple[list[str], list[str]]:
    won = [row.id for row in found.shown if list(row.answers["s0"]) == [row.label]]
    return won, [row.id for row in found.shown if row.id not in won]


def test_rows_of_both_directions_are_shown_and_all_are_counted(dispute) -> None:
    first, second = np.ones(400, bool), np.ones(400, bool)
    second[:95], first[300:360] = False, False  # in file order the first one wins 95 rows before it loses one
    found = dispute([first], [second])
    assert (found.won, found.lost, found.rows) == (95, 60, 155) and len(found.shown) == ROWS
    won, lost = sides(found)
    assert len(won) == len(lost) == ROWS // 2 and all(row.text == "a text" for row in found.shown)
    numbers = [int(name.rpartition(":")[2]) for name in won]
    assert max(numbers) > 20, "drawn, and not the first ones of the file"


def test_the_seed_draws_among_rows_that_are_disputed_alike(dispute) -> None:
    first, second = np.ones(300, bool), np.ones(300, bool)
    second[:95], first[200:295] = False, False
    shown = [tuple(row.id for row in dispute([first], [second], seed=seed).shown) for seed in (0, 0, 1, 2)]
    assert shown[0] == shown[1] and len(set(shown)) == 3


def test_where_one_side_wins_little_the_other_fills_up(dispute) -> None:
    first, second = np.ones(200, bool), np.ones(200, bool)
    second[:50], first[150:153] = False, False
    won, lost = sides(dispute([first], [second]))
    assert len(won) == ROWS - 3 and len(lost) == 3
    second[:] = True
    found = dispute([first], [second])
    assert (found.won, found.lost, found.rows, len(found.shown)) == (0, 3, 3, 3)
    assert not dispute([second], [second]).shown


def test_the_most_disputed_rows_come_before_those_that_few_dispute(dispute) -> None:
    """Three systems of two runs: a row on which one run of six differs is disputed less than one of three and three."""
    right = [[np.ones(100, bool) for _ in range(2)] for _ in range(3)]
    right[0][0][:40] = False  # 1 of 6 is wrong
    for system, run in ((1, 0), (1, 1), (2, 0)):
        right[system][run][60:66] = False  # 3 of 6
    found = dispute(*right)
    assert {row.id for row in found.shown[:6]} == {f"val:{number}" for number in range(61, 67)}
    assert found.won == 6 and found.lost == 40 and len(found.shown) == ROWS
