from __future__ import annotations

import json
import logging

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from noria.common.errors import UserError
from noria.data.chat.conversations import Columns, Reading, messages_of, read_conversations
from noria.data.chat.messages import Understood

DEFAULT = Columns("messages", "prompt", "response", None)
ALPACA = Columns("messages", "instruction", "output", "input")


def chat(*contents: str) -> list[dict[str, str]]:
    return [{"role": ("user", "assistant")[i % 2], "content": content} for i, content in enumerate(contents)]


def chats(rows) -> list[list[dict[str, str]]]:
    return [json.loads(row) for row in rows.table["messages"].to_pylist()]


def test_messages_of_a_list_and_of_lines(write):
    talk = [chat("a", "b", "c", "d"), [{"role": "system", "content": "s"}, *chat("\u00e9", "f")]]
    one = read_conversations(write("a.json", [json.dumps([{"messages": t} for t in talk])]), DEFAULT)
    two = read_conversations(write("a.jsonl", [json.dumps({"messages": t, "more": 1}) for t in talk]), DEFAULT)
    assert chats(one) == chats(two) == talk
    assert one.ids == ["a.json:1", "a.json:2"]
    assert one.texts == ["a\n\nc", "s\n\n\u00e9"], "the text that decides the split is all but the answers"


def test_sharegpt(write):
    row = {"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]}
    assert chats(read_conversations(write("a.jsonl", [json.dumps(row)]), DEFAULT)) == [chat("a", "b")]


def test_prompt_and_response(write):
    rows = [
        {"instruction": "Add.", "input": "1 and 2", "output": "3"},
        {"instruction": "Say a word.", "input": " ", "output": "word"},
        {"instruction": "Say another.", "output": "other"},
    ]
    path = write("a.json", [json.dumps(rows)])
    assert chats(read_conversations(path, ALPACA)) == [
        chat("Add.\n\n1 and 2", "3"),
        chat("Say a word.", "word"),
        chat("Say another.", "other"),
    ]
    without = read_conversations(path, Columns("messages", "instruction", "output", None))
    assert chats(without)[0] == chat("Add.", "3")


def test_prompts_and_responses_that_are_messages(write):
    """As TRL has them: what the assistant says in a prompt is context."""
    row = {"prompt": chat("a", "b", "c"), "completion": [{"role": "assistant", "content": "d"}]}
    columns = Columns("messages", "prompt", "completion", None)
    read = read_conversations(write("a.jsonl", [json.dumps(row), json.dumps({**row, "completion": "d"})]), columns)
    expected = chat("a", "b", "c", "d")
    expected[1] = {**expected[1], "weight": 0}
    assert chats(read) == [expected, expected]


def test_columns_can_be_preferred_to_messages(write):
    path = write("a.jsonl", [json.dumps({"prompt": "p", "response": "r", "messages": chat("a", "b")})])
    assert chats(read_conversations(path, DEFAULT)) == [chat("a", "b")]
    assert chats(read_conversations(path, Columns(None, "prompt", "response", None))) == [chat("p", "r")]


def test_blank_prompts_and_answers_are_counted(write):
    rows = [("a", "b"), ("", "b"), ("a", " \n"), ("a", None), (None, None), ("c", "d")]
    path = write("a.jsonl", [json.dumps({"prompt": prompt, "response": answer}) for prompt, answer in rows])
    read = read_conversations(path, DEFAULT)
    assert read.ids == ["a.jsonl:1", "a.jsonl:6"] and read.dropped == {"no_prompt": 2, "no_answer": 2}
    path = write("b.jsonl", [json.dumps({"messages": chat(*words)}) for words in (("a", "", "b", "c"), ("a", "b"))])
    assert read_conversations(path, DEFAULT).dropped == {"no_answer": 1}


USER, ANSWER = {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "there are no messages"),
        ([], "there are no messages"),
        ("hello", "there are no messages"),
        ([USER, "hello"], r"line 2, message 2 is no such object: 'role' and 'content' are needed"),
        ([{"role": "user", "text": "a"}, ANSWER], r"message 1 has role, text: 'role' and 'content' are needed"),
        ([USER, {"role": "asistant", "content": "b"}], "message 2: unknown role 'asistant'. Did you mean 'assistant'"),
        ([USER, {"role": 3, "content": "b"}], "message 2: unknown role 3"),
        ([USER, {"role": ["x"], "content": "b"}], "message 2: unknown role"),
        ([USER, {"role": "assistant", "content": ["b"]}], "message 2: its content is of type list, not text"),
        ([USER, {"role": "assistant", "content": None}], "message 2: its content is of type NoneType, not text"),
        ([USER, {"role": "assistant", "content": "\ud800"}], "message 2: its content is not valid text"),
        ([USER], "the last message is of the user"),
        ([USER, ANSWER, {"role": "system", "content": "x"}], "the last message is of the system"),
        ([ANSWER], "there is no prompt that it answers"),
        ([{"role": "system", "content": "x"}, ANSWER], "there is no prompt that it answers"),
    ],
)
def test_what_is_wrong_with_messages_is_said(value, message):
    with pytest.raises(UserError, match=message):
        messages_of(value, "'a.jsonl', line 2")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", b'{"prompt": "a", "response": "b"}\n{"prompt": "a"\n', "line 2: not valid JSON"),
        ("a.json", b'[{"prompt": "a"},\n{"prompt": ]', "line 2: not valid JSON"),
        ("a.json", b'["a", "b"]', 'item 1: not a JSON object: "a"'),
        ("a.json", b"[]", "is empty"),
        ("a.jsonl", b"\n \n", "is empty"),
        ("a.csv", b"prompt,response\na,b\n", "a JSON file is needed; it ends in .json"),
        ("a.jsonl", b'{"promt": "a", "response": "b"}\n', "no column 'prompt'.*Did you mean 'promt'.*data.prompt"),
        (
            "a.jsonl",
            b'{"instruction": "a", "input": "", "output": "b"}\n',
            r"Here: data\.prompt=instruction data\.input=input",
        ),
        ("a.jsonl", b'{"prompt": "a", "output": "b"}\n', "no column 'response'. Its columns: prompt, output"),
        (
            "a.jsonl",
            b'{"prompt": "a", "response": "b"}\n{"prompt": 3, "response": "b"}',
            "line 2: 'prompt' is of type int",
        ),
        ("a.jsonl", b'{"prompt": "a", "response": {"x": 1}}\n', "line 1: 'response' is of type dict, not text"),
        ("a.jsonl", b'{"prompt": "a", "response": "\\ud800"}\n', "line 1: 'response' is not valid text"),
        ("a.jsonl", b'{"prompt": "a", "response": " "}\n', r"every row was left out \(no answer: 1\)"),
        ("a.jsonl", '{"prompt": "caf\xe9"}\n'.encode("latin-1"), "line 1: not UTF-8"),
        ("a.jsonl", b'\n{"messages": [{"role": "user", "content": "a"}]}\n', "line 2: the last message is of the user"),
        ("a.jsonl", b'{"messages": []}\n', "line 1: there are no messages"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(write, name, content, message):
    with pytest.raises(UserError, match=message):
        read_conversations(write(name, content), DEFAULT)


def test_system_and_history_stand_before_the_turns(write):
    row = {"instruction": "Who?", "input": "", "output": "Bo.", "system": "Be brief.", "history": [["I am Bo.", "Hi."]]}
    expected = [[{"role": "system", "content": "Be brief."}, *chat("I am Bo.", "Hi.", "Who?", "Bo.")]]
    assert chats(read_conversations(write("a.json", [json.dumps([row])]), ALPACA)) == expected
    turns = [{"from": "human", "value": "Who?"}, {"from": "gpt", "value": "Bo."}]
    talk = {"conversations": turns, "system": "Be brief.", "history": json.dumps(row["history"])}
    assert chats(read_conversations(write("b.jsonl", [json.dumps(talk)]), DEFAULT)) == expected
    unread = Columns("messages", "prompt", "response", None, system=None, history=None)
    assert chats(read_conversations(write("b.jsonl", [json.dumps(talk)]), unread)) == [chat("Who?", "Bo.")]
    talk["conversations"] = [{"from": "system", "value": "Be long."}, *turns]
    with pytest.raises(UserError, match="are two system messages"):
        read_conversations(write("c.jsonl", [json.dumps(talk)]), DEFAULT)


CALL = {"type": "function", "function": {"name": "w", "arguments": {"city": "Oslo"}}}


def test_a_table_has_what_the_lines_have(write, tmp_path):
    """In a Parquet file every message has every key, and so has every object in it."""
    other = {"type": "function", "function": {"name": "v", "arguments": {"day": "today"}}}
    tools = [{"type": "function", "function": {"name": "w", "description": "Weather"}}]
    rows = [
        {"messages": [*chat("a"), {"role": "assistant", "content": None, "tool_calls": [CALL, other]},
                      {"role": "tool", "content": "sunny"}, *chat("", "It is sunny.")[1:]], "tools": tools},
        {"messages": [{**message, "weight": place % 2 or None} for place, message in enumerate(chat("c", "d"))]},
    ]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    table = read_conversations(str(tmp_path / "a.parquet"), DEFAULT)
    lines = read_conversations(write("a.jsonl", map(json.dumps, rows)), DEFAULT)
    assert chats(table) == chats(lines) and table.table["tools"].to_pylist() == lines.table["tools"].to_pylist()
    assert chats(table)[0][1] == {"role": "assistant", "content": "", "tool_calls": [CALL, other]}
    assert json.loads(table.table["tools"][0].as_py()) == tools and table.table["tools"][1].as_py() == ""


def test_bad_rows_are_left_out_up_to_a_share_and_named(write, caplog):
    lines = [json.dumps({"messages": chat("a", str(number))}) for number in range(48)]
    lines[5] = json.dumps({"messages": [{"role": "asistant", "content": "x"}]})
    lines[7] = json.dumps({"messages": [USER]})
    path = write("a.jsonl", lines)
    with caplog.at_level(logging.WARNING):
        rows = read_conversations(path, DEFAULT, Reading(max_bad_share=0.05))
    assert len(rows) == 46 and rows.dropped == {"bad_row": 2} and rows.ids[5] == "a.jsonl:7"
    assert "2 of 48 rows cannot be used and are left out" in caplog.text and "line 6, message 1: unknown" in caplog.text
    with pytest.raises(UserError, match=r"(?s)2 of 48 rows .*max_bad_share=0.04.*line 6, message 1.*line 8: the last"):
        read_conversations(path, DEFAULT, Reading(max_bad_share=0.04))


@pytest.mark.parametrize("name", ["training", "images", "chosen", "weight", "system_prompt", "functions"])
def test_a_column_that_says_what_is_learnt_is_not_passed_over(name, write, caplog):
    path = write("a.jsonl", [json.dumps({"messages": chat("a", "b"), name: "x", "source": "web"})])
    with pytest.raises(UserError, match=rf"there is a '{name}'.*data.ignore=\[{name}\]"):
        read_conversations(path, DEFAULT)
    with caplog.at_level(logging.WARNING):
        rows = read_conversations(path, DEFAULT, Reading(Understood(ignored={name})))
    assert chats(rows) == [chat("a", "b")] and "nothing is made of source." in caplog.text


def test_answers_of_which_none_is_to_be_learnt_are_counted(write, caplog):
    rows = [chat("a", "b"), [USER, {**ANSWER, "weight": 0}], [ANSWER, *chat("c", "d", "e")]]
    with caplog.at_level(logging.WARNING):
        read = read_conversations(write("a.jsonl", [json.dumps({"messages": row}) for row in rows]), DEFAULT)
    assert read.ids == ["a.jsonl:1", "a.jsonl:3"] and read.dropped == {"no_answer_is_to_be_learnt": 1}
    assert "in 1 conversations the assistant speaks before" in caplog.text
    assert "in 1 conversations nobody answers what is asked last" in caplog.text


def test_of_two_columns_of_chats_the_one_that_is_not_read_is_named(write, caplog):
    other = [{"from": "human", "value": "c"}, {"from": "gpt", "value": "d"}]
    path = write("a.jsonl", [json.dumps({"messages": chat("a", "b"), "conversations": other})])
    with caplog.at_level(logging.WARNING):
        assert chats(read_conversations(path, DEFAULT)) == [chat("a", "b")]
    assert "nothing is made of conversations." in caplog.text
