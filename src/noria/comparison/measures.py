"""Each metric's measure, by kind of task and name. The numbers are those of `noria.metric`. Knows nothing of runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from noria.common.errors import UserError, did_you_mean
from noria.comparison.answers import CLASSES, SETS, TEXTS, TOKENS, VALUES, Answers, Sheet
from noria.comparison.measure import MEAN, RIGHT, SUMS, Features, Maker, Measure, given, of_rows, ratio
from noria.comparison.text_measures import ROUGES, bleu, rouge


def make_measure(name: str, kind: str, nodes: Mapping[str, Any]) -> Measure:
    """The measure of a metric's name.

    Args:
        kind: of the task.
        nodes: the config group `metric` of the runs, for a metric's own options.

    Raises:
        UserError: no such metric, or not of such a task.
    """
    node = nodes.get(name) or {}
    known = str(node.get("_target_") or f"noria.metric.{name}.").split(".")[-2]  # the file that the metric lies in
    options = {key: value for key, value in node.items() if key != "_target_"}
    makers = MAKERS.get(kind, {})
    if known not in makers:
        raise UserError(
            f"stage.metric={name} cannot be computed from predictions of a {kind} task. {did_you_mean(name, makers)}"
        )
    return makers[known](name, options)


def _accuracy(name: str, options: Mapping[str, Any]) -> Measure:
    def right(sheet: Sheet, answers: Answers) -> np.ndarray:
        same = np.equal(given(answers.predicted), given(sheet.truth))
        return of_rows(same if same.ndim == 1 else same.all(axis=1))

    return Measure(name, "max", ("predicted",), RIGHT, right, ratio)


def _loss(name: str, options: Mapping[str, Any]) -> Measure:
    return Measure(name, "min", ("loss",), MEAN, lambda sheet, answers: of_rows(given(answers.loss)), ratio)


def _token_loss(name: str, options: Mapping[str, Any]) -> Measure:
    return Measure(name, "min", ("loss",), SUMS, _token_losses, ratio)


def _perplexity(name: str, options: Mapping[str, Any]) -> Measure:
    return Measure(name, "min", ("loss",), SUMS, _token_losses, _exp)


def _bits_per_byte(name: str, options: Mapping[str, Any]) -> Measure:
    return Measure(name, "min", ("text_loss",), SUMS, _text_losses("bytes"), lambda sums: ratio(sums) / np.log(2))


def _word_perplexity(name: str, options: Mapping[str, Any]) -> Measure:
    return Measure(name, "min", ("text_loss",), SUMS, _text_losses("words"), _exp)


def _exp(sums: np.ndarray) -> np.ndarray:
    return np.asarray(np.exp(np.minimum(ratio(sums), 700)))


def _text_losses(size: str) -> Features:
    def losses(sheet: Sheet, answers: Answers) -> np.ndarray:
        sizes = getattr(sheet, size)
        if sizes is None or answers.text_loss is None:
            raise UserError(
                f"The predictions do not tell their {size}: measure the runs anew with noria stage=evaluate."
            )
        return np.stack([answers.text_loss, sizes.astype(np.float64)], axis=1)

    return losses


def _token_losses(sheet: Sheet, answers: Answers) -> np.ndarray:
    tokens = given(sheet.tokens).astype(np.float64)
    return np.stack([given(answers.loss) * tokens, tokens], axis=1)


def _f1(name: str, options: Mapping[str, Any]) -> Measure:
    average = options.get("average", "macro")

    def counts(sheet: Sheet, answers: Answers) -> np.ndarray:
        true, said = (_table(part, len(sheet.labels)) for part in (sheet.truth, answers.predicted))
        return np.concatenate([true * said, said, true, np.full((len(true), 1), sheet.kind == SETS)], axis=1)

    def value(sums: np.ndarray) -> np.ndarray:
        hits, said, true = np.split(sums[..., :-1], 3, axis=-1)
        if average == "micro":
            return np.asarray(2 * hits.sum(-1) / (said + true).sum(-1))
        with np.errstate(invalid="ignore", divide="ignore"):
            each = np.where(said + true > 0, 2 * hits / (said + true), 0.0)
            # As torchmetrics has it: a class that is nowhere is left out of the mean, one label of several is not.
            counted = (said + true > 0) | (sums[..., -1:] > 0)
            weights = true if average == "weighted" else counted.astype(np.float64)
            return np.asarray((each * weights).sum(-1) / weights.sum(-1))

    return Measure(name, "max", ("predicted",), SUMS, counts, value)


def _matthews(name: str, options: Mapping[str, Any]) -> Measure:
    def counts(sheet: Sheet, answers: Answers) -> np.ndarray:
        true, said = (_table(part, len(sheet.labels)) for part in (sheet.truth, answers.predicted))
        return np.concatenate([(true * said).sum(1, keepdims=True), np.ones((len(true), 1)), said, true], axis=1)

    def value(sums: np.ndarray) -> np.ndarray:
        right, rows = sums[..., 0], sums[..., 1]
        said, true = np.split(sums[..., 2:], 2, axis=-1)
        covariance = right * rows - (said * true).sum(-1)
        spread = (rows**2 - (true**2).sum(-1)) * (rows**2 - (said**2).sum(-1))
        return np.where(spread > 0, covariance / np.sqrt(np.where(spread > 0, spread, 1.0)), 0.0)

    return Measure(name, "max", ("predicted",), SUMS, counts, value)


def _auroc(name: str, options: Mapping[str, Any]) -> Measure:
    """The area as the mean over rows with the label and over rows without it of how many of the others each beats:
    what DeLong et al. (1988) take its variance from, and for small changes of the weights the area itself."""
    weighted = options.get("average", "macro") == "weighted"

    def placements(sheet: Sheet, answers: Answers) -> np.ndarray:
        true, scores = _table(sheet.truth, len(sheet.labels)), given(answers.probabilities)
        columns = [_placed(true[:, label] > 0, scores[:, label]) for label in range(true.shape[1])]
        return np.concatenate(columns, axis=1)

    def value(sums: np.ndarray) -> np.ndarray:
        with_beaten, with_label, without_beaten, without = (sums[..., part::4] for part in range(4))
        defined = (with_label > 0) & (without > 0)
        with np.errstate(invalid="ignore", divide="ignore"):
            areas = np.where(defined, with_beaten / with_label + without_beaten / without, 0.0)
            weights = np.where(defined, with_label if weighted else 1.0, 0.0)
            return np.asarray((areas * weights).sum(-1) / weights.sum(-1))

    return Measure(name, "max", ("probabilities",), SUMS, placements, value)


def _placed(positive: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Features (n, 4) of one label's area; each half of it in the rows with the label and in those without."""
    placed = np.zeros((len(scores), 4))
    if not positive.any() or positive.all():
        return placed
    for column, ours, others in ((0, positive, scores[~positive]), (2, ~positive, scores[positive])):
        ordered = np.sort(others)
        below, upto = (np.searchsorted(ordered, scores[ours], side) for side in ("left", "right"))
        beaten = (below + upto) / (2 * len(ordered))
        placed[ours, column] = beaten if column == 0 else 1 - beaten
        placed[ours, column + 1] = 1
    area = placed[:, 0].sum() / positive.sum()
    placed[:, [0, 2]] -= area / 2 * placed[:, [1, 3]]
    return placed


def _error(power: int) -> Callable[[str, Mapping[str, Any]], Measure]:
    def make(name: str, options: Mapping[str, Any]) -> Measure:
        def errors(sheet: Sheet, answers: Answers) -> np.ndarray:
            return of_rows(np.abs(given(answers.predicted) - given(sheet.truth)) ** power)

        return Measure(name, "min", ("predicted",), MEAN, errors, ratio)

    return make


def _pearson(name: str, options: Mapping[str, Any]) -> Measure:
    def moments(sheet: Sheet, answers: Answers) -> np.ndarray:
        true, said = (_standard(given(part)) for part in (sheet.truth, answers.predicted))
        return np.stack([np.ones(len(true)), true, said, true * true, said * said, true * said], axis=1)

    def value(sums: np.ndarray) -> np.ndarray:
        rows, x, y, xx, yy, xy = np.moveaxis(sums, -1, 0)
        spread = (rows * xx - x * x) * (rows * yy - y * y)
        return np.where(spread > 0, (rows * xy - x * y) / np.sqrt(np.where(spread > 0, spread, 1.0)), np.nan)

    return Measure(name, "max", ("predicted",), SUMS, moments, value)


def _spearman(name: str, options: Mapping[str, Any]) -> Measure:
    """Pearson's correlation of the ranks, with each row's influence on it as its feature: ranks change with the rows
    (Croux and Dehon 2010, section 2)."""

    def influences(sheet: Sheet, answers: Answers) -> np.ndarray:
        from scipy.stats import rankdata

        true, said = (rankdata(given(part)) / len(sheet) for part in (sheet.truth, answers.predicted))
        deviations = [_standard(part) for part in (true, said)]
        correlation = float((deviations[0] * deviations[1]).mean())
        influence = true * said + _mean_above(true, said) + _mean_above(said, true)
        scale = 1 / max(true.std() * said.std(), 1e-12)
        return of_rows(correlation + scale * (influence - influence.mean()))

    return Measure(name, "max", ("predicted",), MEAN, influences, ratio)


def _mean_above(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """For each row the mean over all rows of `second` where `first` is at least that row's, else 0."""
    order = np.argsort(-first, kind="stable")
    sums = np.concatenate([[0.0], np.cumsum(second[order])])
    return np.asarray(sums[np.searchsorted(-first[order], -first, side="right")] / len(first))


def _standard(values: np.ndarray) -> np.ndarray:
    spread = values.std()
    return np.asarray((values - values.mean()) / (spread if spread > 0 else 1.0))


def _table(labels: np.ndarray | None, count: int) -> np.ndarray:
    """Label numbers (n,), or zeros and ones (n, labels), as zeros and ones (n, labels)."""
    labels = given(labels)
    return (labels[:, None] == np.arange(count)).astype(np.float64) if labels.ndim == 1 else labels.astype(np.float64)


_ONE_OF: dict[str, Maker] = {"accuracy": _accuracy, "loss": _loss, "f1": _f1, "auroc": _auroc}
MAKERS: dict[str, dict[str, Maker]] = {
    CLASSES: {**_ONE_OF, "matthews": _matthews},
    SETS: _ONE_OF,
    VALUES: {"loss": _loss, "mae": _error(1), "mse": _error(2), "pearson": _pearson, "spearman": _spearman},
    TOKENS: {
        "loss": _token_loss,
        "perplexity": _perplexity,
        "bits_per_byte": _bits_per_byte,
        "word_perplexity": _word_perplexity,
    },
    TEXTS: {"bleu": bleu, **dict.fromkeys(ROUGES, rouge)},
}
