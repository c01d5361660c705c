"""The page of a report: what it says, that it needs nothing else, and that a browser shows it well."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from noria.comparison.result import (
    BETTER,
    CANNOT_TELL,
    NO_WORSE,
    WORSE,
    Comparison,
    Difference,
    Disagreement,
    Dispute,
    Evidence,
)
from noria.report.page import CAPTIONS, write_page
from noria.report.page_words import ranks, summary, tried
from noria.report.plots import PICTURES, draw
from noria.statistics.estimate import Estimate

FACTS = {"made": "2025-01-01T10:00:00", "by": "noria stage=compare runs=runs/sweep", "versions": "noria 0.1.0"}
Case = Callable[..., tuple[Comparison, Evidence]]


def write(path: Path, comparison: Comparison, evidence: Evidence = Evidence(), figures: Any = None) -> str:  # noqa: B008
    write_page(path, comparison, evidence, figures or {}, FACTS)
    return path.read_text("utf-8")


def judged(comparison: Comparison, *verdicts: str) -> Comparison:
    """With these verdicts for the systems that are not the baseline, the best first."""
    given = iter(verdicts)
    systems = tuple(
        system if system.difference is None else replace(system, difference=_difference(next(given)))
        for system in comparison.systems
    )
    return replace(comparison, systems=systems)


def _difference(verdict: str) -> Difference:
    sign = -1 if verdict == WORSE else 1
    estimate = Estimate(sign * 0.0104, sign * 0.0104 - 0.004, sign * 0.0104 + 0.004, 1000, "normal")
    return Difference(estimate, 0.001, 0.0123, "paired t", verdict, smallest=0.0123)


@pytest.fixture(scope="module")
def report_page(report_case: Case, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of six systems with everything on it."""
    path = tmp_path_factory.mktemp("page") / "report.html"
    comparison, evidence = report_case()
    write(path, comparison, evidence, draw(comparison, evidence))
    return path


def test_every_picture_has_a_caption() -> None:
    assert list(CAPTIONS) == [picture.__name__ for picture in PICTURES]


def test_in_the_order_of_reading(report_page: Path) -> None:
    page = report_page.read_text("utf-8")
    marks = ["<h1>", 'class="summary"', 'class="notes"', 'id="systems"', 'id="winner"', 'id="settings"',
             *(f'id="figure-{name}"' for name in CAPTIONS), 'id="disagreements"', "<footer>"]  # fmt: skip
    places = [page.index(mark) for mark in marks]
    assert places == sorted(places)
    assert "1,066 rows · 6 systems · 30 runs · higher is better" in page
    assert all(value in page for value in FACTS.values())


def test_nothing_is_asked_for(report_page: Path) -> None:
    class Links(HTMLParser):
        found: list[str | None]

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            self.found += [value for name, value in attrs if name in ("src", "href", "xlink:href", "action", "data")]

    page = report_page.read_text("utf-8")
    links = Links()
    links.found = []
    links.feed(page)
    assert links.found and all(link and link.startswith(("#", "data:")) for link in links.found)
    assert not re.search(r"@import|url\((?!#)", page)
    assert page.count("<script") == 1


def test_better_than_the_baseline(report_case: Case) -> None:
    comparison, _ = report_case(systems=3)
    first, second = summary(judged(comparison, BETTER, CANNOT_TELL))
    assert "has the highest accuracy on val, 0.9" in first
    assert "that is better than the baseline" in first
    assert "by +0.0104 [+0.0064, +0.0144], adjusted p = 0.012." in first
    assert second == "Of 2 systems compared to the baseline, 1 is better and 1 cannot be told from it."


def test_nothing_can_be_told_apart(report_case: Case) -> None:
    comparison, _ = report_case(systems=3)
    first = summary(judged(comparison, CANNOT_TELL, CANNOT_TELL))[0]
    assert first.startswith("Nothing can be told apart: ")
    assert "A difference of 0.012 or more would have shown (with a power of 80 %)." in first
    mixed = summary(judged(comparison, CANNOT_TELL, WORSE))[0]
    assert "Nothing can be told apart" not in mixed and "may be chance" in mixed
    assert "no worse within the margin of 0.005" in summary(judged(comparison, NO_WORSE, WORSE))[0]


def test_the_baseline_is_the_best(report_case: Case) -> None:
    comparison, _ = report_case(systems=3, mode="min")
    first, *others = comparison.systems
    systems = (replace(first, difference=None), *(replace(other, difference=_difference(WORSE)) for other in others))
    said = summary(replace(comparison, baseline=first.name, systems=systems))
    assert said[0].startswith("No system is ahead of the baseline: ") and "has the lowest error on val" in said[0]
    assert said[1] == "Of 2 systems compared to the baseline, 2 are worse."
    assert len(summary(replace(comparison, systems=systems[:1], baseline=first.name))) == 1


def test_uncorrected_p_is_not_called_adjusted(report_case: Case, tmp_path: Path) -> None:
    comparison, _ = report_case(systems=3)
    page = write(tmp_path / "report.html", replace(judged(comparison, BETTER, WORSE), correction="none"))
    assert ", p = 0.012." in page and "djusted p" not in page and "p not adjusted" in page


def test_the_winner(report_case: Case, tmp_path: Path) -> None:
    comparison, _ = report_case()
    page = write(tmp_path / "report.html", comparison)
    assert "The test set was looked at 2 times" in page and "rows of the test set" in page
    once = replace(comparison.winner, looks=1, difference=None)
    assert "The test set was looked at once." in write(tmp_path / "once.html", replace(comparison, winner=once))
    unknown = write(tmp_path / "unknown.html", replace(comparison, winner=None))
    assert "from the rows that chose it" in unknown and "test set" not in unknown


def test_what_varies(report_case: Case, tmp_path: Path) -> None:
    comparison, _ = report_case(systems=4)
    assert "Only <code>optimizer.lr</code>: 1e-05, 3e-05, 0.0001, 0.0003." in write(tmp_path / "one.html", comparison)
    nothing = replace(comparison, systems=tuple(replace(one, settings={}) for one in comparison.systems))
    assert "What varies" not in write(tmp_path / "none.html", nothing)
    assert tried([0.1, None, True, "x"]) == "0.1, true, x or not set"
    assert tried([number / 7 for number in range(20)]) == "20 values from 0 to 2.714"
    assert tried([f"m{number}" for number in range(10)]).endswith("m7 and 2 more")


def test_disagreements(report_case: Case, tmp_path: Path) -> None:
    comparison, _ = report_case(systems=3)
    one, two, three = (system.name for system in comparison.systems)
    row = Disagreement(
        "r7", "word " * 100, "good", {one: {"good": 1.0}, two: {"bad": 0.6, "good": 0.4}, three: {"good": 1.0}}
    )
    dispute = Dispute(one, three, 70, 50, 120, (row,) * 20)
    page = write(tmp_path / "report.html", comparison, Evidence(dispute=dispute))
    assert page.count('<article class="row">') == 20 and "100 more rows on which some answers differ" in page
    assert "On 70 rows system 1 is right more often than system 3, on 50 less often." in page
    assert "word " * 59 + "word …" in page
    line = re.sub(r"<[^>]+>", "", page[page.index("<li><span class") :].split("</ul>")[0])
    assert [part.split() for part in line.strip().splitlines()] == [
        ["systems", "1,", "3", *one.split(), *three.split(), "✓", "good"],
        ["system", "2", *two.split(), "✗", "bad", "60%", "✓", "good", "40%"],
    ]
    assert ranks([1, 2, 3, 5, 8, 9]) == "1–3, 5, 8, 9"  # noqa: RUF001


def test_the_best_two_hundred(report_case: Case, tmp_path: Path) -> None:
    comparison, _ = report_case(systems=1000, seeds=1, random_search=True)
    page = write(tmp_path / "report.html", comparison)
    assert "The best 200 of 1,000 systems, and the baseline." in page
    assert page.split("</table>")[0].count("<tr") == 1 + 200 + 1


def test_text_is_text(report_case: Case, tmp_path: Path, browser_page: Callable[..., Any]) -> None:
    evil = "<script>document.title = 'taken'</script><img src=x onerror=alert(1)>\ud800"
    comparison, evidence = report_case(labels=(evil, "fine"), text=evil)
    best = comparison.systems[0]
    changed = replace(best, name=f"{best.name} note={evil}", settings={**best.settings, evil: evil})
    comparison = replace(comparison, systems=(changed, *comparison.systems[1:]), notes=(evil,), metric=evil)
    path = tmp_path / "report.html"
    page = write(path, comparison, evidence, draw(comparison, evidence))
    assert page.count("<script") == 1 and "<img" not in page
    opened = browser_page(path)
    assert opened.page.title() != "taken"
    assert opened.requests == [path.as_uri()] and opened.errors == []


def test_in_a_browser(report_page: Path, browser_page: Callable[..., Any]) -> None:
    opened = browser_page(report_page)
    page = opened.page
    assert page.locator("#systems tbody tr").count() == 6
    assert page.locator("#systems tr.baseline").count() == 1
    assert page.locator("#systems tr.baseline .mark").inner_text() == "◆ baseline"
    for name in CAPTIONS:
        box = page.locator(f"#figure-{name} svg").bounding_box()
        assert box["width"] > 600 and box["height"] > 150, name
        assert page.locator(f"#figure-{name} svg path").count() > 10, name
        drawn = page.locator(f"#figure-{name} svg").evaluate("svg => svg.getBBox().width")
        assert drawn > 100, name
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map(each => each.id)")
    assert len(ids) == len(set(ids))
    assert opened.requests == [report_page.as_uri()] and opened.errors == []


@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_sticks_out(report_page: Path, browser_page: Callable[..., Any], width: int) -> None:
    opened = browser_page(report_page, width=width)
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= width
    assert opened.page.evaluate("document.body.scrollWidth") <= width
    if width == 1280:
        inside, outside = opened.page.locator("#systems").evaluate(
            "one => [one.scrollWidth, one.parentNode.clientWidth]"
        )
        assert inside <= outside, "the table does not fit a laptop"


def test_the_table_is_sorted_by_its_heads(report_page: Path, browser_page: Callable[..., Any]) -> None:
    page = browser_page(report_page).page
    column = "[...document.querySelectorAll('#systems tbody tr')].map(row => row.cells[{}].dataset.value)"
    head = page.locator("#systems thead th").nth(6)
    head.locator("button").focus()
    page.keyboard.press("Enter")
    *numbers, last = page.evaluate(column.format(6))
    assert head.get_attribute("aria-sort") == "ascending"
    assert [float(each) for each in numbers] == sorted(float(each) for each in numbers)
    assert last == "", "the baseline, which has no p, comes last"
    page.keyboard.press("Enter")
    assert page.evaluate(column.format(6))[:-1] == numbers[::-1]
    page.locator("#systems thead th").nth(0).locator("button").click()
    assert page.evaluate(column.format(0)) == list("123456")


def test_dark_and_on_paper(report_page: Path, browser_page: Callable[..., Any], tmp_path: Path) -> None:
    page = browser_page(report_page, color_scheme="dark").page
    background = "getComputedStyle(document.querySelector('{}')).backgroundColor"
    assert page.evaluate(background.format("body")) == "rgb(20, 23, 26)"
    assert page.evaluate(background.format("#figure-ranking .card")) == "rgb(255, 255, 255)"
    page.pdf(path=tmp_path / "report.pdf", format="A4")
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF-")
    page.emulate_media(media="print")
    assert page.evaluate(background.format("body")) == "rgb(255, 255, 255)"


def test_without_scripts(report_page: Path, browser_page: Callable[..., Any]) -> None:
    opened = browser_page(report_page, java_script_enabled=False)
    assert opened.page.locator("#systems tbody tr").count() == 6
    assert opened.page.locator("#systems thead button").count() == 0
