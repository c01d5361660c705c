from __future__ import annotations

import io
import json
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

RUN = Path(__file__).resolve().parents[2] / "scripts" / "run.py"

Answers = list[dict[str, Any]]


@pytest.fixture
def predict(noria: Callable[..., int], fitted: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Answers]:
    """predict(*words): what the fitted artifact answers on standard output."""

    def run(*words: object) -> Answers:
        assert noria("stage=predict", f"artifact={fitted / 'artifact'}", *words) == 0
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return run


@pytest.fixture(scope="module")
def similar(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
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
    return folder / "runs/latest/artifact"


def by_hand(artifact: Path, text: str) -> list[float]:
    """Probabilities (labels,) of a text alone, by transformers and nothing else."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(artifact)
    network = AutoModelForSequenceClassification.from_pretrained(artifact).eval()
    with torch.inference_mode():
        inputs = tokenizer(text, return_tensors="pt", truncation=True, max_length=32)
        return network(**inputs).logits.softmax(-1)[0].tolist()


def test_standard_input_in_a_process_of_its_own(fitted, tmp_path):
    done = subprocess.run(
        [sys.executable, str(RUN), "stage=predict", f"artifact={fitted / 'artifact'}", "input=-"],
        input="a wonderful film\n\n" + json.dumps({"id": 7, "text": "a dréadful “film”"}) + "\n",
        capture_output=True,
        text=True,
        encoding="utf-8",
        cwd=tmp_path,
        check=True,
    )
    first, second, third = (json.loads(line) for line in done.stdout.splitlines())
    assert first["text"] == "a wonderful film" and first["prediction"] in ("good", "bad")
    assert second == {"text": "", "error": "no text"}
    assert (third["id"], third["text"]) == (7, "a dréadful “film”")
    assert list(first["probabilities"].values()) == pytest.approx(by_hand(fitted / "artifact", first["text"]), abs=1e-5)
    assert "3 lines answered, 1 of them had no text" in done.stderr
    assert not list(tmp_path.iterdir()), "predicting leaves no run"


def test_whoever_has_read_enough_may_leave(fitted, tmp_path):
    (tmp_path / "many.txt").write_text("a wonderful film\n" * 5000)
    command = [sys.executable, str(RUN), "stage=predict", f"artifact={fitted / 'artifact'}", "input=many.txt"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path) as done:
        assert json.loads(done.stdout.readline())["text"] == "a wonderful film"
        done.stdout.close()  # as head does
        said = done.stderr.read()
    assert done.returncode == 0
    assert said == "", "it ends without a word"


TEXTS = ["superb acting", "a bore, flat and stale", "fun"]


def write(folder: Path, suffix: str) -> Path:
    """The three texts as a file of that kind."""
    path = folder / f"texts{suffix}"
    if suffix == ".parquet":
        pq.write_table(pa.table({"text": TEXTS, "stars": [1, 2, 3]}), path)
        return path
    rows = [{"text": text, "stars": number} for number, text in enumerate(TEXTS)]
    path.write_text(
        {
            ".txt": "\n".join(TEXTS),
            "": "\n".join(TEXTS) + "\n",
            ".csv": "stars,text\n" + "".join(f'{row["stars"]},"{row["text"]}"\n' for row in rows),
            ".tsv": "text\tstars\n" + "".join(f"{row['text']}\t{row['stars']}\n" for row in rows),
            ".jsonl": "\n".join(json.dumps(row) for row in rows) + "\n",
            ".json": json.dumps(rows),
        }[suffix]
    )
    return path


@pytest.mark.parametrize("suffix", [".txt", "", ".csv", ".tsv", ".jsonl", ".json", ".parquet"])
def test_files_of_every_kind(suffix, predict, fitted, tmp_path):
    answers = predict(f"input={write(tmp_path, suffix)}")
    assert [answer["text"] for answer in answers] == TEXTS
    for answer in answers:
        shares = list(answer["probabilities"].values())
        assert shares == pytest.approx(by_hand(fitted / "artifact", answer["text"]), abs=1e-5)
        assert answer["prediction"] == max(answer["probabilities"], key=answer["probabilities"].get)
    if suffix == ".jsonl":
        assert [answer["stars"] for answer in answers] == [0, 1, 2], "what else a line holds is kept"


def test_the_order_is_kept_and_rows_without_a_text_their_place(predict, noria, fitted, tmp_path, capsys):
    draw = random.Random(0)
    texts = [" ".join(draw.choices(["fun", "stale", "a", "film"], k=draw.randint(1, 30))) for _ in range(150)]
    for place in (0, 40, 41, 149):
        texts[place] = draw.choice(["", "   "])
    (tmp_path / "many.txt").write_text("\n".join(texts) + "\n")
    # more than one chunk of 32 batches
    answers = predict("input=many.txt", "stage.batch_size=3")
    assert [answer["text"] for answer in answers] == texts
    assert [place for place, answer in enumerate(answers) if "error" in answer] == [0, 40, 41, 149]
    for place in (1, 77, 148):
        shares = list(answers[place]["probabilities"].values())
        assert shares == pytest.approx(by_hand(fitted / "artifact", texts[place]), abs=1e-5)

    words = ["stage=predict", f"artifact={fitted / 'artifact'}", "input=many.txt", "stage.output=answers.jsonl"]
    assert noria(*words, "stage.batch_size=64") == 0
    said = capsys.readouterr()
    assert said.out == "" and "150 lines answered, 4 of them had no text" in said.err and "answers.jsonl" in said.err
    written = [json.loads(line) for line in (tmp_path / "answers.jsonl").read_text().splitlines()]
    assert [answer.get("prediction") for answer in written] == [answer.get("prediction") for answer in answers]


def test_what_comes_before_a_bad_line_is_answered(noria, fitted, capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("fun\nstale\nfine\n{no JSON\n"))
    assert noria("stage=predict", f"artifact={fitted / 'artifact'}", "input=-", "stage.batch_size=1") == 2
    said = capsys.readouterr()
    assert [json.loads(line)["text"] for line in said.out.splitlines()] == ["fun", "stale", "fine"]
    assert "standard input, line 4: not valid JSON" in said.err


def test_pairs_and_a_number_for_each(similar, noria, tmp_path, capsys):
    (tmp_path / "pairs.txt").write_text("a cat\ta dog\n\na cat\ta boat\n")
    assert noria("stage=predict", f"artifact={similar}", "input=pairs.txt") == 0
    said = capsys.readouterr()
    first, blank, last = (json.loads(line) for line in said.out.splitlines())
    assert (first["first"], first["second"]) == ("a cat", "a dog") and isinstance(first["prediction"], float)
    assert blank["error"] == "no text" and "1 of them had no text" in said.err
    assert last["prediction"] != first["prediction"] and "probabilities" not in last

    (tmp_path / "pairs.jsonl").write_text('{"first": "a cat", "second": "a dog"}\n')
    assert noria("stage=predict", f"artifact={similar}", "input=pairs.jsonl") == 0
    assert json.loads(capsys.readouterr().out)["prediction"] == pytest.approx(first["prediction"], abs=1e-5)


def test_a_pair_needs_both(similar, noria, tmp_path, capsys):
    (tmp_path / "pairs.txt").write_text("a cat and no tab\n")
    assert noria("stage=predict", f"artifact={similar}", "input=pairs.txt") == 2
    assert "pairs.txt, line 1: a pair needs a tab between its two texts" in capsys.readouterr().err
    (tmp_path / "pairs.jsonl").write_text('{"first": "a cat"}\n')
    assert noria("stage=predict", f"artifact={similar}", "input=pairs.jsonl") == 2
    assert "line 1: there is no 'second'" in capsys.readouterr().err


def test_one_text_is_no_pair(similar, fitted, noria, tmp_path, capsys):
    (tmp_path / "pairs.csv").write_text("first,second\na cat,a dog\n")
    assert noria("stage=predict", f"artifact={similar}", "input=pairs.csv", "stage.text=first") == 2
    assert "The artifact reads pairs of texts, and first is one column" in capsys.readouterr().err
    assert (
        noria("stage=predict", f"artifact={fitted / 'artifact'}", "input=pairs.csv", "stage.text=[first,second]") == 2
    )
    assert "The artifact reads one text, and first, second are two columns" in capsys.readouterr().err


def test_the_columns_may_be_named_anew(predict, tmp_path):
    (tmp_path / "reviews.csv").write_text("review,number\nfun,1\n")
    (answer,) = predict("input=reviews.csv", "data.text=review")
    assert answer["review"] == "fun" and answer["prediction"] in ("good", "bad")
