"""Who is believed: majorities, gold rows, caps, contradictions; everything left out is counted."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

from noria.data.votes import Trust, Vote, settle

START = datetime(2026, 1, 1, tzinfo=UTC)
LABELS = ["bad", "good"]


def vote(number: int, text: str, client: str, label: str) -> Vote:
    return Vote(f"p{number}", text, client, label, START + timedelta(seconds=number))


def settled(votes: list[Vote], gold: dict[str, str] | None = None, **trust):
    return settle(votes, gold or {}, LABELS, Trust(**trust), str.casefold)


def test_one_vote_is_a_row_and_duplicates_are_merged() -> None:
    votes = [vote(1, "Fine", "a", "good"), vote(2, "fine", "b", "good"), vote(3, "dull", "a", "bad")]
    found, left_out, _ = settled(votes)
    assert [(one.text, one.label, one.votes) for one in found] == [("fine", "good", 2), ("dull", "bad", 1)]
    assert found[0].probability > found[1].probability == 0.8
    assert left_out == {"merged": 1}


def test_a_client_that_changes_its_mind_counts_once() -> None:
    found, left_out, _ = settled([vote(1, "fine", "a", "bad"), vote(2, "fine", "a", "good")])
    assert [one.label for one in found] == ["good"] and left_out == {"repeated": 1}


def test_contradictions_are_left_out_and_majorities_win() -> None:
    found, left_out, _ = settled([vote(1, "fine", "a", "bad"), vote(2, "fine", "b", "good")])
    assert not found and left_out == {"contradicted": 2}
    found, _, _ = settled([vote(n, "fine", f"c{n}", "good" if n else "bad") for n in range(3)])
    assert [one.label for one in found] == ["good"]


def test_unknown_labels_are_counted() -> None:
    assert settled([vote(1, "fine", "a", "superb")])[:2] == ([], {"unknown_label": 1})


def test_a_client_has_so_many_texts_at_most_and_the_newest_count() -> None:
    found, left_out, _ = settled([vote(n, f"text {n}", "a", "good") for n in range(10)], cap=3)
    assert [one.text for one in found] == ["text 7", "text 8", "text 9"] and left_out == {"over_cap": 7}


def test_gold_rows_tell_whom_to_believe() -> None:
    gold = {f"gold {n}": LABELS[n % 2] for n in range(10)}
    votes = [vote(n, f"gold {n}", "honest", LABELS[n % 2]) for n in range(10)]
    votes += [vote(20 + n, f"gold {n}", "liar", LABELS[1 - n % 2]) for n in range(10)]
    votes += [vote(40, "film", "honest", "good"), vote(41, "film", "liar", "bad"), vote(42, "other", "liar", "bad")]
    found, left_out, clients = settled(votes, gold)
    assert [(one.text, one.label) for one in found] == [("film", "good")]
    assert clients["honest"] == 14 / 15 and clients["liar"] == 4 / 15
    assert left_out == {"gold": 20, "distrusted_client": 2}
    plain, left_out, _ = settled(votes, gold, weigh=False)
    assert [(one.text, one.label) for one in plain] == [("other", "bad")]
    assert left_out == {"gold": 20, "contradicted": 2}


def test_weighing_saves_labels_from_liars() -> None:
    rng = random.Random(0)
    truth = {f"text {n}": rng.choice(LABELS) for n in range(400)}
    gold = {f"gold {n}": rng.choice(LABELS) for n in range(30)}
    votes, number = [], 0
    for client in range(10):
        lies = client < 4
        for text, label in [*gold.items(), *rng.sample(sorted(truth.items()), 150)]:
            number += 1
            wrong = lies or rng.random() < 0.1
            votes.append(vote(number, text, f"c{client}", LABELS[1 - LABELS.index(label)] if wrong else label))
    shares = {}
    for weigh in (True, False):
        found, _, _ = settled(votes, gold, weigh=weigh, least=0.7)
        shares[weigh] = sum(truth[one.text] == one.label for one in found) / len(found)
    assert shares[True] > 0.9 > shares[False] + 0.1
