"""The rows on which systems disagree most, won by either side. Knows answers, not what they are of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from noria.comparison.common_rows import CommonRows
from noria.comparison.result import Disagreement, Dispute
from noria.metric.answers import Answers

ROWS = 20
ALIKE = 6  # decimals of an entropy in which rows are disputed alike: sums of the same shares differ by rounding


def disputed(
    rows: CommonRows,
    answers: Mapping[str, Sequence[Answers]],
    rivals: tuple[str, str],
    texts: Callable[[list[str]], Mapping[str, str]],
    seed: int,
) -> Dispute:
    """Rows whose answers, pooled over the systems with equal weights, have the highest entropy.

    Half of them are won by the first of the two rivals, half by the second, as far as there are such: by more of its
    runs it is right. Among rows with the same entropy, of which there are many where answers are few, the seed draws.

    Args:
        answers: by system, of each of its runs.
        texts: gives the texts of row ids, as far as they are at hand.
    """
    votes = {name: _votes(rows, found) for name, found in answers.items()}
    pooled = sum(votes.values()) / len(votes)
    entropy = -(pooled * np.log(np.maximum(pooled, 1e-12))).sum(axis=1)
    truth = next(iter(answers.values()))[0]["label"]
    first, second = (votes[name][np.arange(len(truth)), truth] for name in rivals)
    won, lost = first > second, first < second
    drawn = np.random.default_rng(seed).permutation(len(truth))
    order = drawn[np.argsort(-np.round(entropy[drawn], ALIKE), kind="stable")]
    order = order[entropy[order] > 10.0**-ALIKE]
    chosen = _from_both(order, won, lost)
    ids = [rows.ids[row].as_py() for row in chosen]
    known = texts(ids) if ids else {}
    shown = tuple(
        Disagreement(
            identity,
            known.get(identity),
            rows.labels[truth[row]],
            {
                name: {rows.labels[place]: float(found[row, place]) for place in np.flatnonzero(found[row])}
                for name, found in votes.items()
            },
        )
        for identity, row in zip(ids, chosen, strict=True)
    )
    return Dispute(*rivals, int(won.sum()), int(lost.sum()), len(order), shown)


def _from_both(order: np.ndarray, won: np.ndarray, lost: np.ndarray) -> list[int]:
    """`ROWS` of the ordered rows: half won and half lost where there are so many, filled up with what is next."""
    half = ROWS // 2
    chosen = [*order[won[order]][:half], *order[lost[order]][:half]]
    rest = [row for row in order.tolist() if row not in set(chosen)]
    chosen = [*chosen, *rest[: ROWS - len(chosen)]]
    place = {row: number for number, row in enumerate(order.tolist())}
    return sorted(map(int, chosen), key=place.__getitem__)


def _votes(rows: CommonRows, answers: Sequence[Answers]) -> np.ndarray:
    """The share of a system's runs that give each answer (n, labels)."""
    votes = np.zeros((len(rows), len(rows.labels)), np.float32)
    for found in answers:
        votes[np.arange(len(rows)), found["prediction"]] += 1 / len(answers)
    return votes
