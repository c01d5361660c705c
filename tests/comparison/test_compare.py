"""Verdicts, refusals, and both in agreement with the tests that they name."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from noria.common.errors import UserError
from noria.comparison.chosen import metric_named
from noria.comparison.common_rows import CommonRows
from noria.comparison.compare import compare
from noria.comparison.leaks import refuse_leaks
from noria.comparison.result import BETTER, CANNOT_TELL, NO_WORSE, WORSE, Comparison, Difference
from noria.comparison.rules import Rules
from noria.comparison.runs import find_runs
from noria.comparison.systems import group
from noria.report.table import markdown, table
from noria.task.causal_lm.form import CausalLMForm
from noria.task.text_classification.form import TextClassificationForm
from noria.task.text_embedding.form import TextEmbeddingForm

Make = Callable[..., Path]


def compared(*folders: Path, metric: str = "accuracy", split: str = "val", **rules) -> Comparison:
    groups, _ = group(find_runs([str(folder) for folder in folders], Path())[0])
    rows = CommonRows(groups[0].runs[0], split)
    measured = metric_named(metric, groups[0].runs[0], rows.form)
    return compare(groups, groups[0], rows, metric, measured, Rules(**rules))


def answers(folder: Path) -> dict[str, np.ndarray]:
    (path,) = folder.rglob("predictions.parquet")
    table = pq.read_table(path)
    return {name: np.asarray(table[name]) for name in ("label", "prediction", "loss")}


def test_single_runs_are_compared_by_the_tests_of_others(make_runs: Make) -> None:
    folders = make_runs("a", rows=872), make_runs("b", rows=872, accuracy=0.9, optimizer__lr=3e-5)
    first, second = map(answers, folders)
    found = {system.name: system for system in compared(*folders).systems}["optimizer.lr=3e-05"].difference
    ours, theirs = (one["label"] == one["prediction"] for one in (second, first))
    only = int((ours & ~theirs).sum()), int((~ours & theirs).sum())
    assert found.p == pytest.approx(stats.binomtest(only[0], sum(only)).pvalue)
    assert found.estimate.value == pytest.approx(ours.mean() - theirs.mean())
    assert found.estimate.low < found.estimate.value < found.estimate.high

    found = {system.name: system for system in compared(*folders, metric="loss").systems}[
        "optimizer.lr=3e-05"
    ].difference
    expected = stats.ttest_rel(second["loss"], first["loss"])
    assert found.p == pytest.approx(expected.pvalue, rel=1e-4)
    assert found.estimate.low == pytest.approx(expected.confidence_interval().low, rel=1e-4)


@pytest.mark.parametrize("metric", ["accuracy", "loss", "f1", "matthews", "auroc"])
@pytest.mark.parametrize("seeds", [1, 5])
def test_a_clear_difference_is_seen_and_a_run_does_not_differ_from_itself(make_runs: Make, metric, seeds) -> None:
    same = {"rows": 600, "seeds": seeds}
    base = make_runs("base", **same)
    good = make_runs("good", accuracy=0.95, optimizer__lr=1.0, **same)
    bad = make_runs("bad", accuracy=0.55, optimizer__lr=2.0, **same)
    result = compared(base, good, bad, metric=metric)
    assert [system.name for system in result.systems] == [f"optimizer.lr={lr}" for lr in ("1", "0.0001", "2")]
    best, middle, worst = result.systems
    assert best.difference.verdict == BETTER and worst.difference.verdict == WORSE and middle.difference is None
    assert best.estimate.low < best.estimate.value < best.estimate.high
    assert len(best.values) == seeds and (math.isnan(best.sd) if seeds == 1 else best.sd > 0)
    twin = make_runs("base_twin", seeds=0)
    for run in base.iterdir():  # the same answers under another config
        copy = twin / f"{run.name}-twin"
        copy.mkdir(parents=True)
        (copy / "artifact").mkdir()
        (copy / "predictions.parquet").write_bytes((run / "predictions.parquet").read_bytes())
        record = json.loads((run / "record.json").read_text())
        record["config"]["optimizer"]["lr"] = 0.5
        (copy / "record.json").write_text(json.dumps(record))
    (other,) = (system for system in compared(base, twin, metric=metric, margin=0.2).systems if system.difference)
    assert other.difference.p == pytest.approx(1) or math.isnan(other.difference.p)
    assert other.difference.estimate.value == 0 and other.difference.verdict == NO_WORSE


def test_one_seed_against_several_varies_both(make_runs: Make) -> None:
    result = compared(make_runs("one"), make_runs("five", seeds=5, optimizer__lr=3e-5))
    assert {len(system.runs) for system in result.systems} == {1, 5}
    assert sum("single run" in note for note in result.notes) == 1


def test_few_seeds_are_said_to_be_few(make_runs: Make) -> None:
    three = compared(make_runs("a", seeds=3), make_runs("b", seeds=3, optimizer__lr=3e-5))
    assert any("fewer than 5 seeds" in note and "not to be trusted" in note for note in three.notes)
    five = compared(make_runs("c", seeds=5), make_runs("d", seeds=5, optimizer__lr=3e-5))
    assert not five.notes


def test_many_comparisons_are_corrected(make_runs: Make) -> None:
    folders = [make_runs(f"s{n}", accuracy=0.8 + 0.012 * n, optimizer__lr=n + 1.0) for n in range(6)]
    none, holm, fdr = (compared(*folders, correction=name) for name in ("none", "holm", "fdr_bh"))
    for one, two, three in zip(none.systems, holm.systems, fdr.systems, strict=True):
        if one.difference:
            assert one.difference.p == one.difference.p_adjusted == two.difference.p
            assert one.difference.p_adjusted <= three.difference.p_adjusted <= two.difference.p_adjusted
    assert sum(a.difference.p_adjusted > a.difference.p for a in holm.systems if a.difference) >= 3


def test_verdicts_in_words(make_runs: Make) -> None:
    folders = make_runs("a", rows=60), make_runs("b", rows=60, optimizer__lr=3e-5)
    verdicts = [s.difference.verdict for s in compared(*folders, margin=0.0).systems if s.difference]
    assert verdicts == [CANNOT_TELL]
    assert [s.difference.verdict for s in compared(*folders, margin=0.5).systems if s.difference] == [NO_WORSE]


def differences(result: Comparison) -> dict[str, Difference]:
    return {system.name: system.difference for system in result.systems if system.difference}


@pytest.mark.parametrize("metric", ["accuracy", "loss", "f1"])
@pytest.mark.parametrize("seeds", [1, 5])
@pytest.mark.parametrize("alpha", [0.2, 0.05, 0.01])
def test_no_worse_is_what_the_interval_of_1_less_alpha_shows(make_runs: Make, metric, seeds, alpha) -> None:
    same = {"rows": 400, "seeds": seeds}
    folders = [make_runs("base", accuracy=0.81, **same), make_runs("other", optimizer__lr=3e-5, **same)]
    (before,) = differences(compared(*folders, metric=metric, alpha=alpha, correction="none")).values()
    gap, better = before.estimate, metric != "loss"
    assert gap.confidence == 1 - alpha
    # one margin on either side of where the interval ends
    edge = -gap.low if better else gap.high
    assert edge > 0, "nothing here is better"
    for margin, verdict in ((edge * 1.01, NO_WORSE), (edge * 0.99, CANNOT_TELL)):
        (found,) = differences(
            compared(*folders, metric=metric, alpha=alpha, correction="none", margin=margin)
        ).values()
        assert found.estimate == gap and found.p == before.p
        assert (found.no_worse_adjusted < alpha) == (verdict == NO_WORSE)
        assert found.verdict == (WORSE if found.p < alpha else verdict)


def test_no_worse_is_corrected_as_better_is(make_runs: Make) -> None:
    folders = [make_runs(f"s{n}", accuracy=0.8, optimizer__lr=n + 1.0, rows=900) for n in range(8)]
    none, holm, fdr = (
        differences(compared(*folders, correction=how, margin=0.03)) for how in ("none", "holm", "fdr_bh")
    )
    ps = np.array([one.no_worse for one in none.values()])
    for found, method in ((none, None), (holm, "holm"), (fdr, "fdr_bh")):
        expected = ps if method is None else multipletests(ps, method=method)[1]
        assert [found[name].no_worse_adjusted for name in none] == pytest.approx(expected.tolist())
        for one in found.values():
            assert one.verdict in (BETTER, WORSE) or (one.verdict == NO_WORSE) == (one.no_worse_adjusted < 0.05)
    verdicts = [sum(one.verdict == NO_WORSE for one in found.values()) for found in (none, holm)]
    assert verdicts[0] > verdicts[1], "seven comparisons say it less easily than one"


def test_every_interval_has_the_level_that_was_asked_for(make_runs: Make) -> None:
    for seeds, metric in ((1, "accuracy"), (1, "loss"), (1, "f1"), (5, "accuracy")):
        folders = [
            make_runs(f"{name}{seeds}{metric}", seeds=seeds, optimizer__lr=lr) for name, lr in (("a", 1.0), ("b", 2.0))
        ]
        narrow, wide = (compared(*folders, metric=metric, alpha=alpha) for alpha in (0.1, 0.01))
        for one, two in zip(narrow.systems, wide.systems, strict=True):
            assert one.estimate.confidence == 0.9 and two.estimate.confidence == 0.99
            assert two.estimate.low < one.estimate.low < one.estimate.high < two.estimate.high
        head = [str(column.header) for column in table(wide).columns]
        assert "mean [99 %]" in head and "mean [99 %]" in markdown(wide)


def test_resamples_without_a_value_cost_their_share_and_no_interval(make_runs: Make) -> None:
    """Of one label only a few rows: some resamples hold none of it, and AUROC has no value there."""
    folders = make_runs("a", rows=200), make_runs("b", rows=200, optimizer__lr=3e-5, accuracy=0.9)
    for few, note in ((4, "no value on some resamples"), (1, "no value on some resamples"), (0, "no interval")):
        for folder in folders:
            change(
                folder, label=lambda names, few=few: ["positive" if i < few else "negative" for i in range(len(names))]
            )
        result = compared(*folders, metric="auroc")
        for system in result.systems:
            known = [system.estimate] + ([system.difference.estimate] if system.difference else [])
            for estimate in known:
                assert math.isnan(estimate.low) == (few == 0)
                assert few == 0 or estimate.low <= estimate.value <= estimate.high
                if few:
                    assert "of 1000 resamples" in estimate.method
        assert any(note in said for said in result.notes), result.notes


def test_too_few_resamples_for_the_level_are_refused(make_runs: Make) -> None:
    folders = make_runs("a"), make_runs("b", optimizer__lr=3e-5)
    with pytest.raises(UserError, match=r"stage.resamples=38 are too few for stage.alpha=0.05: .* 95 % takes 39"):
        compared(*folders, metric="f1", resamples=38)
    assert compared(*folders, metric="f1", resamples=39)
    with pytest.raises(UserError, match="takes 1,999"):
        compared(*folders, metric="f1", alpha=0.001)
    assert compared(*folders, alpha=0.001, resamples=2), "accuracy of single runs needs none"


def test_rows_in_another_order_are_put_in_order(make_runs: Make) -> None:
    first, second = make_runs("a"), make_runs("b", accuracy=0.9, optimizer__lr=3e-5)
    before = compared(first, second)
    (path,) = second.rglob("predictions.parquet")
    table = pq.read_table(path)
    pq.write_table(table.take(np.random.default_rng(0).permutation(len(table))), path)
    assert compared(first, second) == before


def change(folder: Path, **columns) -> None:
    (path,) = folder.rglob("predictions.parquet")
    table = pq.read_table(path)
    for name, make in columns.items():
        place = table.column_names.index(name)
        table = table.set_column(place, name, pa.array(make(table[name].to_pylist()), table.schema.field(name).type))
    pq.write_table(table, path)


def test_what_makes_no_sense_is_refused(make_runs: Make) -> None:
    first = make_runs("a")
    other = {"optimizer__lr": 3e-5}
    with pytest.raises(UserError, match=r"different rows of val: 400 and 300, 300 of them in both"):
        compared(first, make_runs("fewer", rows=300, **other))
    swapped = make_runs("labels", **other)
    change(swapped, label=lambda names: names[::-1])
    with pytest.raises(UserError, match="different labels for the same rows"):
        compared(first, swapped)
    texts = make_runs("texts", **other)
    (path,) = texts.rglob("record.json")
    record = json.loads(path.read_text())
    record["data"]["fingerprints"]["val"] = "other"
    path.write_text(json.dumps(record))
    with pytest.raises(UserError, match="different texts under the same row ids"):
        compared(first, texts)
    with pytest.raises(UserError, match="no predictions of the split val"):
        compared(first, make_runs("test", splits=("test",), **other))
    (path,) = make_runs("broken", **other).rglob("predictions.parquet")
    path.write_bytes(b"PAR1 no")
    with pytest.raises(UserError, match="cannot be read"):
        compared(first, path.parent)


def test_a_run_measured_on_what_another_was_trained_on_is_refused(make_runs: Make) -> None:
    first, second = make_runs("a"), make_runs("b", optimizer__lr=3e-5)
    runs = find_runs([str(first), str(second)], Path())[0]
    rows = CommonRows(runs[0], "val")
    assert refuse_leaks(runs, rows) == []
    assert rows.keys is not None
    record = json.loads((runs[1].folder / "record.json").read_text())
    record["data"]["fingerprints"]["train"] = "another"
    (runs[1].folder / "record.json").write_text(json.dumps(record))
    runs = find_runs([str(first), str(second)], Path())[0]
    np.save(runs[1].folder / "train_keys.npy", rows.keys[:3])
    assert refuse_leaks(runs, rows) == ["3 of the 400 rows stand among training rows as well."]
    np.save(runs[1].folder / "train_keys.npy", rows.keys[:100])
    with pytest.raises(UserError, match="was trained on 100 of the 400 rows"):
        refuse_leaks(runs, rows)
    (runs[1].folder / "train_keys.npy").unlink()
    assert refuse_leaks(runs, rows) == ["Of 1 runs it cannot be told whether they were trained on these rows."]


def test_the_seeds_that_a_difference_of_a_given_size_takes(make_runs: Make) -> None:
    folders = make_runs("a", seeds=5, rows=3000), make_runs("b", seeds=5, rows=3000, optimizer__lr=3e-5)
    needed = {}
    for effect in (0.02, 0.05, 1e-6):
        (found,) = (one.difference for one in compared(*folders, effect=effect).systems if one.difference)
        needed[effect] = found.seeds_needed
    assert needed[1e-6] is None and needed[0.02] >= needed[0.05] >= 2


def test_a_regression_and_a_cosine_are_compared_by_their_answers(make_runs: Make) -> None:
    folders = make_runs("a", rows=60), make_runs("b", rows=60, optimizer__lr=3e-5)
    rng = np.random.default_rng(0)
    true = rng.random(60)
    forms = (
        (TextEmbeddingForm, {"kind": "similarity", "scale": [0, 1]}, true, 1.0),
        (TextClassificationForm, {"kind": "regression"}, true.astype(np.float32).astype(np.float64), 0.1),
    )
    for folder, (form, settings, label, noise) in zip(folders, forms, strict=True):
        (path,) = folder.rglob("predictions.parquet")
        made = pq.read_table(path).select(["id", "key", "split"])
        columns = {"label": label, "prediction": true + noise * rng.normal(size=60), "loss": np.ones(60)}
        for name, values in columns.items():
            made = made.append_column(name, pa.array(values))
        described = json.dumps({"form": form.path(), "settings": settings})
        pq.write_table(made.replace_schema_metadata({"noria.form": described}), path)
    best = compared(*folders, metric="pearson").systems[0]
    assert best.name == "optimizer.lr=3e-05" and best.difference.verdict == BETTER
    with pytest.raises(UserError, match="losses of different kinds"):
        compared(*folders, metric="loss")
    table = pq.read_table(path)
    place = table.column_names.index("label")
    pq.write_table(table.set_column(place, "label", pa.array(true + 1e-4)), path)
    with pytest.raises(UserError, match="different numbers for the same pairs"):
        compared(*folders, metric="pearson")


def test_texts_are_compared_by_bleu_and_rouge(make_runs: Make) -> None:
    folders = make_runs("a", rows=60), make_runs("b", rows=60, optimizer__lr=3e-5)
    rng = np.random.default_rng(0)
    true = [" ".join(rng.choice(list("abcdefgh"), 9)) for _ in range(60)]
    for folder, errors in zip(folders, (0.5, 0.1), strict=True):
        said = [" ".join(w if rng.random() > errors else "z" for w in text.split()) for text in true]
        (path,) = folder.rglob("predictions.parquet")
        ids = pq.read_table(path).select(["id", "key", "split"])
        described = json.dumps({"form": CausalLMForm.path(), "settings": {}})
        made = ids.append_column("reference", pa.array(true)).append_column("response", pa.array(said))
        pq.write_table(made.replace_schema_metadata({"noria.form": described}), path)
    for metric in ("bleu", "rougeL"):
        best = compared(*folders, metric=metric).systems[0]
        assert best.name == "optimizer.lr=3e-05" and best.difference.verdict == BETTER
