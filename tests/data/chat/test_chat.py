from __future__ import annotations

from pathlib import Path

import pytest
from transformers import AutoTokenizer

from noria.common.errors import UserError
from noria.data.chat.chat import ends_turns, need_template, render, render_all

# as SmolLM2-Instruct has it
SMOLLM2 = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\n"
    "You are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n' }}{% endif %}"
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
# only the last answer keeps its mark, as models that think aloud have it
FORGETFUL = (
    "{% for message in messages %}{% if message.role == 'assistant' %}A:{% if loop.last %} <think></think>{% endif %}"
    "{% else %}U:{% endif %} {{ message.content }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}A:{% endif %}"
)
TALK = [
    {"role": "user", "content": "assistant\nOne?"},
    {"role": "assistant", "content": "One. "},
    {"role": "user", "content": "One."},
    {"role": "assistant", "content": "Two\n"},
]


@pytest.fixture
def tokenizer(tiny_decoder: Path):
    return AutoTokenizer.from_pretrained(tiny_decoder)


def answers(tokenizer, messages) -> list[str]:
    text, spans = render(tokenizer, messages, "row 1")
    return [text[start:end] for start, end in spans]


@pytest.mark.parametrize("template", [None, SMOLLM2])
def test_answers_are_found_where_they_stand(tokenizer, template):
    if template:
        tokenizer.chat_template = template
    assert answers(tokenizer, TALK) == ["One. <|im_end|>", "Two\n<|im_end|>"]
    text, spans = render(tokenizer, TALK, "row 1")
    assert ("named SmolLM" in text) == bool(template)
    assert text == tokenizer.apply_chat_template(TALK, tokenize=False)
    assert ends_turns(tokenizer, text, spans)
    system = {"role": "system", "content": "Be brief."}
    assert answers(tokenizer, [system, *TALK[:2]]) == ["One. <|im_end|>"]


def test_a_template_that_forgets_is_refused_where_it_matters(tokenizer):
    tokenizer.chat_template = FORGETFUL
    assert answers(tokenizer, TALK[:2]) == [" <think></think> One. <|im_end|>"]
    with pytest.raises(UserError, match=r"row 1: the chat template writes the first .* data.chat_template=<file>"):
        render(tokenizer, TALK, "row 1")


def test_a_template_without_an_end_of_turn(tokenizer):
    tokenizer.chat_template = (
        "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
        "{% if add_generation_prompt %}assistant:{% endif %}"
    )
    text, spans = render(tokenizer, TALK, "row 1")
    assert answers(tokenizer, TALK) == [" One.", " Two"] and not ends_turns(tokenizer, text, spans)


def test_a_template_that_refuses_says_why(tokenizer):
    tokenizer.chat_template = "{{ raise_exception('System role not supported') }}"
    with pytest.raises(UserError, match="row 1: the chat template refuses this conversation: System role not"):
        render(tokenizer, TALK, "row 1")
    tokenizer.chat_template = "{% for m in messages %}"
    with pytest.raises(UserError, match="the chat template refuses"):
        render(tokenizer, TALK, "row 1")


def test_a_template_from_a_file_is_saved_with_the_tokenizer(tokenizer, write, tmp_path):
    tokenizer.chat_template = None
    with pytest.raises(UserError, match=r"no chat template.*model=smollm2.*data.chat_template=<file>"):
        need_template(tokenizer, None)
    with pytest.raises(UserError, match=r"chat_template=none\.jinja: there is no such file"):
        need_template(tokenizer, "none.jinja")
    need_template(tokenizer, write("chat.jinja", SMOLLM2.encode()))
    tokenizer.save_pretrained(tmp_path / "saved")
    assert AutoTokenizer.from_pretrained(tmp_path / "saved").chat_template == SMOLLM2


# as Qwen3 has it, in short
TOOLED = (
    "{% if tools %}{{ '<|im_start|>system\n' }}{% for tool in tools %}{{ tool | tojson }}{% endfor %}{{ '<|im_end|>' }}"
    "{% endif %}{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' }}"
    "{% if m.reasoning_content %}{{ '<think>' + m.reasoning_content + '</think>' }}{% endif %}{{ m.content }}"
    "{% for call in m.tool_calls or [] %}{{ call.function.name }}({{ ARGUMENTS }}){% endfor %}{{ '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": {}}}]
CALL = {"id": "7", "type": "function", "function": {"name": "weather", "arguments": {"city": "Oslo"}}}
USES = [
    {"role": "user", "content": "Rain?"},
    {"role": "assistant", "content": "", "reasoning_content": "Hm.", "tool_calls": [CALL]},
    {"role": "tool", "content": "No", "tool_call_id": "7"},
    {"role": "assistant", "content": "No rain."},
]


@pytest.mark.parametrize(
    "arguments", ["call.function.arguments | tojson", "'' + call.function.arguments", "call.function.arguments"]
)
def test_thoughts_calls_and_tools_are_written_and_learnt(tokenizer, arguments):
    tokenizer.chat_template = TOOLED.replace("ARGUMENTS", arguments)
    text, spans = render(tokenizer, USES, "row 1", TOOLS)
    learnt = [text[start:end] for start, end in spans]
    assert learnt == ['<think>Hm.</think>weather({"city": "Oslo"})<|im_end|>', "No rain.<|im_end|>"]
    assert '"name": "weather"' in text[: spans[0][0]] and "tool\nNo<|im_end|>" in text
    tokenizer.chat_template = tokenizer.chat_template.replace("reasoning_content", "thinking")
    assert render(tokenizer, USES, "row 1", TOOLS)[0] == text, "it is called what the template calls it"


@pytest.mark.parametrize(
    ("part", "left_out"),
    [
        ("tool | tojson", "the tools"),
        ("'<think>' + m.reasoning_content + '</think>'", r"the reasoning_content of message 2 \(assistant\)"),
        ("call.function.name", r"the tool_calls of message 2 \(assistant\)"),
        ("m.content", r"the content of message 1 \(user\)"),
    ],
)
def test_what_the_template_has_no_place_for_is_refused(tokenizer, part, left_out):
    tokenizer.chat_template = TOOLED.replace("ARGUMENTS", "call.function.arguments | tojson").replace(part, "''")
    with pytest.raises(UserError, match=rf"row 1: the chat template \(mine\) does not write {left_out}"):
        render(tokenizer, USES, "row 1", TOOLS, "mine")


def test_a_role_that_the_template_leaves_out_is_missed_whatever_it_says(tokenizer):
    """What the tool says stands in the answer too: that it is there does not show that it was written."""
    talk = [USES[0], {"role": "assistant", "content": "Wait."}, {"role": "tool", "content": "rain"}, USES[3]]
    tokenizer.chat_template = tokenizer.chat_template.replace(
        "message['content']", "(message['content'] if message['role'] != 'tool' else '')"
    )
    with pytest.raises(UserError, match=r"the content of message 3 \(tool\)"):
        render(tokenizer, talk, "row 1")


def test_what_the_template_cuts_out_of_an_answer_is_missed(tokenizer):
    tokenizer.chat_template = tokenizer.chat_template.replace(
        "message['content']", "message['content'].split('</think>')[-1]"
    )
    with pytest.raises(UserError, match=r"the content of message 2 \(assistant\) as it is"):
        render(tokenizer, [TALK[0], {"role": "assistant", "content": "<think>a</think>b"}], "row 1")


def test_what_has_no_weight_is_read_and_not_learnt(tokenizer):
    talk = [*TALK[:1], {**TALK[1], "weight": 0}, *TALK[2:]]
    text, spans = render(tokenizer, talk, "row 1")
    assert text == render(tokenizer, TALK, "row 1")[0] and [text[a:b] for a, b in spans] == ["Two\n<|im_end|>"]


def test_a_template_is_named_with_the_row(tokenizer):
    tokenizer.chat_template = "{% for m in messages %}{{ m['content'].split('|')[5] + 'x' }}{% endfor %}"
    with pytest.raises(UserError, match=r"row 1: the chat template refuses .* no element 5 \(template: data.chat_te"):
        render(tokenizer, TALK, "row 1", None, "data.chat_template=x.jinja")


def test_what_a_tool_has_said_may_be_written_in_json(tokenizer):
    tokenizer.chat_template = (
        "{% for m in messages %}<{{ m.role }}>{{ m.content | tojson if m.role == 'tool' else m.content }}"
        "{{ m.tool_calls[0].function | tojson if m.tool_calls }}<end>{% endfor %}"
        "{% if add_generation_prompt %}<assistant>{% endif %}"
    )
    call = {"type": "function", "function": {"name": "w", "arguments": {"city": "Oslo"}}}
    calls = {"role": "assistant", "content": "", "tool_calls": [call]}
    said = {"role": "tool", "content": '{"degrees": "5 \u00b0C"}'}
    text, answers = render(tokenizer, [TALK[0], calls, said, TALK[1]], "row 1")
    assert '{\\"degrees\\"' in text and len(answers) == 2


def test_templates_of_which_none_is_for_conversations_are_one_message(tokenizer):
    tokenizer.chat_template = {"rag": "{{ messages[0].content }}"}
    with pytest.raises(UserError, match="multiple chat templates with no default"):
        render_all(tokenizer, [(TALK, None, "row 1")])
