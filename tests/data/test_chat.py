from __future__ import annotations

from pathlib import Path

import pytest
from transformers import AutoTokenizer

from noria.common.errors import UserError
from noria.data.chat import ends_turns, need_template, render

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
