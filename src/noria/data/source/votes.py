"""From what many users say to one answer a request: whom to believe, and what is left out.

Votes are merged by request and client, cut down to so many a client, and weighed by how often the client agreed with
rows whose labels are known (gold rows). Knows neither the database nor the model.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from noria.data.rows.rows import Rows

NOT_NAMED = ""  # a label that nobody has named, where a request may have any


@dataclass(frozen=True)
class Vote:
    """One client's word on one request: that the answer is `label`, or with `against` anything but that.

    Args:
        id: of the prediction that it is about.
        place: what tells requests apart (`Ballot.place`).
        request: what was asked.
    """

    id: str
    place: str
    client: str
    label: str
    at: datetime
    against: bool = False
    request: dict[str, Any] = field(default_factory=dict)

    def fits(self, label: str) -> bool:
        """Whether the vote is right where this is the true label."""
        return (self.label == label) != self.against


@dataclass(frozen=True)
class Believed:
    """A request with the label that is believed, how probable it is given the votes, and labels that were `refused`:
    somebody said that it is not this one, and nobody that it is."""

    id: str
    place: str
    label: str
    probability: float
    votes: int
    request: dict[str, Any] = field(default_factory=dict)
    refused: Sequence[str] = ()


class Ballot(Protocol):
    """How corrections of a kind of work are counted against each other, and the rows that come of them.

    `choices` are the labels that can be believed; None where there are too many to name, and each request has its own.
    Where `several_right`, who names another label than the known one may be as right: a text can be put in many words.
    """

    choices: Sequence[str] | None
    several_right: bool

    def read(self, request: dict[str, Any] | None) -> tuple[dict[str, Any], str | None]:
        """A kept request as rows of this data have it, and why it cannot be learnt from; None where it can."""

    def place(self, request: dict[str, Any]) -> str:
        """What tells requests apart."""

    def vote(
        self, request: dict[str, Any], answer: dict[str, Any], correct: bool, correction: Any
    ) -> tuple[str, bool] | None:
        """The label that a client names, and whether all it says is that it is not this one.

        None: what it says is none that this request can have, such as one that only other models know.

        Args:
            request: as `read` gives it.
        """

    def requests(self, rows: Rows) -> list[dict[str, Any]]:
        """Rows of data as requests."""

    def known(self, rows: Rows) -> Sequence[str | None]:
        """The labels of rows of data; None of one whose label no vote can name."""

    def rows(self, believed: Sequence[Believed]) -> dict[str, pa.Array]:
        """The columns of the rows that can be learnt from."""


@dataclass(frozen=True)
class Trust:
    """How votes are weighed.

    Args:
        cap: requests of one client at most, the newest.
        least: how probable the believed label has to be; where clients contradict each other, or only say what it is
            not, it may not be.
        prior_right, prior_wrong: what a client is believed before any gold row: as one who was so often.
        distrust: a client that was right on gold rows less often than this is not heard at all; with and without the
            prior, for neither one wrong vote nor one right vote more than the prior's may decide. Who has not voted on
            gold rows is heard.
        weigh: False: every vote counts the same, the majority decides, and nobody is left out (no defence).
    """

    cap: int = 1000
    least: float = 0.7
    prior_right: float = 4.0
    prior_wrong: float = 1.0
    distrust: float = 0.6
    weigh: bool = True


def settle(
    votes: Sequence[Vote],
    gold: Mapping[str, str],
    labels: Sequence[str] | None,
    trust: Trust,
    several_right: bool = False,
) -> tuple[list[Believed], dict[str, int], dict[str, float]]:
    """One label for each request that is no gold row.

    The label's probability is that of independent clients who err evenly over the other labels (Nitzan and Paroush
    1982; naive Bayes), all labels being as likely beforehand. A vote against a label is as probable as its client is
    right wherever another label is the true one.

    Args:
        gold: known labels by `place`.
        labels: those that can be believed; None: of each request what was said of it, and one that nobody has named.
        several_right: naming another label than the known one is no mistake.

    Returns:
        The believed requests, the oldest first; counts of what was left out, by reason; how far each client is
        believed.
    """
    left_out: Counter[str] = Counter()
    known = None if labels is None else set(labels)
    newest: dict[tuple[str, str], Vote] = {}
    for vote in sorted(votes, key=lambda vote: vote.at):
        key = (vote.place, vote.client)
        if known is not None and vote.label not in known:
            left_out["unknown_label"] += 1
            continue
        left_out["repeated"] += newest.pop(key, None) is not None  # a dict keeps the place of what it replaces
        newest[key] = vote
    believed, distrusted = _reliability(newest, gold, trust, several_right)
    by_place: dict[str, list[Vote]] = defaultdict(list)
    taken: Counter[str] = Counter()
    for (place, client), vote in reversed(newest.items()):
        if place in gold:
            left_out["gold"] += 1
        elif client in distrusted:
            left_out["distrusted_client"] += 1
        elif trust.weigh and taken[client] >= trust.cap:
            left_out["over_cap"] += 1
        else:
            taken[client] += 1
            by_place[place].append(vote)
    settled = []
    for said in by_place.values():
        choices = [*dict.fromkeys(vote.label for vote in said), NOT_NAMED] if labels is None else labels
        one = _believed(said, believed, choices)
        if one is None or one.label == NOT_NAMED or one.probability < trust.least:
            agree = any(all(vote.fits(label) for vote in said) for label in choices)
            left_out["undecided" if agree else "contradicted"] += len(said)
        else:
            left_out["merged"] += len(said) - 1
            against = [vote.label for vote in said if vote.against]
            named = {one.label, *(vote.label for vote in said if not vote.against)}
            refused = [label for label in dict.fromkeys(against) if label not in named]
            settled.append((min(vote.at for vote in said), replace(one, refused=refused)))
    settled.sort(key=lambda pair: (pair[0], pair[1].id))
    return [one for _, one in settled], {name: count for name, count in left_out.items() if count}, believed


def _reliability(
    newest: Mapping[tuple[str, str], Vote], gold: Mapping[str, str], trust: Trust, several_right: bool
) -> tuple[dict[str, float], set[str]]:
    """How often each client is right on gold rows (the mean of a Beta distribution), and whose votes do not count."""
    right: Counter[str] = Counter()
    wrong: Counter[str] = Counter()
    for (place, client), vote in newest.items():
        right[client] += place in gold and vote.fits(gold[place])
        differs = place in gold and not vote.fits(gold[place])
        wrong[client] += differs and not (several_right and not vote.against)
    prior = trust.prior_right + trust.prior_wrong
    if not trust.weigh:
        return dict.fromkeys(right, trust.prior_right / prior), set()
    believed = {c: (right[c] + trust.prior_right) / (right[c] + wrong[c] + prior) for c in right}
    # Above the prior's own mean, by belief alone nobody's votes would count before a proof; and who was right on the
    # few gold rows that came along would be worse off than who saw none.
    distrusted = {
        client
        for client, share in believed.items()
        if share < trust.distrust and right[client] < trust.distrust * (right[client] + wrong[client])
    }
    return believed, distrusted


def _believed(said: Sequence[Vote], believed: Mapping[str, float], labels: Sequence[str]) -> Believed | None:
    """The most probable label; None where several are."""
    scores = np.zeros(len(labels))
    for vote in said:
        right = min(believed[vote.client], 0.999)
        named, others = (1 - right, right) if vote.against else (right, (1 - right) / max(len(labels) - 1, 1))
        scores += [math.log(named if label == vote.label else others) for label in labels]
    chances = np.exp(scores - scores.max())
    best = int(chances.argmax())
    if np.isclose(chances, 1).sum() > 1:  # their order is not what decides
        return None
    newest = max(said, key=lambda vote: vote.at)
    chance = float(chances[best] / chances.sum())
    return Believed(newest.id, newest.place, labels[best], chance, len(said), newest.request)
