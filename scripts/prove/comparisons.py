"""Proof: what `stage=compare` says of two systems is true as often as it claims.

Simulated systems whose true values are known: how often a test says "better" where nothing is (at most 5 %), how often
it finds a difference that is there (at least 0.9 times as often as the exact McNemar of statsmodels and SciPy's t
tests, called on the same data), how often a 95 % interval holds the truth, how often it says "no worse" of what is
worse by the margin (at most 2.5 %: one side of 5 %). Under a minute on one core.

    python scripts/prove/comparisons.py --simulations 200    # a look: the same lines, wider tolerances
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator

import numpy as np
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar

from noria.statistics import paired
from noria.statistics.estimate import Estimate
from noria.statistics.no_worse import mean_no_worse, no_worse, proportions_no_worse, resampled_no_worse
from noria.statistics.resample import example_counts, resampled
from noria.statistics.seeds import SeedScores, seed_difference, seed_mean

Pair = tuple[SeedScores, SeedScores]
ROWS, MANY = 872, 20_000  # SST-2's dev set, and so many that the seeds decide
MEANS = (0.862, 0.85)  # true accuracies where there are many rows
RESAMPLES = 400
LEVEL, SURE, SHARE = 0.05, 0.99, 0.9
HARD, OWN, NOISE = 1.0, 0.5, 0.5  # sd of a margin: by row for all systems, by row and system, by row and run
SPREAD = float(np.hypot(HARD, OWN))
ACCURACY = float(stats.norm.ppf(0.85))  # in units of a margin's sd


class Table:
    """Prints a line as it is found, and remembers whether all held. No bar: evidence only."""

    def __init__(self, simulations: int) -> None:
        self.simulations = simulations
        self.held: list[bool] = []
        print("| | method | simulated | found | must be | |\n|---|---|---|---|---|---|")

    def line(self, kind: str, method: str, data: str, found: float, bar: str = "", holds: bool = True) -> None:
        self.held += [holds] if bar else []
        verdict = ("yes" if holds else "NO") if bar else ""
        print(f"| {kind} | {method} | {data} | {found:.4f} | {bar} | {verdict} |", flush=True)

    def no_difference(self, method: str, data: str, p: np.ndarray, difference: np.ndarray, judged: bool = True) -> None:
        most = stats.binom.ppf(SURE, self.simulations, LEVEL) / self.simulations
        better, either = float(((p < LEVEL) & (difference > 0)).mean()), float((p < LEVEL).mean())
        self.line("no difference", f'{method}: "better"', data, better, f"≤ {most:.4f}", better <= most)
        bar = f"≤ {most:.4f}" if judged else ""
        self.line("no difference", f"{method}: p < 0.05", data, either, bar, either <= most)

    def power(self, method: str, other: str, data: str, p: np.ndarray, peer: np.ndarray) -> None:
        found, least = float((p < LEVEL).mean()), SHARE * float((peer < LEVEL).mean())
        bar = f"≥ {least:.4f} ({SHARE} x {least / SHARE:.4f})"
        self.line("power", f"{method} against {other}", data, found, bar, found >= least)

    def no_worse(self, method: str, data: str, p: np.ndarray) -> None:
        """`p` of what is worse by exactly the margin."""
        most = stats.binom.ppf(SURE, self.simulations, LEVEL / 2) / self.simulations
        found = float((p < LEVEL).mean())
        self.line("no worse", method, data, found, f"≤ {most:.4f}", found <= most)

    def coverage(
        self, method: str, data: str, intervals: Iterable[Estimate], truth: float, judged: bool = True
    ) -> None:
        least = stats.binom.ppf(1 - SURE, self.simulations, 1 - LEVEL) / self.simulations
        found = float(np.mean([each.low <= truth <= each.high for each in intervals]))
        self.line("coverage", method, data, found, f"≥ {least:.4f}" if judged else "", found >= least)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--simulations", type=int, default=2000)
    table = Table(parser.parse_args().simulations)
    for seed, part in enumerate((accuracies, losses, classes, seeds_alike, seeds_apart)):
        part(table, np.random.default_rng(seed))
    print(f"\n{sum(table.held)} of {len(table.held)} lines hold")
    return 0 if all(table.held) else 1


def margins(rng: np.random.Generator, simulations: int, rows: int, gap: float = 0.0) -> list[np.ndarray]:
    """Of two systems on the same rows, (simulations, rows) each: right above 0, by `gap` more often the first."""
    hard = SPREAD * ACCURACY + HARD * rng.standard_normal((simulations, rows), np.float32)
    return [hard + shift + OWN * rng.standard_normal((simulations, rows), np.float32) for shift in (gap, 0.0)]


def accuracies(table: Table, rng: np.random.Generator) -> None:
    for gap, data in ((0.0, f"accuracy, n={ROWS}"), (0.15, f"accuracy, n={ROWS}, 0.03 apart")):
        right = [margin > 0 for margin in margins(rng, table.simulations, ROWS, gap)]
        only = [(right[0] & ~right[1]).sum(1), (right[1] & ~right[0]).sum(1)]
        p = paired.mcnemar_many(*only)
        if not gap:
            table.no_difference("McNemar", data, p, only[0] - only[1])
            continue
        counts = [(int(first), int(second)) for first, second in zip(*only, strict=True)]
        peer = np.array([statsmodels_mcnemar([[0, a], [b, 0]], exact=True).pvalue for a, b in counts])
        table.power("McNemar", "statsmodels' McNemar", data, p, peer)
        table.power("permutation", "statsmodels' McNemar", data, permuted(right), peer)
        intervals = [paired.proportion_difference(a, b, ROWS) for a, b in counts]
        truth = stats.norm.cdf(ACCURACY + gap / SPREAD) - stats.norm.cdf(ACCURACY)
        table.coverage("proportion_difference", data, intervals, truth)
        worse = np.array([proportions_no_worse(b, a, ROWS, truth) for a, b in counts])
        table.no_worse("Bonett and Price", f"{data}, seen from the worse", worse)


def losses(table: Table, rng: np.random.Generator) -> None:
    for gap, data in ((0.0, f"mean loss, n={ROWS}"), (0.09, f"mean loss, n={ROWS}, apart")):
        both = [loss(margin) for margin in margins(rng, table.simulations, ROWS, gap)]
        found = [paired.mean_difference(first, second) for first, second in zip(*both, strict=True)]
        p = np.array([each[1] for each in found])
        if not gap:
            table.no_difference("paired t", data, p, np.array([-each[0].value for each in found]))
            continue
        peer = stats.ttest_rel(*both, axis=1).pvalue
        table.power("paired t", "SciPy's paired t", data, p, peer)
        table.power("permutation", "SciPy's paired t", data, permuted(both), peer)
        large = [loss(margin).mean() for margin in margins(rng, 500, 10_000, gap)]
        table.coverage("mean_difference", data, [each[0] for each in found], large[0] - large[1])
        worse = np.array([mean_no_worse(*pair, large[1] - large[0]) for pair in zip(*both, strict=True)])
        table.no_worse("paired t", f"{data}, seen from the worse", worse)


def classes(table: Table, rng: np.random.Generator) -> None:
    """Macro F1 and Matthews of two classes: alike, alike but for the class that errors fall into, and apart."""
    for name, value in (("macro F1", macro_f1), ("Matthews", matthews)):
        for positive, tilt, data in ((0.4, 0.0, ""), (0.5, 0.3, ", errors in opposite classes")):
            both = confusions(rng, table.simulations, ROWS, positive, tilt)
            difference = value(both[0].sum(1)) - value(both[1].sum(1))
            p = paired.permutation_many(both[0], both[1], value)
            table.no_difference("permutation", f"{name}, n={ROWS}{data}", p, difference)
    both = confusions(rng, table.simulations, ROWS, 0.4, gap=0.15)
    observed, drawn = paired.resampled_differences(both[0], both[1], macro_f1, example_counts(ROWS, RESAMPLES, 0))
    found = paired.percentile_estimates(observed, drawn, ROWS)
    large = [macro_f1(cells.sum((0, 1), np.float64)) for cells in confusions(rng, 300, 10_000, 0.4, gap=0.15)]
    gap = float(large[0] - large[1])
    table.coverage("bootstrap_difference", f"macro F1, n={ROWS}, 0.03 apart", found, gap)
    worse = np.array([resampled_no_worse(-o, -d, gap) for o, d in zip(observed, drawn, strict=True)])
    table.no_worse("bootstrap", f"macro F1, n={ROWS}, 0.03 apart, seen from the worse", worse)


def confusions(
    rng: np.random.Generator, simulations: int, rows: int, positive: float, tilt: float = 0.0, gap: float = 0.0
) -> list[np.ndarray]:
    """Of two systems, (simulations, rows, 4) each: found, rejected, missed or false alarm."""
    truth = rng.random((simulations, rows), np.float32) < positive
    cells = []
    for sign, margin in zip((1, -1), margins(rng, simulations, rows, gap), strict=True):
        right = margin + sign * tilt * np.where(truth, 1, -1) > 0
        cells.append(np.stack([truth & right, ~truth & right, truth & ~right, ~truth & ~right], -1).astype(np.float32))
    return cells


def seeds_alike(table: Table, rng: np.random.Generator) -> None:
    for seeds in (3, 5, 10):
        found = [seed_difference(*pair) for pair in pairs(table, rng, seeds, 0.0)]
        p, difference = np.array([each[1] for each in found]), np.array([each[0].value for each in found])
        table.no_difference("seed_difference", f"accuracy, n={ROWS}, {seeds} seeds", p, difference, judged=seeds >= 5)


def seeds_apart(table: Table, rng: np.random.Generator) -> None:
    """Over fresh seeds and fresh rows; beside it what drawing seeds and rows with repetition would give."""
    many, few = list(pairs_of_many_rows(table, rng)), stats.norm.cdf([ACCURACY + 0.1, ACCURACY])
    five, ten = (list(pairs(table, rng, seeds, 0.1)) for seeds in (5, 10))
    for rows, seeds, truth, found in ((ROWS, 5, few, five), (ROWS, 10, few, ten), (MANY, 5, MEANS, many)):
        data, gap = f"accuracy, n={rows}, {seeds} seeds", truth[0] - truth[1]
        table.coverage("seed_mean", data, [seed_mean(pair[0]) for pair in found], truth[0])
        differences = [seed_difference(*pair) for pair in found]
        table.coverage("seed_difference", data, [each[0] for each in differences], gap)
        worse = [no_worse(-each.value, parts.standard_error, parts.df, gap) for each, _, parts in differences]
        table.no_worse("seed_difference", f"{data}, seen from the worse", np.array(worse))
        plain = [multi_bootstrap(rng, pair[:1]) for pair in found]
        table.coverage("plain multi-bootstrap of a mean", data, plain, truth[0], judged=False)
        plain = [multi_bootstrap(rng, pair) for pair in found]
        table.coverage("plain multi-bootstrap of a difference", data, plain, gap, judged=False)
    p = np.array([seed_difference(*pair)[1] for pair in many])
    values = np.array([[scores.values for scores in pair] for pair in many]).transpose(1, 0, 2)
    welch, rel = stats.ttest_ind(*values, axis=1, equal_var=False).pvalue, stats.ttest_rel(*values, axis=1).pvalue
    data = f"accuracy, n={MANY}, 5 seeds, 0.012 apart"
    table.power("seed_difference", "SciPy's Welch t over seeds", data, p, welch)
    table.power("seed_difference", "SciPy's paired t over seeds", data, p, rel)


def pairs(table: Table, rng: np.random.Generator, seeds: int, gap: float) -> Iterator[Pair]:
    """Scores whose true accuracies have an sd over seeds of 0.01 and 0.005, beyond the interaction with the rows."""
    counts = example_counts(ROWS, RESAMPLES, 0)
    for _ in range(table.simulations):
        hard, scores = HARD * rng.standard_normal(ROWS, np.float32), []
        for shift, sd in ((gap, 0.055), (0.0, 0.0275)):
            middle = (ACCURACY + shift) * np.sqrt(SPREAD**2 + NOISE**2 + sd**2)
            margin = middle + hard + OWN * rng.standard_normal(ROWS, np.float32) + sd * rng.standard_normal((seeds, 1))
            right = margin + NOISE * rng.standard_normal((seeds, ROWS), np.float32) > 0
            scores.append(SeedScores(right.mean(1), resampled(right[..., None], share, counts)))
        yield scores[0], scores[1]


def pairs_of_many_rows(table: Table, rng: np.random.Generator) -> Iterator[Pair]:
    """Metrics and resamples drawn as the normals that they nearly are."""
    for _ in range(table.simulations):
        scores = []
        for mean in MEANS:
            rows, noise = 0.0008 * rng.standard_normal(RESAMPLES + 1), 0.001 * rng.standard_normal((5, RESAMPLES + 1))
            metric = mean + 0.007 * rng.standard_normal((5, 1)) + rows[:1] + noise[:, :1]
            scores.append(SeedScores(metric[:, 0], metric + rows[1:] + noise[:, 1:]))
        yield scores[0], scores[1]


def multi_bootstrap(rng: np.random.Generator, systems: tuple[SeedScores, ...]) -> Estimate:
    """The percentile interval of a mean, or of a difference of means, with seeds and rows drawn with repetition."""
    drawn = np.zeros(RESAMPLES)
    for sign, scores in zip((1, -1), systems, strict=False):
        seeds = len(scores.values)
        weights = rng.multinomial(seeds, np.full(seeds, 1 / seeds), RESAMPLES).T / seeds
        drawn += sign * (weights * scores.resampled).sum(0)
    low, high = np.quantile(drawn, [LEVEL / 2, 1 - LEVEL / 2])
    return Estimate(float(drawn.mean()), float(low), float(high), ROWS, "multi-bootstrap")


def permuted(both: list[np.ndarray]) -> np.ndarray:
    first, second = (np.asarray(found, np.float32)[..., None] for found in both)
    return paired.permutation_many(first, second, share)


def loss(margin: np.ndarray) -> np.ndarray:
    return np.log1p(np.exp(-2 * margin.astype(np.float64)))


def share(sums: np.ndarray) -> np.ndarray:
    return sums[..., 0] / ROWS


def macro_f1(sums: np.ndarray) -> np.ndarray:
    found, rejected, missed, alarms = np.moveaxis(sums, -1, 0)
    return found / (2 * found + missed + alarms) + rejected / (2 * rejected + missed + alarms)


def matthews(sums: np.ndarray) -> np.ndarray:
    found, rejected, missed, alarms = np.moveaxis(sums, -1, 0)
    sides = (found + alarms) * (found + missed) * (rejected + alarms) * (rejected + missed)
    return (found * rejected - alarms * missed) / np.sqrt(sides)


if __name__ == "__main__":
    sys.exit(main())
