"""Takes personal data out of a text: what has a form of its own or is said to be such, and names where a classifier is
installed.

E-mail, web, street and IP addresses, phone and card numbers, IBAN, US social security numbers, dates of birth, numbers
of licences and identity papers, postcodes. No work grows faster than the text: see `bounded`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from noria.feedback.addresses import addresses
from noria.feedback.bounded import matches
from noria.feedback.names import HINT, LIMIT, names, opened
from noria.feedback.numbers import SSN, cards, ibans, ips
from noria.feedback.numbers_in_context import births, papers, postcodes
from noria.feedback.phones import phones
from noria.feedback.urls import urls

DIGIT = re.compile(r"\d")
EMAIL = re.compile(r"(?<!\w)\w[\w.%+'-]{0,63}+@(?:[^\W_][\w-]{0,62}+\.){1,8}[^\W\d_]{2,24}+(?![\w-])")

# The first one to claim a piece of text has it: what a checksum or a form proves comes before what words around say.
FINDERS: dict[str, Callable[[str], Iterable[tuple[int, int]]]] = {
    "URL": lambda text: urls(text) if "." in text or "://" in text else (),
    "EMAIL": lambda text: (match.span() for match in matches(EMAIL, text)) if "@" in text else (),
    "IBAN": ibans,
    "CARD": cards,
    "IP": ips,
    "SSN": lambda text: (match.span() for match in matches(SSN, text)),
    "BIRTH": births,
    "ID": papers,
    "PHONE": phones,
    "ADDRESS": addresses,
    "POSTCODE": postcodes,
    "NAME": names,
}
IN_WORDS = {
    "EMAIL": "e-mail addresses",
    "URL": "web addresses",
    "IP": "IP addresses",
    "ADDRESS": "street addresses",
    "POSTCODE": "postcodes",
    "PHONE": "phone numbers",
    "CARD": "card numbers",
    "IBAN": "IBANs",
    "SSN": "US social security numbers",
    "ID": "numbers of licences and identity papers",
    "BIRTH": "dates of birth",
    "NAME": "names of people",
}
WITHOUT_DIGITS = ("URL", "EMAIL", "NAME")


@dataclass(frozen=True)
class Span:
    """A piece of a text, `text[start:end]`, that is personal data of a kind such as EMAIL."""

    start: int
    end: int
    kind: str

    @property
    def placeholder(self) -> str:
        """What is kept in its place."""
        return f"<{self.kind}>"


def personal(text: str) -> list[Span] | None:
    """All personal data in a text; None where it is longer than names are looked for in: it cannot be kept."""
    return None if len(text) > LIMIT and opened() else find(text)


def mask(text: str, spans: Iterable[Span]) -> str:
    """The text with `<EMAIL>`, `<CARD>` and so on, by the kinds above, for each of the spans, which are in order."""
    pieces, place = [], 0
    for span in spans:
        pieces += [text[place : span.start], span.placeholder]
        place = span.end
    return "".join([*pieces, text[place:]])


def scrub(text: str) -> str | None:
    """The text without its personal data; None where it cannot be kept."""
    spans = personal(text)
    return None if spans is None else mask(text, spans)


def coverage() -> str:
    """For people: what is taken out here, and whether names of people are.

    Raises:
        UserError: what finds names is installed and cannot be opened.
    """
    *kinds, last = [words for kind, words in IN_WORDS.items() if kind != "NAME"]
    said = f"without what is found of {', '.join(kinds)} and {last}"
    if opened():
        return f"{said}, and of {IN_WORDS['NAME']} (texts of more than {LIMIT:,} characters are not kept)"
    return f"{said}. {IN_WORDS['NAME'].capitalize()} STAY in them: {HINT} installs what finds those"


def find(text: str, kinds: Iterable[str] = tuple(FINDERS)) -> list[Span]:
    """Personal data of these kinds in a text, from its beginning to its end; no two pieces overlap."""
    found, taken = [], bytearray(len(text))
    has_digits = bool(DIGIT.search(text))
    for kind in kinds:
        if has_digits or kind in WITHOUT_DIGITS:
            for start, end in FINDERS[kind](text):
                if taken.find(1, start, end) < 0:
                    taken[start:end] = b"\1" * (end - start)
                    found.append(Span(start, end, kind))
    return sorted(found, key=lambda span: span.start)
