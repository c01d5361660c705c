"""No pattern and no finder runs unbounded on a text, whatever is in it. The work is reckoned or counted, not timed."""

from __future__ import annotations

import importlib
import pkgutil
import random
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from re import _constants as sre  # type: ignore[attr-defined]
from re import _parser  # type: ignore[attr-defined]
from typing import Any

import pytest

from noria import feedback
from noria.feedback.bounded import REACH, WINDOW, matches
from noria.feedback.names import whole
from noria.feedback.scrub import FINDERS, find

MOST_WAYS = 10_000  # +111111111111 had 10**12 of them in the pattern that once froze the server
SECONDS = 60  # of CPU; all texts together take about two, and one that a pattern backtracks on takes hours
MIXED = [
    *"019+-.,:;()[]{}<>/\\@#%'\"_xafAZéß中\u00a0\n\t ",
    *("12", "1234", "00", "GB12", "DE89", "4111", "call ", "tel ", "ext ", "Apt ", "P.O. Box ", "Via ", "ul. "),
    *("Street", "strasse ", "address for ", "lives at ", "born ", "DOB: ", "May ", "licence no. ", "zip ", "http://"),
    *(
        "www.",
        "a.com/",
        "a.b@",
        "::",
        "1.2.3.4",
        "+1 (0)8 ",
        "SW1A 1AA ",
        "Aa ",
        "USS ",
        "APO AE ",
        "  ",
        "- ",
        "de la ",
    ),
]
FUZZ = """
import sys
from noria.feedback.scrub import FINDERS
for text in sys.stdin.read().split(chr(1)):
    for kind, finder in FINDERS.items():
        if kind != "NAME":
            for start, end in finder(text):
                assert 0 <= start < end <= len(text), (kind, text[:80])
print("done")
"""


def patterns() -> Iterator[tuple[str, re.Pattern[str]]]:
    """Every compiled pattern in the room."""
    for module in pkgutil.iter_modules(feedback.__path__, "noria.feedback."):
        for name, value in vars(importlib.import_module(module.name)).items():
            if isinstance(value, re.Pattern):
                yield f"{module.name}.{name}", value


def test_what_reckons_knows_a_bad_pattern() -> None:
    for bad in (r"(?:[ -]?\(?\d{1,6}\)?){2,6}", r"(?:a|ab|b){1,20}", r"\w+x", r"(?:\d*,)*"):
        assert ways(re.compile(bad)) > MOST_WAYS, bad
    assert ways(re.compile(r"(?:[ -]?+\d{1,6}+){2,6}")) == 5 and ways(re.compile("yes|no|nay")) == 2
    assert width(re.compile(r"a{2,5}(?=bc|\d{7})")) == 12 and width(re.compile("a++")) > REACH


@pytest.mark.parametrize(("name", "pattern"), [pytest.param(*each, id=each[0]) for each in patterns()])
def test_every_pattern_is_bounded(name: str, pattern: re.Pattern[str]) -> None:
    assert ways(pattern) <= MOST_WAYS
    assert width(pattern) <= REACH


def test_texts_are_only_searched_through_windows() -> None:
    sources = {path.name: path.read_text(encoding="utf-8") for path in Path(feedback.__path__[0]).glob("*.py")}
    assert [name for name, source in sources.items() if "finditer(" in source] == ["bounded.py"]
    assert len(list(patterns())) > 20 and len(FINDERS) >= 12


def fuzzed() -> list[str]:
    """The text that froze the server, each piece again and again, and pieces mixed at random."""
    draw = random.Random(0)
    texts = [("+" + "1" * 60 + " ") * 400, *(piece * (3000 // len(piece)) for piece in MIXED)]
    for _ in range(80):
        few = draw.choices(MIXED, k=draw.randint(2, 6))
        texts.append("".join(draw.choices(few, k=1500)))
    return texts


def test_no_text_makes_a_finder_try_for_long() -> None:
    limited = f"import resource; resource.setrlimit(resource.RLIMIT_CPU, ({SECONDS}, {SECONDS}))\n{FUZZ}"
    done = subprocess.run([sys.executable, "-c", limited], input="\1".join(fuzzed()), capture_output=True, text=True)
    assert done.stdout == "done\n", f"status {done.returncode}: {done.stderr[-2000:]}"


def test_windows_change_nothing_that_is_found() -> None:
    pattern = re.compile(r"(?<![\w-])a{1,50}b\b")
    draw = random.Random(1)
    text = "".join("a" * draw.randint(0, 60) + draw.choice(["b", "b ", " ", "-", "bb"]) for _ in range(2000))
    assert len(text) > 5 * WINDOW
    assert [match.span() for match in matches(pattern, text)] == [match.span() for match in pattern.finditer(text)]


def test_what_lies_across_a_window_is_found_as_elsewhere() -> None:
    pieces = (
        "ada@example.org, +1-984-182-0190, 12 Crown Street, http://example.org/a/b?c, born on 7/30/1964; zip 90210\n"
    )
    kinds = ["EMAIL", "PHONE", "ADDRESS", "URL", "BIRTH", "POSTCODE"]
    for shift in range(0, len(pieces), 7):
        text = "." * shift + "\n" + pieces * 100
        assert [span.kind for span in find(text, [kind for kind in FINDERS if kind != "NAME"])] == kinds * 100


def test_a_long_address_goes_to_its_end() -> None:
    text = "see https://example.org/" + "a" * 3 * WINDOW + ". Fine."
    [span] = find(text, ["URL"])
    assert text[span.start : span.end].endswith("aaa") and text[span.end :] == ". Fine."


def test_names_in_one_long_word_are_looked_at_once() -> None:
    """Each token of a word without spaces would be widened to the whole word, a character at a time."""

    class Counted(str):
        looks = 0

        def __getitem__(self, key):  # type: ignore[no-untyped-def]
            Counted.looks += 1
            return str.__getitem__(self, key)

    text = Counted("中" * 4000)
    assert whole(text, [(place, place + 1) for place in range(4000)]) == [(0, 4000)]
    assert Counted.looks < 10 * 4000


# In how many ways a pattern may match from one place, at the very most: what bounds the work of `re`. Reckoned from the
# parsed pattern: a repetition that gives back multiplies, one that is possessive (`{1,5}+`) or atomic does not, and of
# alternatives only those count that may begin with the same character.

EVERY = frozenset(range(0x250)) | {0x3A9, 0x20AC, 0x1F600}  # characters that stand for all
CATEGORIES = {
    sre.CATEGORY_DIGIT: str.isdecimal,
    sre.CATEGORY_SPACE: str.isspace,
    sre.CATEGORY_WORD: lambda char: char.isalnum() or char == "_",
}


def ways(pattern: re.Pattern[str]) -> float:
    """An upper bound; infinite where a repetition that gives back has no end."""
    return _ways(_parser.parse(pattern.pattern, pattern.flags), _folds(pattern.flags))


def width(pattern: re.Pattern[str]) -> float:
    """How many characters a match and what it looks ahead at have at most."""
    return _width(_parser.parse(pattern.pattern, pattern.flags))


def _folds(flags: int) -> bool:
    return bool(flags & re.IGNORECASE)


def _ways(parsed: Any, folds: bool) -> float:
    total = 1.0
    for kind, value in parsed:
        if kind is sre.SUBPATTERN:
            _, on, _, inner = value
            total *= _ways(inner, folds or bool(on & re.IGNORECASE))
        elif kind is sre.BRANCH:
            total *= _of_branch(value[1], folds)
        elif kind in (sre.MAX_REPEAT, sre.MIN_REPEAT):
            least, most, inner = value
            each = _ways(inner, folds)
            if most == sre.MAXREPEAT:
                return float("inf")
            total *= most - least + 1 if each == 1 else sum(each**count for count in range(least, most + 1))
    return total


def _of_branch(branches: list[Any], folds: bool) -> float:
    first = [(_first(branch, folds), _ways(branch, folds)) for branch in branches]
    return max(sum(each for chars, each in first if char in chars) for char in EVERY)


def _first(parsed: Any, folds: bool) -> frozenset[int]:
    """The characters with which it may begin; all of them where it may be empty."""
    found: frozenset[int] = frozenset()
    for kind, value in parsed:
        optional = False
        if kind is sre.LITERAL:
            chars = _folded({value}, folds)
        elif kind is sre.IN:
            chars = _folded(_members(value), folds)
        elif kind is sre.SUBPATTERN:
            chars = _first(value[3], folds or bool(value[1] & re.IGNORECASE))
            optional = value[3].getwidth()[0] == 0
        elif kind is sre.ATOMIC_GROUP:
            chars, optional = _first(value, folds), value.getwidth()[0] == 0
        elif kind is sre.BRANCH:
            chars = frozenset().union(*(_first(branch, folds) for branch in value[1]))
            optional = any(branch.getwidth()[0] == 0 for branch in value[1])
        elif kind in (sre.MAX_REPEAT, sre.MIN_REPEAT, sre.POSSESSIVE_REPEAT):
            chars, optional = _first(value[2], folds), value[0] == 0 or value[2].getwidth()[0] == 0
        elif kind in (sre.AT, sre.ASSERT, sre.ASSERT_NOT):
            continue
        else:
            return EVERY
        found |= chars
        if not optional:
            return found
    return EVERY


def _members(items: Any) -> set[int]:
    negated, found = False, set()
    for kind, value in items:
        if kind is sre.NEGATE:
            negated = True
        elif kind is sre.LITERAL:
            found.add(value)
        elif kind is sre.RANGE:
            found |= {code for code in EVERY if value[0] <= code <= value[1]}
        else:
            name = str(value).replace("NOT_", "")
            holds = CATEGORIES[getattr(sre, name)]
            found |= {code for code in EVERY if holds(chr(code)) == (str(value) == name)}
    return set(EVERY) - found if negated else found


def _folded(chars: set[int], folds: bool) -> frozenset[int]:
    if not folds:
        return frozenset(chars)
    return frozenset(
        ord(other) for code in chars for other in (chr(code).lower(), chr(code).upper()) if len(other) == 1
    )


def _width(parsed: Any) -> float:
    """The longest match, and as much more as the assertions in it look ahead."""
    ahead = sum(_width(inner) for inner in _looks_ahead(parsed))
    longest = parsed.getwidth()[1]
    return float("inf") if longest >= sys.maxsize // 2 or longest >= sre.MAXREPEAT else longest + ahead


def _looks_ahead(parsed: Any) -> list[Any]:
    found = []
    for kind, value in parsed:
        if kind in (sre.ASSERT, sre.ASSERT_NOT) and value[0] > 0:
            found.append(value[1])
        elif kind is sre.SUBPATTERN:
            found += _looks_ahead(value[3])
        elif kind is sre.ATOMIC_GROUP:
            found += _looks_ahead(value)
        elif kind is sre.BRANCH:
            found += [inner for branch in value[1] for inner in _looks_ahead(branch)]
        elif kind in (sre.MAX_REPEAT, sre.MIN_REPEAT, sre.POSSESSIVE_REPEAT):
            found += _looks_ahead(value[2])
    return found
