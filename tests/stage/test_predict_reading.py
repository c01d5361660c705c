"""`stage=predict` reads what `fit` reads, keeps all that the input says, and loses no answer."""

from __future__ import annotations

import gzip
import io
import json
import math
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from safetensors.torch import load_file, save_file

RUN = Path(__file__).resolve().parents[2] / "scripts" / "run.py"
TEXTS = ["superb acting", "a bore, flat and stale", "great fun"]
ROWS = [{"id": f"00{number}", "text": text, "note": "kept"} for number, text in enumerate(TEXTS)]

Answers = list[dict[str, Any]]


@pytest.fixture
def predict(noria: Callable[..., int], fitted: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Answers]:
    """predict(*words): what the fitted artifact answers on standard output, each line strict JSON."""

    def run(*words: object) -> Answers:
        assert noria("stage=predict", f"artifact={fitted / 'artifact'}", *words) == 0
        return [json.loads(line, parse_constant=refuse) for line in capsys.readouterr().out.splitlines()]

    return run


def refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON")


def write(folder: Path, name: str) -> Path:
    """The rows as a file of that name."""
    path, lines = folder / name, [",".join(f'"{value}"' for value in row.values()) for row in ROWS]
    content = {
        "a.csv": "\n".join(["id,text,note", *lines]),
        "semicolons.csv": "\n".join(["id,text,note", *lines])
        .replace('","', '";"')
        .replace("id,text,note", "id;text;note"),
        "a.tsv": "\n".join(["id\ttext\tnote", *("\t".join(row.values()) for row in ROWS)]),
        "bom.jsonl": "\ufeff" + "\n".join(map(json.dumps, ROWS)),
        "upper.JSONL": "\n".join(map(json.dumps, ROWS)),
        "a.json": json.dumps(ROWS),
        "pretty.json": json.dumps({"data": ROWS}, indent=2),
        "lines.txt": "\ufeff" + "\n".join(map(json.dumps, ROWS)),
    }
    if name == "a.parquet":
        pq.write_table(pa.Table.from_pylist(ROWS), path)
    elif name.endswith(".gz"):
        path.write_bytes(gzip.compress(content[name.removesuffix(".gz")].encode()))
    else:
        path.write_text(content[name], encoding="utf-8")
    return path


FILES = ["a.csv", "semicolons.csv", "a.csv.gz", "a.tsv", "bom.jsonl", "upper.JSONL", "a.json", "pretty.json",
         "lines.txt", "a.parquet"]  # fmt: skip


def test_every_column_of_every_format_is_kept(predict, tmp_path):
    first = None
    for name in FILES:
        answers = predict(f"input={write(tmp_path, name)}")
        assert [{key: answer[key] for key in ROWS[0]} for answer in answers] == ROWS, name
        first = first or answers
        assert answers == first, name


def test_the_columns_that_are_typed_and_quotes_are_those_of_a_fit(predict, noria, fitted, tmp_path, capsys):
    (tmp_path / "a.tsv").write_text('review\tnumber\n"He said ""fun"""\t1\n')
    (answer,) = predict("input=a.tsv", "data.text=review", "data.quoted=true")
    assert answer["review"] == 'He said "fun"' and answer["number"] == "1"
    assert noria("stage=predict", f"artifact={fitted / 'artifact'}", "input=a.tsv", "data.text=review") == 2
    assert "data.quoted=true takes the quotes off" in capsys.readouterr().err.replace("\n", " ")


def test_the_column_is_typed_for_an_artifact_whose_data_names_none(noria, fitted, tmp_path, capsys):
    copy = tmp_path / "artifact"
    shutil.copytree(fitted / "artifact", copy)
    facts = yaml.safe_load((copy / "noria.yaml").read_text())
    facts["config"]["data"] = {"_target_": "noria.data.source.movie_reviews.MovieReviews", "source": "imdb"}
    (copy / "noria.yaml").write_text(yaml.safe_dump(facts))
    (tmp_path / "a.tsv").write_text('review\tnumber\n"He said ""fun"""\t1\n')
    words = ["stage=predict", f"artifact={copy}", "input=a.tsv"]
    assert noria(*words, "stage.quoted=true") == 2
    assert "stage.text" in capsys.readouterr().err
    assert noria(*words, "stage.quoted=true", "stage.text=review") == 0
    (answer,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert answer["review"] == 'He said "fun"' and answer["number"] == "1" and "prediction" in answer


def test_standard_input_is_utf_8_whatever_the_machine_would_read_it_as(noria, fitted, capsys, monkeypatch):
    class Stdin(io.StringIO):
        buffer = io.BytesIO("\ufeffcaf\xe9 fun\r\n".encode() + "caf\xe9\n".encode("latin-1"))

    monkeypatch.setattr(sys, "stdin", Stdin("not these"))
    assert noria("stage=predict", f"artifact={fitted / 'artifact'}", "input=-", "stage.batch_size=1") == 2
    said = capsys.readouterr()
    assert [json.loads(line)["text"] for line in said.out.splitlines()] == ["caf\xe9 fun"]
    words = " ".join(said.err.split())
    assert "standard input, line 2: not UTF-8" in words and "1 line answered; then it ended" in words


def test_half_a_surrogate_pair_is_an_error_of_its_row(predict, tmp_path):
    rows = [{"text": "fun"}, {"text": "fun \ud83d"}, {"text": "fun", "note": "\ud83d"}, {"text": "fun"}]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    answers = predict("input=a.jsonl")
    assert [answer["text"] for answer in answers] == [row["text"] for row in rows]
    assert "no valid Unicode" in answers[1]["error"] and "prediction" not in answers[1]
    assert answers[2]["note"] == "\ud83d" and answers[2]["prediction"] == answers[3]["prediction"]


def test_own_fields_with_a_name_of_an_answer_are_kept_and_not_counted(noria, fitted, tmp_path, capsys):
    rows = [
        {"text": "fun", "error": "timeout", "prediction": "mine", "probabilities": [1]},
        {"text": "fun", "error": "no text", "input_error": "older"},
        {"text": ""},
    ]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert noria("stage=predict", f"artifact={fitted / 'artifact'}", "input=a.jsonl") == 0
    said = capsys.readouterr()
    first, second, third = map(json.loads, said.out.splitlines())
    assert (first["input_error"], first["input_prediction"], first["input_probabilities"]) == ("timeout", "mine", [1])
    assert first["prediction"] in ("good", "bad") and "error" not in first
    assert (second["input_input_error"], second["input_error"]) == ("no text", "older")
    assert third == {"text": "", "error": "no text"}
    words = " ".join(said.err.split())
    assert "3 lines answered, 1 of them had no text. Of the input's own fields, " in words
    assert "error is kept as input_error" in words
    # answers can be asked again
    (tmp_path / "again.jsonl").write_text(said.out)
    assert noria("stage=predict", f"artifact={fitted / 'artifact'}", "input=again.jsonl") == 0
    again = json.loads(capsys.readouterr().out.splitlines()[0])
    assert again["prediction"] == again["input_input_prediction"] == first["prediction"]


def test_there_is_no_nan_in_what_is_written(predict, fitted, tmp_path, noria, capsys):
    (tmp_path / "a.jsonl").write_text('{"text": "fun", "x": NaN, "y": [1, {"z": -Infinity}], "\u2028": "\x9b"}\n')
    (answer,) = predict("input=a.jsonl")  # one line, although U+2028 may end one
    assert answer["\u2028"] == "\x9b"
    assert answer["x"] is None and answer["y"] == [1, {"z": None}]
    table = {"text": ["fun"], "x": [math.nan], "day": pa.array([0], pa.date32()), "raw": [b"\xff"], "name": [b"abc"]}
    pq.write_table(pa.table(table), tmp_path / "a.parquet")
    (answer,) = predict("input=a.parquet")
    assert (answer["x"], answer["day"], answer["raw"], answer["name"]) == (None, "1970-01-01", "/w==", "abc")

    broken = tmp_path / "broken"
    shutil.copytree(fitted / "artifact", broken)
    weights = load_file(broken / "model.safetensors")
    save_file({k: v * math.nan if "classifier" in k else v for k, v in weights.items()}, broken / "model.safetensors",
              metadata={"format": "pt"})  # fmt: skip
    assert noria("stage=predict", f"artifact={broken}", "input=a.jsonl") == 0
    said = capsys.readouterr()
    (answer,) = map(json.loads, said.out.splitlines())
    assert "not finite" in answer["error"] and "prediction" not in answer
    assert "1 of them could not be" in " ".join(said.err.split())


def test_earlier_answers_are_kept(noria, fitted, tmp_path, capsys):
    (tmp_path / "a.txt").write_text("fun\n")
    words = ["stage=predict", f"artifact={fitted / 'artifact'}", "stage.output=out.jsonl"]
    output = tmp_path / "out.jsonl"
    assert noria(*words, "input=a.txt") == 0
    before = output.read_text()
    (tmp_path / "b.txt").write_text("stale\n")
    assert noria(*words, "input=b.txt") == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "out.jsonl is there already" in said and "stage.overwrite=true" in said
    assert output.read_text() == before
    (tmp_path / "bad.csv").write_text("txt\nfun\n")
    assert noria(*words, "input=bad.csv", "stage.overwrite=true") == 2
    assert output.read_text() == before, "nothing has come in its place"
    assert noria(*words, "input=b.txt", "stage.overwrite=true") == 0
    assert [json.loads(line)["text"] for line in output.read_text().splitlines()] == ["stale"]
    assert noria(*words[:2], "stage.output=new.jsonl", "input=bad.csv") == 2
    assert not (tmp_path / "new.jsonl").exists()
    output.write_text("")  # nothing is lost with an empty file
    assert noria(*words, "input=a.txt") == 0 and output.read_text() == before


def test_what_was_answered_before_an_interruption_stays(fitted, tmp_path):
    command = [sys.executable, str(RUN), "stage=predict", f"artifact={fitted / 'artifact'}", "input=-"]
    command += ["stage.output=out.jsonl", "stage.batch_size=1"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path) as done:
        assert done.stdin is not None and done.stderr is not None
        done.stdin.write(b"great fun\n" * 32)  # a chunk
        done.stdin.flush()
        until = time.monotonic() + 120
        while not ((tmp_path / "out.jsonl").is_file() and (tmp_path / "out.jsonl").stat().st_size):
            assert time.monotonic() < until and done.poll() is None
            time.sleep(0.05)
        done.send_signal(signal.SIGINT)
        said = done.stderr.read().decode()
    assert done.returncode == 130 and "32 lines answered; then it ended" in said
    lines = (tmp_path / "out.jsonl").read_text().splitlines()
    assert len(lines) == 32 and all(json.loads(line)["prediction"] for line in lines)
