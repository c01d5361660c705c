"""Takes personal data out of a text: what has a form of its own, and names where a classifier is installed.

E-mail addresses, phone and card numbers, IBAN, IP and street addresses, US social security numbers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from noria.feedback.addresses import addresses
from noria.feedback.names import names
from noria.feedback.numbers import SSN, cards, ibans, ips
from noria.feedback.phones import phones

DIGIT = re.compile(r"\d")
EMAIL = re.compile(r"(?<!\w)\w[\w.%+'-]{0,63}@(?:[^\W_][\w-]{0,62}\.){1,8}[^\W\d_]{2,24}(?![\w-])")

# The first one to claim a piece of text has it: what a checksum proves comes before what only looks like something.
FINDERS: dict[str, Callable[[str], Iterable[tuple[int, int]]]] = {
    "EMAIL": lambda text: (match.span() for match in EMAIL.finditer(text)) if "@" in text else (),
    "IBAN": ibans,
    "CARD": cards,
    "IP": ips,
    "SSN": lambda text: (match.span() for match in SSN.finditer(text)),
    "PHONE": phones,
    "ADDRESS": addresses,
    "NAME": names,
}
WITHOUT_DIGITS = ("EMAIL", "NAME")


@dataclass(frozen=True)
class Span:
    """A piece of a text, `text[start:end]`, that is personal data of a kind such as EMAIL."""

    start: int
    end: int
    kind: str


def scrub(text: str) -> str:
    """The text with `<EMAIL>`, `<CARD>` and so on, by the kinds below, for each piece of personal data in it."""
    pieces, place = [], 0
    for span in find(text):
        pieces += [text[place : span.start], f"<{span.kind}>"]
        place = span.end
    return "".join([*pieces, text[place:]])


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
