"""Who is believed: majorities, gold rows, caps, contradictions; everything left out is counted."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest

from noria.data.source.votes import Trust, Vote, settle

START = datetime(2026, 1, 1, tzinfo=UTC)
LABELS = ["bad", "good"]


def vote(number: int, text: str, client: str, label: str) -> Vote:
    """That the text is `label`; with a minus before it, that it is anything but that."""
    against = label.startswith("-")
    return Vote(
        f"p{number}", text.casefold(), client, label.removeprefix("-"), START + timedelta(seconds=number), against
    )


def settled(votes: list[Vote], gold: dict[str, str] | None = None, labels: list[str] = LABELS, **trust):
    return settle(votes, gold or {}, labels, Trust(**trust))


def test_one_vote_is_a_row_and_duplicates_are_merged() -> None:
    votes = [vote(1, "Fine", "a", "good"), vote(2, "fine", "b", "good"), vote(3, "dull", "a", "bad")]
    found, left_out, _ = settled(votes)
    assert [(one.place, one.label, one.votes) for one in found] == [("fine", "good", 2), ("dull", "bad", 1)]
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
    assert settled([vote(1, "fine", "a", "-superb")])[:2] == ([], {"unknown_label": 1})


THREE = ["bad", "fair", "good"]


def test_of_two_labels_a_vote_against_one_is_a_vote_for_the_other() -> None:
    against, for_it = (settled([vote(1, "fine", "a", said)])[0] for said in ("-bad", "good"))
    assert [(one.label, one.probability) for one in against] == [(one.label, one.probability) for one in for_it]


@pytest.mark.parametrize(
    ("said", "label", "by_hand"),
    [
        # of the others' chances: bad, fair, good; each client is right in 0.8
        (["-bad", "fair"], "fair", (0.2 * 0.1, 0.8 * 0.8, 0.8 * 0.1)),
        (["-bad", "-fair", "-bad", "-fair"], "good", (0.2**2 * 0.8**2, 0.2**2 * 0.8**2, 0.8**4)),
        (["-bad", "bad", "bad"], "bad", (0.2 * 0.8 * 0.8, 0.8 * 0.1 * 0.1, 0.8 * 0.1 * 0.1)),
    ],
)
@pytest.mark.parametrize("weigh", [True, False])
def test_votes_against_a_label_count_as_reckoned_by_hand(
    said: list[str], label: str, by_hand: tuple[float, ...], weigh: bool
) -> None:
    votes = [vote(n, "fine", f"c{n}", one) for n, one in enumerate(said)]
    [one], left_out, _ = settled(votes, labels=THREE, weigh=weigh)
    assert (one.label, one.votes) == (label, len(said)) and left_out == {"merged": len(said) - 1}
    assert one.probability == pytest.approx(max(by_hand) / sum(by_hand), rel=1e-12)


def test_a_vote_against_a_label_weighs_as_much_as_its_client_is_believed() -> None:
    gold = {f"gold {n}": THREE[n % 3] for n in range(9)}
    votes = [vote(n, f"gold {n}", "a", f"-{THREE[(n + 1) % 3]}") for n in range(9)]  # none of them is that
    votes += [vote(20 + n, f"gold {n}", "b", f"-{THREE[n % 3]}") for n in range(9)]  # all of them are that
    votes += [vote(40, "film", "a", "-bad"), vote(41, "film", "c", "good"), vote(42, "film", "b", "-good")]
    [film], left_out, clients = settled(votes, gold, THREE)
    assert clients == {"a": 13 / 14, "b": 4 / 14, "c": 0.8}
    bad, fair, good = (1 / 14 * 0.1, 13 / 14 * 0.1, 13 / 14 * 0.8)
    assert film.label == "good" and film.probability == pytest.approx(good / (bad + fair + good), rel=1e-12)
    assert left_out == {"gold": 18, "distrusted_client": 1, "merged": 1}


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (["-bad"], "undecided"),  # fair or good
        (["-bad", "-bad"], "undecided"),
        (["-bad", "-fair"], "undecided"),  # good, but not surely enough
        (["-bad", "bad"], "contradicted"),
        (["-bad", "-fair", "-good"], "contradicted"),
        (["fair", "good"], "contradicted"),
    ],
)
def test_what_does_not_settle_a_label_is_left_out_and_says_why(said: list[str], reason: str) -> None:
    votes = [vote(n, "fine", f"c{n}", one) for n, one in enumerate(said)]
    assert settled(votes, labels=THREE)[:2] == ([], {reason: len(said)})


def test_labels_that_are_as_probable_are_never_chosen_among() -> None:
    for said, reason in ((["-bad"], "undecided"), (["fair", "good"], "contradicted")):
        votes = [vote(n, "fine", f"c{n}", one) for n, one in enumerate(said)]
        assert settled(votes, labels=THREE, least=0.0)[:2] == ([], {reason: len(said)})


def test_a_client_has_so_many_texts_at_most_and_the_newest_count() -> None:
    found, left_out, _ = settled([vote(n, f"text {n}", "a", "good") for n in range(10)], cap=3)
    assert [one.place for one in found] == ["text 7", "text 8", "text 9"] and left_out == {"over_cap": 7}


def test_a_vote_given_again_is_the_newest_of_its_client() -> None:
    votes = [vote(n, f"text {n}", "a", "good") for n in range(4)] + [vote(9, "text 0", "a", "bad")]
    found, left_out, _ = settled(votes, cap=2)
    assert [(one.place, one.label) for one in found] == [("text 3", "good"), ("text 0", "bad")]
    assert left_out == {"repeated": 1, "over_cap": 2}


@pytest.mark.parametrize("distrust", [0.6, 0.8, 0.81, 0.9, 1.0])
def test_who_was_never_wrong_on_a_gold_row_is_heard_whatever_the_distrust(distrust: float) -> None:
    gold = {f"gold {n}": LABELS[n % 2] for n in range(10)}
    votes = [vote(0, "film", "unknown", "good"), vote(1, "gold 1", "once right", "good")]
    votes += [vote(2, "play", "once right", "good")]
    votes += [vote(10 + n, f"gold {n}", "liar", LABELS[1 - n % 2]) for n in range(10)]
    votes += [vote(30, "song", "liar", "good")]
    found, left_out, clients = settled(votes, gold, distrust=distrust)
    assert [one.place for one in found] == ["film", "play"]
    assert left_out == {"gold": 11, "distrusted_client": 1} and clients["unknown"] == 0.8


def test_of_those_who_voted_on_gold_rows_the_share_decides() -> None:
    gold = {f"gold {n}": "good" for n in range(20)}
    votes = [vote(n, f"gold {n}", "mostly", "good" if n < 18 else "bad") for n in range(20)]  # 0.9 of them
    votes += [vote(30, "film", "mostly", "good")]
    assert settled(votes, gold, distrust=0.85)[0], "believed as 22 of 25, and right in 18 of 20"
    assert settled(votes, gold, distrust=0.89)[0], "below it only for the prior"
    assert settled(votes, gold, distrust=0.91)[1] == {"gold": 20, "distrusted_client": 1}
    one = [vote(0, "gold 0", "once wrong", "bad"), vote(1, "film", "once wrong", "good")]
    found, left_out, _ = settled(one, gold)
    assert found == [] and left_out == {"gold": 1, "undecided": 1}, "believed as 4 of 6: heard, and not sure enough"


def test_gold_rows_tell_whom_to_believe() -> None:
    gold = {f"gold {n}": LABELS[n % 2] for n in range(10)}
    votes = [vote(n, f"gold {n}", "honest", LABELS[n % 2]) for n in range(10)]
    votes += [vote(20 + n, f"gold {n}", "liar", LABELS[1 - n % 2]) for n in range(10)]
    votes += [vote(40, "film", "honest", "good"), vote(41, "film", "liar", "bad"), vote(42, "other", "liar", "bad")]
    found, left_out, clients = settled(votes, gold)
    assert [(one.place, one.label) for one in found] == [("film", "good")]
    assert clients["honest"] == 14 / 15 and clients["liar"] == 4 / 15
    assert left_out == {"gold": 20, "distrusted_client": 2}
    plain, left_out, _ = settled(votes, gold, weigh=False)
    assert [(one.place, one.label) for one in plain] == [("other", "bad")]
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
        shares[weigh] = sum(truth[one.place] == one.label for one in found) / len(found)
    assert shares[True] > 0.9 > shares[False] + 0.1


def test_where_a_request_may_have_any_label_only_what_was_named_is_believed() -> None:
    def open_set(*said: str, **trust):
        return settled([vote(n, "t", f"c{n}", label) for n, label in enumerate(said)], None, None, **trust)

    [one], left_out, _ = open_set("A")
    assert (one.label, one.probability, left_out) == ("A", 0.8, {})
    [one], _, _ = open_set("A", "A", "B")
    assert one.label == "A" and one.probability > 0.8
    assert open_set("A", "B")[:2] == ([], {"contradicted": 2})
    assert open_set("-A")[:2] == ([], {"undecided": 1}), "nobody has said what else it is"
    assert open_set("-A", "-A")[:2] == ([], {"undecided": 2})
    [one], _, _ = open_set("-A", "B")
    assert one.label == "B" and one.probability > 0.8 and one.refused == ["A"]
    [one], _, _ = open_set("-A", "B", "B", "-C", "C", "-A", "-B")
    assert one.label == "B" and one.refused == ["A"], "somebody has named C, and B is believed"


def test_where_several_answers_are_right_naming_another_is_no_mistake() -> None:
    gold = {"known": "zwei Hunde"}
    votes = [vote(1, "known", "a", "zwei Doggen"), vote(2, "new", "a", "Katzen"), vote(3, "known", "b", "-zwei Hunde")]
    believed, _, clients = settle(votes, gold, None, Trust(), True)
    assert [one.label for one in believed] == ["Katzen"] and clients["a"] > clients["b"]
    assert settle(votes, gold, None, Trust(), False)[2]["a"] < clients["a"]
