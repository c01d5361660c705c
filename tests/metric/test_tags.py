"""Every scheme is read as the entities that it means, and no tag but O is passed over."""

from __future__ import annotations

import itertools

import pytest

from noria.metric.tags import bio, entities, follows, has_prefixes, labels_of, strict_entities

WORDS = [(0, 2, "PER"), (2, 3, "PER"), (4, 5, "LOC"), (5, 8, "PER")]
SCHEMES = {
    "BIO": ["B-PER", "I-PER", "B-PER", "O", "B-LOC", "B-PER", "I-PER", "I-PER"],
    "IOB1": ["I-PER", "I-PER", "B-PER", "O", "I-LOC", "I-PER", "I-PER", "I-PER"],
    "BILOU": ["B-PER", "L-PER", "U-PER", "O", "U-LOC", "B-PER", "I-PER", "L-PER"],
    "IOBES": ["B-PER", "E-PER", "S-PER", "O", "S-LOC", "B-PER", "I-PER", "E-PER"],
}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_each_scheme_is_read(scheme: str) -> None:
    assert entities(SCHEMES[scheme]) == WORDS and has_prefixes(SCHEMES[scheme])
    assert bio(entities(SCHEMES[scheme]), 8) == SCHEMES["BIO"]


def test_what_goes_on_where_nothing_has_begun() -> None:
    tags = ["O", "I-PER", "I-PER", "B-LOC", "I-PER"]
    assert entities(tags) == [(1, 3, "PER"), (3, 4, "LOC"), (4, 5, "PER")]
    assert strict_entities(tags) == [(3, 4, "LOC")]


def test_all_bio_sequences_are_written_as_they_are_read() -> None:
    names = ["O", "B-A", "I-A", "B-B", "I-B"]
    count = 0
    for tags in itertools.product(names, repeat=4):
        if all(follows(before, tag) for before, tag in zip([None, *tags], tags, strict=False)):
            assert bio(strict_entities(tags), 4) == list(tags)
            count += 1
    assert count > 100


def test_names_of_the_classes() -> None:
    assert labels_of(["O", "U-PER", "B-LOC", "L-LOC"]) == ["O", "B-LOC", "I-LOC", "B-PER", "I-PER"]
    assert labels_of(["NN", "VB", "NN"]) == ["NN", "VB"] and not has_prefixes(["NN", "O"])
