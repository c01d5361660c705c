"""`stage=evaluate` of a decoder: it writes and cuts conversations as its model was trained to."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

TEMPLATE = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\\n' + m['content'] + '<|im_end|>' + '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def talks(count: int) -> list[dict[str, Any]]:
    return [{"prompt": f"Say {n}.", "response": f"{n}" + " times" * (n % 9)} for n in range(count)]


@pytest.fixture(scope="module")
def chatted(tmp_path_factory: pytest.TempPathFactory, tiny_decoder: Path) -> Path:
    """The run folder of a tiny decoder's fit with a template from a file; to be read, not changed."""
    from noria.cli.main import main

    folder = tmp_path_factory.mktemp("chatted")
    (folder / "chat.jsonl").write_text("".join(json.dumps(row) + "\n" for row in talks(60)))
    (folder / "chat.jinja").write_text(TEMPLATE)
    words = ["model=hub", "model.architecture=decoder", f"model.name={tiny_decoder}", "task=causal_lm"]
    words += ["data=instructions", f"data.path={folder}/chat.jsonl", f"data.chat_template={folder}/chat.jinja"]
    words += ["data.max_length=48", "trainer.max_epochs=1", "precision=fp32", "logger=[]"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(words) == 0
    return (folder / "runs" / "latest").resolve()


@pytest.fixture
def measured(noria: Callable[..., int], chatted: Path, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """measured(*words): the numbers of the fitted artifact."""

    def run(*words: object) -> dict[str, Any]:
        before = set(tmp_path.glob("runs/evaluate/*"))
        assert noria("stage=evaluate", f"artifact={chatted / 'artifact'}", *words) == 0
        (folder,) = set(tmp_path.glob("runs/evaluate/*")) - before
        found: dict[str, Any] = json.loads((folder / "record.json").read_text())["metrics"]
        return found

    return run


@pytest.fixture
def recorded(chatted: Path) -> dict[str, Any]:
    found = json.loads((chatted / "record.json").read_text())["metrics"]
    return {name: value for name, value in found.items() if name.startswith("test/")}


def test_a_template_file_that_was_edited_since_changes_nothing(measured, recorded, chatted):
    file = chatted.parents[2] / "chat.jinja"
    try:
        file.write_text(TEMPLATE.replace("'<|im_end|>'", "' and so on <|im_end|>'"))
        assert measured() == recorded
        file.unlink()
        assert measured() == recorded
    finally:
        file.write_text(TEMPLATE)


def test_a_group_that_is_typed_is_read_at_the_models_length(measured, recorded, chatted, capsys):
    words = ["data=instructions", f"data.path={chatted.parents[2] / 'chat.jsonl'}"]
    assert measured(*words) == recorded
    assert "was typed" not in capsys.readouterr().out
    assert measured(*words, "data.max_length=24") != recorded
    said = " ".join(capsys.readouterr().out.split())
    assert "data.max_length=24 was typed; the model was trained at 48" in said
    assert "cut in test at data.max_length=24: " in said


def test_a_template_that_is_typed_is_used_and_said(measured, recorded, tmp_path, capsys):
    (tmp_path / "other.jinja").write_text(TEMPLATE.replace("'<|im_end|>'", "' and so on <|im_end|>'"))
    assert measured("data.chat_template=other.jinja") != recorded
    assert "data.chat_template=other.jinja was typed" in " ".join(capsys.readouterr().out.split())


def test_an_experiment_does_not_mix_two_data_sets(measured, recorded, chatted):
    words = ["experiment=chat_smollm2", f"data.path={chatted.parents[2] / 'chat.jsonl'}"]
    assert measured(*words) == recorded


def test_an_experiment_that_names_a_template_does_not_replace_the_models(measured, recorded, chatted, tmp_path, capsys):
    (tmp_path / "other.jinja").write_text(TEMPLATE.replace("'<|im_end|>'", "' and so on <|im_end|>'"))
    (tmp_path / "mine/experiment").mkdir(parents=True)
    data = f"data:\n  path: {chatted.parents[2] / 'chat.jsonl'}\n  chat_template: {tmp_path / 'other.jinja'}\n"
    overlay = f"# @package _global_\ndefaults:\n  - override /data: instructions\n{data}"
    (tmp_path / "mine/experiment/chats.yaml").write_text(overlay)
    words = ["--config-dir", tmp_path / "mine", "experiment=chats"]
    assert measured(*words) == recorded
    assert "was typed" not in capsys.readouterr().out
    assert measured(*words, f"data.chat_template={tmp_path / 'other.jinja'}") != recorded


def test_a_moved_artifact_needs_no_template_file(measured, noria, recorded, chatted, tmp_path):
    shutil.copytree(chatted / "artifact", tmp_path / "moved")
    (tmp_path / "ask.txt").write_text("Say 3.\n")
    words = ["artifact=moved", "input=ask.txt", "stage.output=said.jsonl", "stage.generation.max_new_tokens=4"]
    assert noria("stage=predict", *words) == 0
    assert json.loads((tmp_path / "said.jsonl").read_text())["prompt"] == "Say 3."


def test_units_are_named_and_few_rows_are_said(measured, recorded, capsys, chatted):
    found = measured()
    units = {name: value.get("unit") for name, value in found.items()}
    assert units == {
        "test/loss": "nats per token",
        "test/perplexity": "per token",
        "test/bits_per_byte": "bits per byte",
        "test/word_perplexity": "per word",
    }
    said = " ".join(capsys.readouterr().out.split())
    count = found["test/perplexity"]["n"]
    assert count < 20 and f"test: {count} rows or windows are too few for an interval" in said
    assert "test/word_perplexity" in said and "per token" in said, "names are shown whole"
    of_fit = json.loads((chatted / "record.json").read_text())["metrics"]
    assert {"val/bits_per_byte", "val/word_perplexity"} <= {*of_fit}
