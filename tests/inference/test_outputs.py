from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from noria.common.errors import UserError
from noria.inference.outputs import Output, line_of


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (float("nan"), None),
        ([1, {"a": float("inf")}], [1, {"a": None}]),
        ([float("nan"), datetime(2026, 1, 2, 3, tzinfo=UTC)], [None, "2026-01-02T03:00:00+00:00"]),
        (timedelta(seconds=90), 90.0),
        (Decimal("1.10"), "1.10"),
        (b"abc", "abc"),
        (b"\xff", "/w=="),
        ({3}, [3]),
        ("caf\xe9 \u2028 \x9b \ud83d", "caf\xe9 \u2028 \x9b \ud83d"),
        (10**30, 10**30),
    ],
)
def test_a_line_is_strict_json_on_one_line(value: Any, written: Any) -> None:
    line = line_of({"x": value})
    assert json.loads(line, parse_constant=pytest.fail) == {"x": written}
    assert len(line.splitlines()) == 1 and "\x9b" not in line
    line.encode()


def test_what_is_there_is_not_written_over_unasked(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    with Output(str(path), "-") as out:
        out.write({"a": 1})
        with pytest.raises(UserError, match="is being written by another command"):
            Output(str(path), "-")
    with pytest.raises(UserError, match="is there already"):
        Output(str(path), "-")
    with pytest.raises(ValueError, match="gone wrong"), Output(str(path), "-", overwrite=True):
        raise ValueError("gone wrong")
    assert path.read_text() == '{"a": 1}\n'
    with Output(str(path), "-", overwrite=True):
        pass
    assert path.read_text() == "", "nothing was to be answered"
    with pytest.raises(UserError, match="is the input itself"):
        Output(str(path), str(path))
    with pytest.raises(UserError, match="cannot be written"):
        Output(str(tmp_path / "no" / "where"), "-")
    with Output("/dev/null", "-") as out:
        out.write({"a": 1})
