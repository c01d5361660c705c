"""Tokenizers that are trained on the texts of a run."""

import pytest

from noria.common.errors import UserError
from noria.model.vocabulary import Vocabulary

TEXTS = ["Ein Mann läuft über die Straße.", "A man runs across the street.", "Two dogs' toys, and (one) ball!"] * 20
TEXTS += [f"{verb} {noun}." for verb in ("sees", "finds", "loses") for noun in ("horses", "houses", "hammers", "lamps")]
KINDS = ("bpe", "unigram")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("NORIA_CACHE", str(tmp_path))
    return tmp_path / "tokenizers"


def back(tokenizer, text):
    return tokenizer.decode(tokenizer(text)["input_ids"], skip_special_tokens=True)


@pytest.mark.parametrize("kind", KINDS)
def test_every_text_comes_back_also_in_a_script_that_it_never_saw(kind):
    tokenizer = Vocabulary(kind=kind, size=400).trained(TEXTS)
    for text in (*TEXTS[:3], "日本語 と emoji 🙂", "x", "", "(a)b,c…", "unter_strich"):
        assert back(tokenizer, text) == text
    assert back(tokenizer, "  a \t b\u2003c ") == "a b c"
    assert tokenizer.unk_token_id not in tokenizer("日本語 🙂")["input_ids"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_vocabulary_has_its_size_and_padding_last(kind):
    tokenizer = Vocabulary(kind=kind, size=340).trained(TEXTS)
    assert 300 < len(tokenizer) <= 340
    assert (tokenizer.eos_token_id, tokenizer.unk_token_id) == (0, 1)
    assert tokenizer.pad_token_id == len(tokenizer) - 1
    assert tokenizer("A man")["input_ids"][-1] == 0
    assert "token_type_ids" not in tokenizer("A man", "runs")


def test_capitals_go_where_that_is_asked_for():
    assert back(Vocabulary(size=400, lowercase=True).trained(TEXTS), "Die STRASSE") == "die strasse"


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_texts_are_learnt_once(kind, cache):
    first = Vocabulary(kind=kind, size=400).trained(TEXTS)
    (kept,) = cache.glob("*.json")
    before = kept.stat().st_mtime_ns
    assert Vocabulary(kind=kind, size=400).trained(iter(TEXTS)).get_vocab() == first.get_vocab()
    assert kept.stat().st_mtime_ns == before
    Vocabulary(kind=kind, size=400).trained(TEXTS[1:])
    Vocabulary(kind=kind, size=401).trained(TEXTS)
    assert len([*cache.glob("*.json")]) == 3
    kept.write_text("{")
    assert Vocabulary(kind=kind, size=400).trained(TEXTS).get_vocab() == first.get_vocab()


def test_a_folder_that_cannot_be_written_costs_only_time(tmp_path, monkeypatch, caplog):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NORIA_CACHE", str(tmp_path / "file"))
    assert back(Vocabulary(size=400).trained(TEXTS), "A man") == "A man"
    assert "cannot be written" in caplog.text


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_to_learn_from_is_said(kind):
    with pytest.raises(UserError, match="nothing that a tokenizer could be trained on"):
        Vocabulary(kind=kind).trained(["", "   "])
