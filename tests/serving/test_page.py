"""The page at /, clicked in a headless Chromium."""

from __future__ import annotations

import re
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest

from noria.feedback.store import Store


@contextmanager
def opened(browser, served):
    """The page, opened; all that the browser asks for stays with the server, and no script fails."""
    page = browser.new_page()
    asked, failed = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: failed.append(str(error)))
    page.on("console", lambda message: failed.append(message.text) if message.type == "error" else None)
    page.goto(served.url)
    yield page
    # a browser notes each answer that is no success as an error
    assert not [text for text in failed if "the server responded with a status of 4" not in text]
    assert {urlsplit(url).netloc for url in asked if not url.startswith("data:")} == {urlsplit(served.url).netloc}
    page.close()


@pytest.fixture
def page(browser, served):
    with opened(browser, served) as page:
        yield page


def ask(page, text: str) -> str:
    """The label that is shown."""
    page.get_by_label("Text", exact=True).fill(text)
    page.get_by_role("button", name="Ask").click()
    page.locator("#answer").wait_for()
    page.locator("#send:enabled").wait_for()
    return page.locator("#label").inner_text()


def corrections(served) -> dict[str, tuple[str | None, bool]]:
    """By text, what was said last: the label that is right, where that is known, and whether the answer was."""
    store = Store(re.search(r"feedback: (sqlite:///\S+)", served.said())[1])
    found = list(store.corrections())
    store.close()
    return {
        row.prediction.request["text"]: (row.prediction.answer["label"] if row.correct else row.correction, row.correct)
        for row in found
    }


def test_a_text_its_bars_and_its_version(page, served, fitted):
    label = ask(page, "superb acting, great fun")
    assert label in ("good", "bad")
    bars = page.locator("#bars li")
    assert bars.count() == 2
    shares = [float(re.search(r"([\d.]+) %", text)[1]) for text in bars.all_inner_texts()]
    assert sum(shares) == pytest.approx(100, abs=0.2) and shares == sorted(shares, reverse=True)
    assert label in bars.first.inner_text() and bars.first.get_attribute("class") == "best"
    widths = [bar.bounding_box()["width"] for bar in page.locator(".bar").all()]
    page.wait_for_timeout(400)  # they grow
    widths = [bar.bounding_box()["width"] for bar in page.locator(".bar").all()]
    assert widths[0] > widths[1] > 0
    assert page.locator("#version").inner_text() == fitted.name
    assert f"serving {fitted.name}" in page.locator("#serving").inner_text()
    assert page.locator("#cut").is_hidden()


def test_right_wrong_and_what_it_should_be(page, served):
    first = ask(page, "a page says right")
    page.get_by_role("button", name="Right").click()
    page.get_by_text("noted as right").wait_for()
    assert page.get_by_role("button", name="Right").is_disabled(), "once is enough"

    second = ask(page, "a page says wrong")
    page.get_by_role("button", name="Wrong").click()
    page.get_by_text("noted as wrong").wait_for()

    third = ask(page, "a page says what it should be")
    other = {"good": "bad", "bad": "good"}
    assert page.get_by_label("It should be").first.evaluate("e => [...e.options].map(o => o.value)") == [other[third]]
    page.get_by_role("button", name="Send").click()
    page.get_by_text(f"noted that it should be {other[third]}").wait_for()

    said = corrections(served)
    assert said["a page says right"] == (first, True)
    assert said["a page says wrong"] == (other[second], False)
    assert said["a page says what it should be"] == (other[third], False)


def test_of_three_labels_wrong_alone_will_do_and_which_may_be_said_after_it(browser, three):
    with opened(browser, three) as page:
        ask(page, "a page says right of three")
        page.get_by_role("button", name="Right").click()
        page.get_by_text("noted as right").wait_for()
        assert page.get_by_role("button", name="Send").is_disabled()

        label = ask(page, "a page says wrong of three")
        page.get_by_role("button", name="Wrong").click()
        page.get_by_text("noted as wrong. If you know what it should be, say so.").wait_for()
        assert corrections(three)["a page says wrong of three"] == (None, False)
        assert page.get_by_role("button", name="Wrong").is_disabled()
        assert page.get_by_role("button", name="Right").is_disabled()
        assert page.evaluate("document.activeElement.id") == "other"
        others = page.locator("#other").evaluate("e => [...e.options].map(o => o.value)")
        assert sorted([label, *others]) == ["bad", "fair", "good"]
        page.locator("#other").select_option(others[1])
        page.get_by_role("button", name="Send").click()
        page.get_by_text(f"noted that it should be {others[1]}").wait_for()
        assert corrections(three)["a page says wrong of three"] == (others[1], False)
        assert page.get_by_role("button", name="Send").is_disabled()

        ask(page, "a page asks again")
        assert page.get_by_role("button", name="Wrong").is_enabled() and page.locator("#thanks").inner_text() == ""


def test_by_keyboard_alone(page):
    page.keyboard.type("fun " * 60)  # the text has the focus
    page.keyboard.press("Control+Enter")
    page.locator("#answer").wait_for()
    assert page.locator("#cut").is_visible(), "and that it was cut is said"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "send"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "right"
    page.keyboard.press("Enter")
    page.get_by_text("noted as right").wait_for()


def test_what_is_wrong_is_shown(page):
    page.get_by_label("Text", exact=True).fill("   ")
    page.get_by_role("button", name="Ask").click()
    page.get_by_role("alert").get_by_text("text is empty").wait_for()
    assert page.locator("#answer").is_hidden()


def test_markup_stays_text(page):
    ask(page, "<img src=x onerror=document.title='bad'>")
    assert page.title() == "Noria: ask the model"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_in_light_and_dark(browser, served, scheme):
    context = browser.new_context(viewport={"width": 320, "height": 640}, color_scheme=scheme)
    page = context.new_page()
    page.goto(served.url)
    ask(page, "averylongwordwithoutanyspace" * 12)
    assert page.evaluate("document.documentElement.scrollWidth") <= 320, "nothing sticks out"
    for button in page.get_by_role("button").all():
        assert button.bounding_box()["height"] >= 44, "a thumb finds it"
    ink, paper = (page.evaluate(f"getComputedStyle(document.body).{name}") for name in ("color", "backgroundColor"))
    assert contrast(ink, paper) > 7
    for selector in (".soft", "button.main", "#right", "#version"):
        one = page.locator(selector).first
        own = one.evaluate("e => getComputedStyle(e).color")
        ground = one.evaluate(GROUND)
        assert contrast(own, ground) >= 4.5, selector
    context.close()


MANY = """([names, label]) => show("a version", {
  label, probabilities: Object.fromEntries(names.map((name, place) => [name, 1 / (place + 2)])), truncated: false,
})"""


@pytest.mark.parametrize("width", [320, 390, 1000])
def test_many_and_long_labels_break_nothing(browser, served, width):
    """The page's own `show` with the answer of a model of 77 labels."""
    names = ["averylonglabelwithoutanyspace" * 10, "a label of very many words " * 12]
    names += [f"why_is_my_card_payment_not_recognised_{place}" for place in range(75)]
    page = browser.new_page(viewport={"width": width, "height": 800})
    page.goto(served.url)
    page.get_by_text("serving ").wait_for()
    for label in (names[0], names[1], names[:30]):
        page.evaluate(MANY, [names, label])
        assert page.locator("#bars li").count() == 5, "the likely ones, and the buttons in reach"
        assert page.evaluate("document.documentElement.scrollWidth") <= width, "nothing sticks out"
        card = page.locator("#answer").bounding_box()
        for box in (page.locator(place).bounding_box() for place in ("#other", "#say", "#all", "#right", "#label")):
            assert box["x"] >= card["x"] and box["x"] + box["width"] <= card["x"] + card["width"]
        assert page.locator("#label").bounding_box()["height"] < 200
    page.get_by_role("button", name="Show all 77 labels").click()
    assert page.locator("#bars li").count() == 77
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.get_by_role("button", name="Show the first 5").click()
    assert page.locator("#bars li").count() == 5
    page.evaluate(MANY, [names[:6], names[0]])
    assert page.locator("#bars li").count() == 6 and page.locator("#all").is_hidden()
    page.close()


# The first background behind an element that is not see-through.
GROUND = """e => { for (; e; e = e.parentElement) {
  const colour = getComputedStyle(e).backgroundColor;
  if (!colour.endsWith(", 0)")) return colour;
} }"""


def contrast(one: str, other: str) -> float:
    """As WCAG reckons it."""

    def light(colour: str) -> float:
        parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    bright, dark = sorted((light(one), light(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)
