"""What people write beside role and content, and what becomes of it."""

from __future__ import annotations

from typing import Any

import pytest

from noria.common.errors import UserError
from noria.data.chat.conversations import messages_of
from noria.data.chat.messages import BadConversationError, Understood, one_form, tools_of

USER, ANSWER = {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}
CALL = {"type": "function", "function": {"name": "w", "arguments": {"city": "Oslo"}}}
CALLS = {"role": "assistant", "content": "", "tool_calls": [CALL]}


def one(given: dict[str, Any], **understood: Any) -> dict[str, Any]:
    (message,) = one_form([given], "line 2", Understood(**understood))
    return message


@pytest.mark.parametrize("key", ["weight", "train", "training"])
@pytest.mark.parametrize("no", [0, False, 0.0])
def test_an_answer_that_is_not_to_be_learnt_keeps_that(key, no):
    assert one({**ANSWER, key: no}) == {**ANSWER, "weight": 0}
    assert one({**ANSWER, key: 1}) == one({**ANSWER, key: True}) == one({**ANSWER, key: None}) == ANSWER


def test_parts_roles_and_thoughts_have_one_form():
    parts = [{"type": "text", "text": "one, ", "image": None}, {"type": "text", "text": "two"}]
    assert one({"role": "user", "content": parts}) == {"role": "user", "content": "one, two"}
    assert one({"role": "developer", "content": "x"}) == {"role": "system", "content": "x"}
    assert one({"from": "observation", "value": "x"}) == {"role": "tool", "content": "x"}
    thought = {**ANSWER, "reasoning_content": "hm"}
    assert one({**ANSWER, "reasoning": "hm"}) == one({**ANSWER, "thinking": "hm"}) == one(thought) == thought
    assert one({**ANSWER, "id": 3, "timestamp": 4.5, "tool_calls": None, "images": []}) == ANSWER
    assert one_form('[{"role": "user", "content": "a"}]', "x") == [USER], "a list in JSON"


def test_calls_have_one_form():
    text = {"type": "function", "function": {"name": "w", "arguments": '{"city": "Oslo"}'}}
    for calls in ([CALL], [text], [CALL["function"]], '[{"name": "w", "arguments": {"city": "Oslo"}}]'):
        assert one({"role": "assistant", "content": None, "tool_calls": calls}) == CALLS
    assert one({"role": "assistant", "content": None, "function_call": text["function"]}) == CALLS
    assert one({"from": "function_call", "value": '{"name": "w", "arguments": {"city": "Oslo"}}'}) == CALLS
    assert one({"role": "assistant", "tool_calls": [{**CALL, "id": "7"}]})["tool_calls"][0]["id"] == "7"
    tool = {"type": "function", "function": {"name": "w", "parameters": {}}}
    assert tools_of('[{"name": "w", "parameters": {}}]', "x") == tools_of([tool], "x") == [tool]


def test_from_the_first_question_to_the_last_answer():
    opening = {"role": "assistant", "content": "Welcome."}
    system = {"role": "system", "content": "s"}
    assert messages_of([opening, USER, ANSWER], "x") == [{**opening, "weight": 0}, USER, ANSWER]
    assert messages_of([system, opening, USER, ANSWER], "x")[1]["weight"] == 0
    assert messages_of([USER, ANSWER, USER], "x") == [USER, ANSWER]
    assert messages_of([USER, USER, ANSWER], "x") == [USER, USER, ANSWER]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({**ANSWER, "loss_mask": 1}, r"not known what 'loss_mask' means .*data.ignore=\[loss_mask\]"),
        ({**ANSWER, "refusal": "no"}, "'refusal'"),
        ({**ANSWER, "weight": 0.5}, "its weight is 0.5: an answer is learnt"),
        ({**ANSWER, "weight": 1, "train": False}, "weight and train say different things"),
        ({**USER, "train": True}, "only the assistant's answers are"),
        ({**USER, "tool_calls": [CALL]}, "only the assistant calls tools"),
        ({**USER, "reasoning_content": "hm"}, "only the assistant's messages have thoughts"),
        (
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]},
            "a part of the type image_url",
        ),
        ({"role": "user", "content": [{"type": "input_audio", "text": "x"}]}, "a part of the type input_audio"),
        ({**ANSWER, "tool_calls": [{"type": "function"}]}, "needs the name of a function"),
        ({**ANSWER, "tool_calls": [{"name": "w", "arguments": "{"}]}, "arguments of w is not valid JSON"),
        ({**ANSWER, "tool_calls": [{"name": "w", "arguments": [1]}]}, "arguments of w are no object"),
    ],
)
def test_what_is_not_understood_is_refused_by_name(given, said):
    with pytest.raises(UserError, match=f"line 2, message 1.*{said}"):
        one(given)


def test_a_key_that_is_ignored_or_that_the_template_reads():
    mood = {**ANSWER, "mood": "glad"}
    assert one(mood, ignored={"mood"}) == ANSWER
    assert one(mood, read={"mood"}) == mood
    assert one({**ANSWER, "weight": 0}, ignored={"weight"}) == ANSWER


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({**ANSWER, "from": "human", "value": "b"}, "'from' and 'role'"),
        ({**ANSWER, "from": "assistant", "value": "another"}, "'value' and 'content'"),
        ({**CALLS, "function_call": {"name": "v"}}, "'tool_calls' and 'function_call'"),
        ({**ANSWER, "reasoning": "one", "thinking": "two"}, "'reasoning' and 'thinking'"),
    ],
)
def test_two_keys_for_one_thing_must_say_the_same(given, named):
    with pytest.raises(BadConversationError, match=f"{named} say different things"):
        one(given)


def test_two_keys_that_say_the_same_are_one():
    assert one({**ANSWER, "reasoning": "hm", "thinking": "hm"}) == {**ANSWER, "reasoning_content": "hm"}
    assert one({"role": None, "content": None, "from": "gpt", "value": "b"}) == ANSWER
    assert one({**ANSWER, "from": "gpt", "value": "b"}) == ANSWER


def test_json_in_a_text_that_is_too_deep_is_a_bad_conversation():
    deep = "[" * 100_000
    call = {"function": {"name": "w", "arguments": deep}}
    for read in (
        lambda: one_form(deep, "x"),
        lambda: tools_of(deep, "x"),
        lambda: one({**CALLS, "tool_calls": [call]}),
    ):
        with pytest.raises(BadConversationError, match="not valid JSON"):
            read()
