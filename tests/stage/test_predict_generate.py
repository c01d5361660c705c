"""`stage=predict` with a decoder: lines, messages and typed prompts."""

from __future__ import annotations

import io
import json
import os
import pty
import select
import sys
import termios
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.artifacts import generator, save

from noria.artifact import bundle
from noria.task.generation.sampling import Sampling

Answers = list[dict[str, Any]]
SHORT = "stage.generation.max_new_tokens=8"


@pytest.fixture(scope="module")
def chatty(fitted: Path, tiny_decoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a decoder's artifact."""
    from noria.model.pretrained import Pretrained

    pretrained = Pretrained(name=str(tiny_decoder), architecture="decoder")
    folder = tmp_path_factory.mktemp("chatty") / "artifact"
    facts = bundle.read_facts(fitted / "artifact") | {"kind": "causal_lm", "labels": [], "max_length": 64}
    save(folder, pretrained.language_model(), pretrained.tokenizer(), facts)
    return folder


@pytest.fixture
def predict(noria: Callable[..., int], chatty: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Answers]:
    """predict(*words): what the decoder answers on standard output."""

    def run(*words: object) -> Answers:
        assert noria("stage=predict", f"artifact={chatty}", SHORT, *words) == 0
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return run


def by_hand(chatty: Path, prompt: Any, **settings: Any) -> str:
    """The answer to one prompt alone."""
    sampling = Sampling(**{"max_new_tokens": 8, **settings})
    answerer = generator(bundle.open_artifact(chatty), sampling)
    return answerer.generate([prompt], 1)[0]


def user(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def test_lines_and_messages_keep_their_place(predict, noria, chatty, tmp_path, capsys):
    talk = [{"role": "system", "content": "Be kind."}, *user("great fun")]
    rows = [{"prompt": "a bore"}, {"messages": talk, "id": 7}, {"text": "superb", "response": "known"}]
    lines = ["great fun", "", *map(json.dumps, rows), "x" * 600]
    (tmp_path / "prompts.txt").write_text("\n".join(lines) + "\n")
    answers = predict("input=prompts.txt", "stage.batch_size=2")
    assert answers[0] == {"prompt": "great fun", "response": by_hand(chatty, user("great fun"))}
    assert answers[1] == {"prompt": "", "error": "no text"}
    assert answers[2] == {"prompt": "a bore", "response": by_hand(chatty, user("a bore"))}
    assert answers[3] == {"messages": talk, "id": 7, "response": by_hand(chatty, talk)}
    assert answers[4] == {"text": "superb", "reference": "known", "response": by_hand(chatty, user("superb"))}
    assert "tokens; the model takes 248 beside" in answers[5]["error"] and "response" not in answers[5]

    words = ["stage=predict", f"artifact={chatty}", SHORT, "input=prompts.txt", "stage.output=answers.jsonl"]
    assert noria(*words) == 0
    said = capsys.readouterr()
    assert said.out == "" and "6 lines answered, 1 of them had no text, 1 of them could not be" in said.err
    assert [json.loads(line) for line in (tmp_path / "answers.jsonl").read_text().splitlines()] == answers


def test_a_plain_prompt_is_gone_on_from(predict, chatty, tmp_path):
    (tmp_path / "prompts.txt").write_text("great fun\n")
    (answer,) = predict("input=prompts.txt", "stage.chat=false")
    assert answer["response"] == by_hand(chatty, "great fun") != by_hand(chatty, user("great fun"))


def test_random_answers_do_not_depend_on_what_is_answered_together(predict, tmp_path):
    lines = ["great fun", "", *(f"film {number}" for number in range(12))]
    (tmp_path / "prompts.txt").write_text("\n".join(lines) + "\n")
    words = ["input=prompts.txt", "stage.generation.temperature=1.0", "stage.generation.top_k=50"]
    first = predict(*words, "stage.batch_size=1")  # chunks of four lines
    assert predict(*words) == first
    assert predict(*words, "seed=5") != first, "the seed of the command is that of the answers"


def test_what_comes_before_a_bad_line_is_answered(noria, chatty, capsys, monkeypatch):
    lines = ["fun", json.dumps({"messages": [{"role": "user"}]})]
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n".join(lines) + "\n"))
    assert noria("stage=predict", f"artifact={chatty}", "input=-", SHORT) == 2
    said = capsys.readouterr()
    assert [json.loads(line)["prompt"] for line in said.out.splitlines()] == ["fun"]
    assert "standard input, line 2: the 'content' of message 1 is missing" in said.err


@pytest.mark.parametrize(
    ("word", "words"),
    [
        ("stage.generation.temprature=1", "stage.generation.temprature is not a key of Typed"),
        ("stage.generation.top_p=0", "stage.generation.top_p = 0 is out of range"),
        ("stage.generation.max_new_tokens=300", "leaves no room for a prompt: the model reads 256"),
    ],
)
def test_settings_that_cannot_be(word, words, noria, chatty, tmp_path, capsys):
    (tmp_path / "prompts.txt").write_text("fun\n")
    word = word if "temprature" not in word else f"+{word}"
    assert noria("stage=predict", f"artifact={chatty}", "input=prompts.txt", word) == 2
    assert words in capsys.readouterr().err


def test_typed_prompts_are_answered_on_the_terminal(noria, chatty, capsys, monkeypatch):
    keyboard, terminal = pty.openpty()
    mode = termios.tcgetattr(terminal)
    mode[1] &= ~termios.OPOST  # a new line stays one character
    mode[3] &= ~termios.ECHO
    termios.tcsetattr(terminal, termios.TCSANOW, mode)
    os.write(keyboard, b"great fun\n\n" + b"x" * 600 + b"\na bore\n\x04")
    with os.fdopen(os.dup(terminal), encoding="utf-8") as stdin, os.fdopen(terminal, "w", encoding="utf-8") as stdout:
        monkeypatch.setattr(sys, "stdin", stdin)
        monkeypatch.setattr(sys, "stdout", stdout)
        assert noria("stage=predict", f"artifact={chatty}", "input=-", SHORT) == 0
        shown = ""
        while select.select([keyboard], [], [], 1)[0]:  # what was written to a terminal comes to its other end in parts
            shown += os.read(keyboard, 4096).decode()
    os.close(keyboard)
    first, last = (by_hand(chatty, user(text)) for text in ("great fun", "a bore"))
    assert shown == f"{first}\n\n{last}\n"
    assert "Each line is a prompt of its own" in (said := capsys.readouterr().err)
    assert "the model takes 248 beside" in said.replace("\n", " ")


TURNS = [*user("great fun"), {"role": "assistant", "content": "It is."}]
SHAREGPT = [{"from": "human", "value": "great fun"}, {"from": "gpt", "value": "It is."}]


@pytest.mark.parametrize(
    ("row", "words", "prompt", "reference"),
    [
        ({"messages": TURNS}, [], user("great fun"), "It is."),
        ({"messages": [*TURNS, *user("a bore")]}, [], [*TURNS, *user("a bore")], None),
        ({"conversations": SHAREGPT}, [], user("great fun"), "It is."),
        ({"instruction": "great", "input": "fun", "output": "It is."}, [], user("great\n\nfun"), None),
        ({"instruction": "great", "input": "", "output": "It is."}, ["data.response=output"], user("great"), "It is."),
        (
            {"question": "great", "more": "fun"},
            ["data.prompt=question", "data.input=more"],
            user("great\n\nfun"),
            None,
        ),
        ({"chat": TURNS}, ["data.messages=chat"], user("great fun"), "It is."),
    ],
)
def test_what_is_there_to_learn_from_can_be_asked(row, words, prompt, reference, predict, chatty, tmp_path):
    (tmp_path / "a.json").write_text(json.dumps([{"id": 7, **row}]))
    taught = ["data=instructions", "data.path=a.json", "task=causal_lm", "model.architecture=decoder"]
    taught += ["metric=[perplexity]", "monitor.metric=val/loss", "monitor.mode=min"]
    (answer,) = predict("input=a.json", *(taught if words else []), *words)
    assert answer.pop("response") == by_hand(chatty, prompt)
    assert answer.pop("reference", None) == reference
    assert answer == {"id": 7, **row}, "all that the row holds is kept"


def test_the_field_is_typed_whatever_the_data_calls_it(predict, chatty, tmp_path):
    (tmp_path / "a.csv").write_text("prompt,question\nno,great fun\n")
    (answer,) = predict("input=a.csv", "stage.text=question")
    assert answer == {"prompt": "no", "question": "great fun", "response": by_hand(chatty, user("great fun"))}


def test_columns_of_a_table_of_prompts_are_kept(predict, chatty, tmp_path):
    (tmp_path / "a.csv").write_text("id,prompt,error,response\n007,great fun,none,known\n008,,x,\n")
    first, second = predict("input=a.csv")
    known = {"id": "007", "prompt": "great fun", "input_error": "none", "reference": "known"}
    assert first == {**known, "response": by_hand(chatty, user("great fun"))}
    assert second == {"id": "008", "prompt": "", "input_error": "x", "reference": "", "error": "no text"}


def test_half_a_surrogate_pair_is_an_error_of_its_row(predict, tmp_path):
    rows = [{"prompt": "fun \ud83d"}, {"messages": user("\ud83d")}]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert all("no valid Unicode" in answer["error"] for answer in predict("input=a.jsonl"))
