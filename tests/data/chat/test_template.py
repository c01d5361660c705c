"""Chat templates that come with a stranger's model: bounded, and the same text as transformers writes."""

from __future__ import annotations

from pathlib import Path

import pytest
from transformers import AutoTokenizer

from noria.data.chat import template
from noria.data.chat.chat import render_all
from noria.data.chat.template import Asked, Refused, Runaway, filled

TALK = [{"role": "user", "content": "caf\u00e9 \u2713"}, {"role": "assistant", "content": "yes"}]
TOOLS = [{"type": "function", "function": {"name": "w", "parameters": {}}}]


def one(tokenizer, messages, tools, parts) -> list[str]:
    (found,) = filled(tokenizer, [Asked(messages, tools, parts)])
    if isinstance(found, Refused):
        raise found
    return found


@pytest.fixture
def tokenizer(tiny_decoder: Path):
    return AutoTokenizer.from_pretrained(tiny_decoder)


def test_the_text_is_that_of_transformers(tokenizer):
    tokenizer.chat_template = "{{ bos_token }}{{ tools | tojson }}" + tokenizer.chat_template
    whole, asking = one(tokenizer, TALK, TOOLS, [(2, False), (1, True)])
    assert whole == tokenizer.apply_chat_template(TALK, tools=TOOLS, tokenize=False)
    assert asking == tokenizer.apply_chat_template(TALK[:1], tools=TOOLS, tokenize=False, add_generation_prompt=True)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{% for i in range(10 ** 9) %}x{% endfor %}", "Range too big"),
        ("{{ messages[0]['content'].split('|')[5] + 'x' }}", "no element 5"),
        ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "recursion"),
        ("{{ messages.__class__.__mro__ }}", "unsafe"),
        ("{{ messages.append(1) }}", "unsafe"),
        ("{{ 1 // 0 }}", "zero"),
        ("{% for", "unexpected"),
    ],
)
def test_a_template_that_raises_is_refused(tokenizer, text, said):
    tokenizer.chat_template = text
    with pytest.raises(Refused, match=said):
        one(tokenizer, TALK, None, [(2, False)])


DOUBLES = "{% set n = namespace(x='x' * 999) %}{% for i in range(60) %}{% set n.x = n.x ~ n.x %}{% endfor %}{{ n.x }}"
LOOPS = "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}"


@pytest.mark.parametrize("text", ["{{ 'x' * 10 ** 10 }}", "{{ '%99999999999d' % 1 }}", DOUBLES, "{{ 'x' * 999999 }}"])
def test_a_template_that_needs_too_much_room_is_ended(tokenizer, text, monkeypatch):
    monkeypatch.setattr(template, "LENGTH", 1 << 16)
    monkeypatch.setattr(template, "SECONDS", 60)  # a machine may need more than 2 s to fill that much memory
    tokenizer.chat_template = text
    with pytest.raises(Runaway, match=r"memory or writes more than"):
        one(tokenizer, TALK, None, [(2, False)])


@pytest.mark.parametrize("text", [LOOPS, "{{ (9 ** 999999) ** 999 }}"])
def test_a_template_without_an_end_is_ended_and_the_next_one_is_filled_in(tokenizer, text, monkeypatch):
    good = tokenizer.chat_template
    monkeypatch.setattr(template, "SECONDS", 0.1)
    tokenizer.chat_template = text
    with pytest.raises(Runaway, match=r"not come to an end within 0\.1 s of computing"):
        one(tokenizer, TALK, None, [(2, False)])
    monkeypatch.undo()
    tokenizer.chat_template = good
    assert one(tokenizer, TALK, None, [(2, False)]) == [tokenizer.apply_chat_template(TALK, tokenize=False)]


def test_of_many_conversations_those_that_are_refused_are_told_apart(tokenizer):
    tokenizer.chat_template = "{{ messages[0].content + 'x' if messages[1:] else raise_exception('alone') }}"
    first, second, third = filled(
        tokenizer,
        [Asked(TALK, None, [(2, False)]), Asked(TALK[:1], None, [(1, False)]), Asked(TALK[::-1], None, [(2, True)])],
    )
    assert first == ["caf\u00e9 \u2713x"] and third == ["yesx"] and "alone" in str(second)


@pytest.mark.parametrize("harm", ["{{ 'x' * 10 ** 10 }}", LOOPS])
def test_of_many_conversations_the_one_that_runs_away_is_named(tokenizer, harm, monkeypatch):
    monkeypatch.setattr(template, "SECONDS", 0.1)
    tokenizer.chat_template = "{% if messages[0].content == 'boom' %}" + harm + "{% endif %}{{ messages[0].content }}"
    boom = [{"role": "user", "content": "boom"}]
    with pytest.raises(Runaway) as said:
        filled(tokenizer, [Asked(chat, None, [(1, False)]) for chat in (TALK, TALK, boom)])
    assert said.value.place == 2
    chats = [(TALK, None, "row 1"), (TALK, None, "row 2"), ([*boom, TALK[1]], None, "row 3")]
    with pytest.raises(Runaway, match=r"^row 3: the chat template runs away"):
        render_all(tokenizer, chats)
