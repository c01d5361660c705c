from __future__ import annotations

import io
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from noria.common.errors import UserError
from noria.task.generation.prompts import Fields, conversation, prompt_of, read_prompts, reference_of

HI = [{"role": "user", "content": "Hi"}]


def test_lines_are_prompts_and_objects_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = ["plain", "", json.dumps({"messages": HI, "id": 1}), json.dumps({"text": "a text", "prompt": None})]
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(lines) + "\n"))
    rows = list(read_prompts("-"))
    assert rows == [{"prompt": "plain"}, {"prompt": ""}, {"messages": HI, "id": 1}, {"text": "a text", "prompt": None}]
    assert [prompt_of(row, chat=False) for row in rows] == ["plain", None, HI, "a text"]
    user = [[{"role": "user", "content": text}] for text in ("plain", "a text")]
    assert [prompt_of(row, chat=True) for row in rows] == [user[0], None, HI, user[1]]


def test_tables_have_a_column_of_prompts(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('id,prompt\n1,"one, two"\n2,\n')
    assert [row["prompt"] for row in read_prompts(str(tmp_path / "a.csv"))] == ["one, two", ""]
    (tmp_path / "a.json").write_text(json.dumps([{"text": "one"}, {"text": None}]))
    assert list(read_prompts(str(tmp_path / "a.json"))) == [{"text": "one"}, {"text": None}]
    pq.write_table(pa.table({"messages": [HI, HI]}), tmp_path / "a.parquet")
    assert list(read_prompts(str(tmp_path / "a.parquet"))) == [{"messages": HI}] * 2

    (tmp_path / "b.csv").write_text("question\nwhy\n")
    with pytest.raises(UserError, match="none of the columns messages, prompt, text"):
        list(read_prompts(str(tmp_path / "b.csv")))
    (tmp_path / "b.json").write_text("[1")
    with pytest.raises(UserError, match="not valid JSON"):
        list(read_prompts(str(tmp_path / "b.json")))


@pytest.mark.parametrize("row", [{"prompt": "  "}, {"messages": []}, {"messages": None}, {"text": None}])
def test_blank_ones(row: dict[str, object]) -> None:
    assert prompt_of(row, chat=True) is None


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"promt": "x"}, "there is no 'prompt' and there are no 'messages'. Did you mean 'promt'"),
        ({"prompt": 3}, "'prompt' is 3, which is no text"),
        ({"messages": "Hi"}, "'messages' must be a list"),
        ({"messages": [{"role": "user"}]}, "'content' of message 1 is missing"),
    ],
)
def test_a_bad_line_is_named_and_those_before_it_are_read(tmp_path: Path, row: dict[str, object], words: str) -> None:
    path = tmp_path / "prompts.jsonl"
    path.write_text('{"prompt": "fine"}\n' + json.dumps(row) + "\n")
    rows = read_prompts(str(path))
    assert next(rows) == {"prompt": "fine"}
    with pytest.raises(UserError, match=f"prompts.jsonl, line 2: .*{words}"):
        next(rows)


def test_what_follows_the_last_question_is_its_reference() -> None:
    answered = [*HI, {"role": "assistant", "content": "Ho"}]
    for row in (
        {"messages": answered},
        {"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Ho"}]},
    ):
        assert prompt_of(row, chat=True) == HI and reference_of(row) == "Ho"
    assert reference_of({"messages": HI}) is None and reference_of({"messages": HI, "response": "Ho"}) == "Ho"
    parts = [*HI, {"role": "assistant", "content": [{"type": "text", "text": "Ho"}, {"type": "text", "text": "!"}]}]
    assert reference_of({"messages": parts}) == "Ho!"
    assert prompt_of({"messages": answered[1:]}, chat=True) is None, "an answer to nothing asks nothing"
    filled = [{"role": "user", "content": "Hi", "tool_calls": None}]  # as Parquet fills what other rows have
    assert prompt_of({"messages": filled}, chat=True) == HI


def test_the_names_of_data_come_first() -> None:
    fields = Fields.of({"prompt": "question", "input": "more", "messages": None, "text": ["a", "b"], "limit": 3})
    assert fields == Fields(prompt="question", input="more")
    row = {"prompt": "no", "question": "yes", "more": "and"}
    assert prompt_of(row, False, fields) == "yes\n\nand" and prompt_of(row, False) == "no"


def test_what_stands_beside_a_chat_is_asked_with_it() -> None:
    tools = [{"type": "function", "function": {"name": "w"}}]
    row = {"messages": HI, "system": "Be brief.", "history": [["a", "b"]], "tools": tools, "source": "web"}
    prompt = prompt_of(row, chat=True)
    before = [("system", "Be brief."), ("user", "a"), ("assistant", "b"), ("user", "Hi")]
    messages = [{"role": role, "content": text} for role, text in before]
    assert prompt is not None and conversation(prompt, "x") == (messages, tools)  # type: ignore[arg-type]
    asked = prompt_of({"prompt": "Hi", "system": "Be brief.", "history": None, "tools": []}, chat=True)
    assert asked is not None and conversation(asked, "x") == ([messages[0], *HI], [])  # type: ignore[arg-type]
    assert prompt_of({"prompt": "Hi", "system": "Be brief."}, chat=False) == "Hi", "a text to go on from"


def test_a_chat_is_asked_in_the_forms_that_it_is_learnt_in() -> None:
    call = {"type": "function", "function": {"name": "w", "arguments": '{"city": "Oslo"}'}}
    talk = [
        {"role": "developer", "content": [{"type": "text", "text": "Be "}, {"type": "text", "text": "brief."}]},
        *HI,
        {"role": "assistant", "content": None, "tool_calls": [call], "weight": 0},
        {"role": "tool", "content": "sunny", "mood": "glad"},
    ]
    messages, _ = conversation(talk, "x")
    assert messages[0] == {"role": "system", "content": "Be brief."} and "weight" not in messages[2]
    assert messages[2]["tool_calls"][0]["function"]["arguments"] == {"city": "Oslo"}
    assert messages[3] == talk[3], "what only the template may know is left to it"
    with pytest.raises(UserError, match="message 1: its content has a part of the type image"):
        conversation([{"role": "user", "content": [{"type": "image", "url": "x"}]}], "x")


def test_one_field_may_be_named_alone(tmp_path: Path) -> None:
    fields = Fields(only="question")
    row = {"prompt": "no", "question": "yes", "messages": HI}
    assert prompt_of(row, False, fields) == "yes"
    assert prompt_of({"question": HI}, False, fields) == HI and prompt_of({"prompt": HI}, False) == HI
    (tmp_path / "a.csv").write_text("prompt\nno\n")
    with pytest.raises(UserError, match="none of the columns question"):
        list(read_prompts(str(tmp_path / "a.csv"), fields))
    (tmp_path / "a.jsonl").write_text('{"quest": "no"}\n')
    with pytest.raises(UserError, match=r"there is no 'question'. Did you mean 'quest'"):
        list(read_prompts(str(tmp_path / "a.jsonl"), fields))
    (tmp_path / "a.txt").write_text("plain\n")
    assert list(read_prompts(str(tmp_path / "a.txt"), fields)) == [{"question": "plain"}]


def test_a_chat_in_a_text_of_json_is_read_as_it_is_learnt(tmp_path: Path) -> None:
    answer = {"role": "assistant", "content": "Hello"}
    file = tmp_path / "a.jsonl"
    file.write_text(json.dumps({"messages": json.dumps([*HI, answer])}) + "\n")
    (row,) = read_prompts(str(file))
    assert prompt_of(row, True) == HI and reference_of(row) == "Hello"
    file.write_text(json.dumps({"messages": "[{"}) + "\n")
    with pytest.raises(UserError, match="line 1: 'messages' must be a list"):
        list(read_prompts(str(file)))


def test_a_call_of_sharegpt_is_asked_as_a_call() -> None:
    turns = [("human", "Hi"), ("function_call", '{"name": "w", "arguments": {}}'), ("observation", "sunny")]
    chat = [{"from": who, "value": said} for who, said in turns]
    prompt = prompt_of({"conversations": chat}, True)
    assert prompt is not None
    messages, _ = conversation(prompt, "x")  # type: ignore[arg-type]
    assert messages[1]["tool_calls"] == [{"type": "function", "function": {"name": "w", "arguments": {}}}]
    assert prompt_of({"conversations": chat[:2]}, True) == HI, "a call that it ends with is an answer"


def test_a_system_message_beside_one_of_which_only_the_template_knows_the_role() -> None:
    chat = [{"role": "system", "content": [{"type": "text", "text": "a"}]}, {"role": "critic", "content": "x"}]
    with pytest.raises(UserError, match="two system messages"):
        conversation({"messages": chat, "system": "b"}, "x")
