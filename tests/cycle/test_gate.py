"""A challenger is promoted when it is better on one set and no worse on the others, and almost never by chance."""

from __future__ import annotations

import math

import numpy as np
import pytest

from noria.cycle.gate import decide
from noria.statistics.paired import mcnemar, proportion_difference


def rights(n: int, champion: float, challenger: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Who is right, correlated as two models of one kind are."""
    rng = np.random.default_rng(seed)
    shared = rng.random(n)
    mixed = np.where(rng.random(n) < 0.8, shared, rng.random(n))
    return shared < champion, mixed < challenger


def test_better_on_one_and_no_worse_on_the_other_is_promoted() -> None:
    same = rights(2000, 0.85, 0.85)[0]
    found = decide({"test": (same, same), "feedback": rights(1000, 0.7, 0.85)}, 1)
    assert found.promote and found.said.startswith("promoted: better on feedback +0.1")
    assert found.sets["test"].no_worse and not found.sets["test"].better


def test_worse_on_one_is_refused_however_much_better_on_the_other() -> None:
    found = decide({"test": rights(2000, 0.85, 0.8), "feedback": rights(1000, 0.6, 0.95)}, 1)
    assert not found.promote and "may be worse on test" in found.said and found.sets["feedback"].better


def test_no_difference_is_not_enough() -> None:
    same = rights(1000, 0.85, 0.85)[0]
    found = decide({"test": (same, same), "feedback": (same, same)}, 1)
    assert not found.promote and "not shown to be better" in found.said


def test_few_rows_cannot_show_that_it_is_no_worse() -> None:
    assert not decide({"test": rights(50, 0.85, 0.85), "feedback": rights(1000, 0.6, 0.9)}, 1).promote


def test_each_further_look_asks_for_more() -> None:
    alphas = [decide({"a": rights(100, 0.5, 0.5)}, look).alpha for look in range(1, 2000)]
    assert alphas == sorted(alphas, reverse=True) and sum(alphas) < 0.05 < sum(alphas) * 1.01
    same = rights(2000, 0.85, 0.85)[0]
    sets = {"test": (same, same), "feedback": rights(600, 0.80, 0.84, seed=3)}
    assert decide(sets, 1).promote and not decide(sets, 50).promote


def test_challengers_that_are_no_better_are_almost_never_promoted_in_ten_turns() -> None:
    promoted = 0
    for run in range(300):
        for look in range(1, 11):
            seed = 1000 * run + look
            sets = {"test": rights(900, 0.85, 0.85, seed), "feedback": rights(500, 0.8, 0.8, 7 * seed)}
            promoted += decide(sets, look, margin=0.2).promote
    assert promoted <= 24  # of 300: 5 % are 15 at most, more than 24 once in a hundred


@pytest.mark.parametrize("look", [1, 3, 10])
@pytest.mark.parametrize("alpha", [0.2, 0.05, 0.001])
def test_no_worse_is_judged_at_the_share_of_alpha_that_the_interval_shows(look: int, alpha: float) -> None:
    share = alpha * 6 / (math.pi * look) ** 2 / 2
    for seed in range(40):
        sets = {"test": rights(800, 0.85, 0.86, seed), "feedback": rights(400, 0.7, 0.75, seed + 99)}
        decision = decide(sets, look, margin=0.02, alpha=alpha)
        for name, found in decision.sets.items():
            assert found.difference.confidence == pytest.approx(1 - share)
            assert found.no_worse == (found.difference.low > -0.02) == (found.p_no_worse < share)
            before, after = sets[name]
            only = int((after & ~before).sum()), int((before & ~after).sum())
            assert found.difference == proportion_difference(*only, len(after), 1 - share)
            assert found.better == (mcnemar(after, before) < share and found.difference.value > 0)


def test_a_margin_that_95_percent_would_show_is_not_enough_after_many_looks() -> None:
    better = rights(600, 0.7, 0.95)
    n, lost = 2000, 20
    champion, challenger = np.ones(n, bool), np.arange(n) >= lost
    champion[n - lost :] = False  # each has as many right: the plain 95 % interval is about 0.0062 to either side
    assert proportion_difference(lost, lost, n).low > -0.01
    assert decide({"test": (champion, challenger), "feedback": better}, 1, margin=0.01).promote
    late = decide({"test": (champion, challenger), "feedback": better}, 30, margin=0.01)
    assert late.sets["feedback"].better and not late.promote and "may be worse on test" in late.said


def test_challengers_that_are_worse_by_the_margin_are_almost_never_promoted_in_ten_turns() -> None:
    """However much better they are elsewhere: of 300 times ten turns at most alpha, give or take."""
    rng, n, promoted = np.random.default_rng(0), 1500, 0
    better = rights(600, 0.6, 0.95)
    for _ in range(300):
        for look in range(1, 11):
            # worse in truth by exactly the margin of 0.03: 0.06 of the rows lost, 0.03 won
            drawn = rng.random(n)
            pair = drawn >= 0.03, (drawn < 0.03) | (drawn >= 0.09)
            promoted += decide({"test": pair, "feedback": better}, look, margin=0.03, alpha=0.2).promote
    assert promoted <= 300 * 0.1 + 3 * math.sqrt(300 * 0.1), "one side of the interval has half of alpha"


def test_nothing_to_decide_on_is_refused() -> None:
    with pytest.raises(ValueError, match="needs rows"):
        decide({}, 1)


def test_answers_that_are_right_in_part_are_judged_by_their_means() -> None:
    rng = np.random.default_rng(0)
    champion = rng.uniform(0.2, 0.6, 300)
    better = np.clip(champion + rng.normal(0.05, 0.1, 300), 0, 1)
    found = decide({"test": (champion, better)}, 1).sets["test"]
    assert found.better and found.no_worse and found.difference.method == "paired t"
    assert found.difference.value == pytest.approx((better - champion).mean())
    assert found.champion.value == pytest.approx(champion.mean())
    assert not decide({"test": (better, champion)}, 1).promote
