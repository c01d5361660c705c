"""The pictures of a report: drawn where there is something to show, for few and for thousands of systems."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest

from noria.comparison.result import Comparison, Evidence
from noria.report.plot_answers import calibration, confusion
from noria.report.plot_costs import against_bytes, against_latency, against_size, against_time
from noria.report.plot_runs import learning_curves, ranking
from noria.report.plot_settings import is_geometric, parallel_coordinates, place
from noria.report.plot_style import label, leading, limits, shorten, tidy
from noria.report.plots import draw, save_png, to_svg

NAMES = ["ranking", "learning_curves", "against_time", "against_size", "against_latency", "against_bytes",
         "parallel_coordinates", "confusion", "calibration"]  # fmt: skip
Case = Callable[..., tuple[Comparison, Evidence]]


def test_six_systems_of_five_seeds(report_case: Case, tmp_path: Path) -> None:
    before = dict(matplotlib.rcParams)
    figures = draw(*report_case())
    paths = save_png(figures, tmp_path / "plots")
    assert list(figures) == NAMES
    assert [path.name for path in paths] == [f"{name}.png" for name in NAMES]
    assert all(path.read_bytes().startswith(b"\x89PNG") and path.stat().st_size > 10_000 for path in paths)
    assert dict(matplotlib.rcParams) == before, "drawing left the global style changed"


def test_nothing_is_drawn_of_nothing(report_case: Case) -> None:
    comparison, _ = report_case()
    bare = replace(comparison, systems=tuple(replace(system, settings={}) for system in comparison.systems))
    assert list(draw(bare, Evidence())) == ["ranking"]
    alone = replace(bare, systems=bare.systems[:1], baseline=bare.systems[0].name)
    assert draw(alone, Evidence()) == {}


def test_single_runs_without_curves(report_case: Case) -> None:
    figures = draw(*report_case(systems=2, seeds=1, curves=False, sizes=False))
    assert list(figures) == ["ranking", "against_time", "parallel_coordinates", "confusion", "calibration"]


def test_one_epoch_is_no_curve(report_case: Case) -> None:
    comparison, evidence = report_case()
    first = tuple(
        replace(curve, step=curve.step[:1], series={key: each[:1] for key, each in curve.series.items()})
        for curve in evidence.curves
    )
    assert learning_curves(comparison, replace(evidence, curves=first)) is None


def test_numbers_that_are_none_do_no_harm(report_case: Case) -> None:
    comparison, evidence = report_case()
    nan = float("nan")
    *first, last = comparison.systems
    lost = replace(last, values=(nan,), estimate=replace(last.estimate, value=nan, low=nan, high=nan))
    no_interval = replace(first[0], estimate=replace(first[0].estimate, low=nan, high=nan))
    comparison = replace(comparison, systems=(no_interval, *first[1:], lost))
    curves = tuple(replace(curve, series={"train/loss": curve.step * nan}) for curve in evidence.curves[:3])
    figures = draw(comparison, replace(evidence, curves=curves + evidence.curves[3:]))
    assert list(figures) == NAMES
    assert all("<svg" in to_svg(figure, name) for name, figure in figures.items())


def test_thousands_take_seconds(report_case: Case, tmp_path: Path) -> None:
    labels = tuple(f"intent_{number}" for number in range(77))
    case = report_case(systems=2000, seeds=1, random_search=True, labels=labels)
    start = time.process_time()
    figures = draw(*case)
    save_png(figures, tmp_path)
    sizes = {name: len(to_svg(figure, name)) for name, figure in figures.items()}
    assert time.process_time() - start < 30
    assert list(figures) == NAMES
    assert max(sizes.values()) < 4_000_000, sizes
    texts = _texts(to_svg(figures["ranking"], "ranking"))
    assert "The best 40 of 2,000 systems; 1,960 not drawn" in texts
    assert any("every second class is named" in text for text in _texts(to_svg(figures["confusion"], "confusion")))


def test_the_baseline_is_among_those_shown(report_case: Case) -> None:
    comparison, evidence = report_case(systems=30, seeds=2)
    shown = leading(comparison, {curve.system for curve in evidence.curves}, 8)
    assert len(shown) == 8
    assert comparison.baseline in {system.name for system in shown}
    figure = learning_curves(comparison, evidence)
    assert figure is not None
    assert len(figure.legends[0].get_texts()) == 8


def test_the_confusion_of_the_baseline_and_the_best(report_case: Case) -> None:
    comparison, evidence = report_case(labels=("a", "b", "c"))
    figure = confusion(comparison, evidence)
    assert figure is not None
    titles = [axes.get_title(loc="left") for axes in figure.axes[:2]]
    assert titles[0].startswith("baseline: 4") and titles[1].startswith("best: 1")
    counts = evidence.confusion[comparison.baseline]
    assert [text.get_text().split("\n")[0] for text in figure.axes[0].texts] == [f"{count:,}" for count in counts.flat]
    alone = {comparison.baseline: counts}
    assert len(confusion(comparison, replace(evidence, confusion=alone)).axes) == 2  # with the bar of shades
    assert confusion(comparison, replace(evidence, confusion={})) is None


def test_calibration_of_six_at_most(report_case: Case) -> None:
    comparison, evidence = report_case(systems=30, seeds=2)
    figure = calibration(comparison, evidence)
    assert figure is not None
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert len(legend) == 6
    error = evidence.calibration[comparison.systems[0].name].error
    assert legend[0].startswith(f"ECE {error:.3f}")


def test_sizes_that_are_all_the_same_say_nothing(report_case: Case) -> None:
    comparison, evidence = report_case(sizes=False)
    assert against_size(comparison, evidence) is None
    assert against_time(comparison, replace(evidence, seconds={})) is None


def test_what_an_answer_takes_and_bytes_are_drawn_where_they_were_measured(report_case: Case) -> None:
    comparison, evidence = report_case(systems=3, seeds=2)
    sizes = {
        system.name: (1e6 * (number + 1), 1.1e6 * (number + 1)) for number, system in enumerate(comparison.systems)
    }
    measured = replace(evidence, latency={name: (each[0] / 1e6,) for name, each in sizes.items()}, bytes=sizes)
    assert {"against_latency", "against_bytes"} <= {*draw(comparison, measured)}
    low, high = against_bytes(comparison, measured).axes[0].get_xlim()
    assert low < 1 and high > 3.3, "in megabytes"
    one = {comparison.systems[0].name: (1.0,)}
    assert against_latency(comparison, replace(evidence, latency=one)) is None, "one alone is no picture"


@pytest.mark.parametrize(("seconds", "unit"), [(20.0, "(s)"), (2_000.0, "(min)"), (90_000.0, "(h)")])
def test_times_have_a_unit_that_reads_well(report_case: Case, seconds: float, unit: str) -> None:
    comparison, evidence = report_case()
    times = dict.fromkeys(evidence.seconds, (seconds, seconds * 0.9))
    assert unit in against_time(comparison, replace(evidence, seconds=times)).axes[0].get_xlabel()


def test_every_point_is_on_its_axes(report_case: Case) -> None:
    comparison, evidence = report_case()
    axes = against_time(comparison, evidence).axes[0]
    low, high = axes.get_xlim()
    times = np.concatenate([np.array(each) / 60 for each in evidence.seconds.values()])
    assert low < times.min() and times.max() < high


def test_systems_of_one_size_stand_side_by_side_on_the_axes(report_case: Case) -> None:
    figure = against_size(*report_case(systems=30, seeds=2))
    figure.draw_without_rendering()
    axes = figure.axes[0]
    (left, _), (right, _) = axes.transAxes.transform([(0, 0), (1, 0)])
    marks = [line for line in axes.lines if line.get_marker() in "D^vso"]
    places = [line.get_transform().transform(line.get_xydata())[0][0] for line in marks]
    assert len(places) == len(set(np.round(places, 1))) == 30
    assert left < min(places) and max(places) < right


@pytest.mark.parametrize("mode", ["max", "min"])
def test_a_run_that_failed_does_not_squeeze_the_rest(report_case: Case, mode: str) -> None:
    comparison, _ = report_case(mode=mode)
    last = comparison.systems[-1]
    bad = 0.1 if mode == "max" else 0.9
    failed = replace(last, values=(bad,), estimate=replace(last.estimate, value=bad, low=bad, high=bad))
    systems = [*comparison.systems[:-1], failed]
    low, high = limits(comparison, systems)
    assert high - low < 0.1
    assert all(low < system.estimate.value < high for system in systems[:-1])
    figure = ranking(replace(comparison, systems=tuple(systems)), Evidence())
    assert ("◀" if mode == "max" else "▶") in [text.get_text() for text in figure.axes[0].texts]


@pytest.mark.parametrize(
    ("values", "geometric"),
    [
        ([16, 32, 64, 128], True),
        ([1e-5, 3e-5, 1e-4], True),
        ([1e-5, 1e-3], True),
        (list(np.geomspace(1e-5, 1e-2, 50)), True),
        ([1, 2, 3, 4, 5], False),
        ([0.0, 0.1, 0.2], False),
        (list(np.linspace(0.001, 0.5, 50)), False),
    ],
)
def test_which_axis_is_logarithmic(values: list[float], geometric: bool) -> None:
    assert is_geometric(np.array(values, dtype=float)) is geometric


def test_places_on_an_axis() -> None:
    heights, ticks = place([1e-5, 1e-4, 1e-3, None])
    np.testing.assert_allclose(heights[:3], [0, 0.5, 1])
    assert heights[3] < 0 and ticks[0][1] == "not set"
    heights, ticks = place(["linear", "cosine", True, None])
    assert [text for _, text in ticks] == ["cosine", "linear", "true", "not set"]
    np.testing.assert_allclose(heights, [1 / 3, 0, 2 / 3, 1])
    assert len(place([f"model-{number}" for number in range(500)])[1]) <= 24


def test_one_setting_and_many(report_case: Case) -> None:
    comparison, evidence = report_case(systems=4)
    assert {len(system.settings) for system in comparison.systems} == {1}
    assert parallel_coordinates(comparison, evidence) is not None
    many = tuple(
        replace(system, settings={f"model.part{number}": system.rank * number for number in range(1, 30)})
        for system in comparison.systems
    )
    figure = parallel_coordinates(replace(comparison, systems=many), evidence)
    assert "The first 12 of 29 settings that vary." in [text.get_text() for text in figure.axes[0].texts]


def test_names_that_fit() -> None:
    assert tidy("optimizer.lr=0.000123456 scheduler=cosine") == "lr=0.000123 scheduler=cosine"
    assert tidy("optimizer.name=adamw model.name=bert") == "optimizer.name=adamw model.name=bert"
    assert shorten("abcdefghij", 5) == "ab…ij"
    assert shorten("two\nlines\x00", 20) == "two lines"


def test_a_long_name_loses_its_middle(report_case: Case) -> None:
    comparison, _ = report_case()
    name = "model.name=a-very-long-model-name-of-an-organisation optimizer.lr=0.001 scheduler=cosine data.max_length=64"
    text = label(replace(comparison.systems[0], name=name), 30, 2)
    assert text.startswith("1  name=a-very") and text.endswith("max_length=64") and "…" in text
    assert all(len(line) <= 33 for line in text.split("\n"))


def test_ids_of_two_pictures_do_not_collide(report_case: Case) -> None:
    figures = draw(*report_case())
    seen: set[str] = set()
    for name, figure in figures.items():
        root = ElementTree.fromstring(to_svg(figure, name))
        ids = [element.get("id") for element in root.iter() if element.get("id")]
        assert len(ids) == len(set(ids)) and not seen & set(ids)
        seen |= set(ids)
        used = {part.split(")")[0] for value in _attributes(root) for part in value.split("url(#")[1:]}
        assert used and used <= set(ids)
        assert all(value[1:] in ids for value in _attributes(root) if value.startswith("#") and "-" in value)


def test_any_text_makes_a_picture(report_case: Case) -> None:
    labels = ("<script>alert(1)</script>", "a & b $x^2$ \x00\x1b", "日本語", "_hidden")
    comparison, evidence = report_case(labels=labels)
    systems = tuple(replace(system, name=system.name + " note=<b>$1_$") for system in comparison.systems)
    rename = {old.name: new.name for old, new in zip(comparison.systems, systems, strict=True)}
    comparison = replace(comparison, systems=systems, baseline=rename[comparison.baseline])
    matrices = {rename[name]: matrix for name, matrix in evidence.confusion.items()}
    svg = to_svg(confusion(comparison, replace(evidence, confusion=matrices)), "confusion")
    assert "<script>" not in svg and "<b>" not in svg
    assert "日本語" in _texts(svg) and "a & b $x^2$" in _texts(svg)


def _texts(svg: str) -> list[str]:
    return [text for text in ElementTree.fromstring(svg).itertext() if text.strip()]


def _attributes(root: ElementTree.Element) -> list[str]:
    return [value for element in root.iter() for value in element.attrib.values()]
