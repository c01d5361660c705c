"""A run that goes on finds what it began with: rows, labels, template, tokenizer and model files."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from noria.callback.interrupt import Interrupt

Change = Callable[[Path, Path], None]


def contents(run: Path) -> dict[str, bytes]:
    left = {str(path.relative_to(run)): path for path in sorted(run.rglob("*")) if path.is_file()}
    return {name: path.read_bytes() for name, path in left.items()}


def interrupted(self: Interrupt, trainer: Any, *_: Any) -> None:
    """In place of Interrupt's look at a signal: Ctrl-C after the first step."""
    if trainer.global_step == 1:
        raise KeyboardInterrupt


@pytest.fixture
def stopped(noria, tiny, tiny_model, reviews, tmp_path, monkeypatch) -> tuple[Path, list[str], Path, Path]:
    """A run that was interrupted after its first step, its words, its rows and its model."""
    rows, model = Path(shutil.copy(reviews, tmp_path / "rows.csv")), Path(shutil.copytree(tiny_model, tmp_path / "m"))
    words = [f"data.path={rows}" if word.startswith("data.path=") else word for word in tiny]
    words = [f"model.name={model}" if word.startswith("model.name=") else word for word in words]
    words += ["data.batch_size=8", "callback.checkpoint.every_n_steps=1"]

    with monkeypatch.context() as patch:
        patch.setattr(Interrupt, "on_train_batch_start", interrupted)
        assert noria(*words, "paths.run_dir=runs/default/run") == 130
    return tmp_path / "runs/default/run", words, rows, model


def edit(path: Path, old: str, new: str, count: int = -1) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, count))


def add(path: Path, line: str) -> None:
    path.write_text(f"{path.read_text()}{line}\n")


CHANGES: dict[str, tuple[Change, str]] = {
    "a renamed label": (lambda rows, _: edit(rows, ",good", ",fine"), "they were bad, good; they are bad, fine"),
    "a row more": (lambda rows, _: add(rows, "film y: a bore,bad"), "there were"),
    "other texts": (lambda rows, _: edit(rows, "film 1", "movie 1"), "rows of train: there were"),
    "other labels": (lambda rows, _: edit(rows, ",good", ",bad", 9), "labels of rows of train, whose texts are as"),
    "a new class": (lambda rows, _: edit(rows, ",good", ",great", 9), "they are bad, good, great"),
    "the tokenizer": (lambda _, model: edit(model / "tokenizer.json", "playing", "plaiing", 1), "the tokenizer"),
    "the model": (lambda _, model: edit(model / "config.json", "1e-12", "1e-1"), "the model's files: config.json"),
}


def test_what_has_changed_is_named_and_nothing_is_touched(stopped, noria, capsys):
    run, words, rows, model = stopped
    before = contents(run)
    kept = {path: path.read_bytes() for path in (rows, model / "tokenizer.json", model / "config.json")}

    def refused(said: str, *typed: str) -> None:
        assert noria(*typed) == 2, said
        told = capsys.readouterr().err
        assert said in told and "the same command without resume" in told and "Traceback" not in told, told
        assert contents(run) == before

    for change, said in CHANGES.values():
        change(rows, model)
        refused(said, f"resume={run}")
        for path, content in kept.items():
            path.write_bytes(content)
    edit(rows, ",good", ",fine")
    refused("they are bad, fine", *words, "resume=auto")

    # An older Noria has left fewer fingerprints: what there is is compared, what is not known is said.
    record = json.loads((run / "record.json").read_text())
    del record["tokenizer"], record["model"]["files"], record["data"]["columns"]
    (run / "record.json").write_text(json.dumps(record))
    before = contents(run)
    refused("they are bad, fine", f"resume={run}")
    rows.write_bytes(kept[rows])
    assert noria(f"resume={run}") == 0, "what was put back is as it was"
    assert "is of an older Noria and holds no fingerprints" in " ".join(capsys.readouterr().out.split())


def test_another_template_of_conversations_is_named(noria, tiny_decoder, tmp_path, capsys, monkeypatch):
    rows = [{"prompt": f"What is {n}?", "response": f"It is {n}."} for n in range(24)]
    (tmp_path / "chats.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    template = tmp_path / "chat.jinja"
    shape = "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n"
    template.write_text(
        shape + "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}", newline=""
    )
    words = ["task=causal_lm", "data=instructions", "data.path=chats.jsonl", f"data.chat_template={template}"]
    words += ["model=hub", "model.architecture=decoder", f"model.name={tiny_decoder}", "data.max_length=64"]
    words += ["metric=[perplexity]", "monitor.metric=val/perplexity", "monitor.mode=min", "precision=fp32"]
    words += ["logger=csv", "trainer.max_epochs=1", "callback.checkpoint.every_n_steps=1", "paths.run_dir=run"]
    with monkeypatch.context() as patch:
        patch.setattr(Interrupt, "on_train_batch_start", interrupted)
        assert noria(*words) == 130
    edit(template, "<|im_end|>", "<|im_end|>\n")
    assert noria("resume=run") == 2
    said = capsys.readouterr().err
    assert "the template that writes conversations as text" in said and "the tokenizer" not in said
