"""Numbers that prove themselves by a checksum or a structure: cards, IBAN, IP addresses, US social security."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

from noria.feedback.bounded import matches

# Twelve to nineteen digits in one piece, or in the groups that are printed on cards. A code of three digits may follow.
CARD = re.compile(
    r"(?<![\w.+])(?:\d{12,19}+|\d{4}(?P<gap>[ \u00a0-])\d{4}(?P=gap)\d{4}(?P=gap)\d{1,4}(?:(?P=gap)\d{3})?"
    r"|\d{4}(?P<gap2>[ \u00a0-])\d{6}(?P=gap2)\d{4,5})(?!\w)"
)
CARD_BEGINS = ("2", "3", "4", "5", "6", "1800")  # of all issuers; others are parcels, books and barcodes
IBAN = re.compile(r"(?<![^\W_])(?P<country>[A-Za-z]{2})\d{2}(?=[ \u00a0-]?[A-Za-z0-9])")
IBAN_REST = re.compile(r"(?:[ \u00a0-]?+[A-Za-z0-9]){11,30}+")
IPV4 = re.compile(r"(?<![\w.])(?<!version )(?:\d{1,3}+\.){3}\d{1,3}+(?!\w|\.\d)")
IPV6 = re.compile(
    r"(?<![\w:.])(?=[0-9A-Fa-f]{0,4}+:[0-9A-Fa-f]{0,4}+:)[0-9A-Fa-f:]{6,39}(?:(?<=:)(?:\d{1,3}+\.){3}\d{1,3}+)?(?![\w:])"
)
SSN = re.compile(r"(?<![\w-])(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\w-])")

# By country, how many characters an IBAN has.
IBAN_LENGTHS = {
    country: int(length)
    for length, countries in {
        15: "NO",
        16: "BE",
        18: "DK FO FI GL NL SD",
        19: "MK SI",
        20: "AT BA EE KZ LT LU XK",
        21: "CH HR LI LV",
        22: "BG BH CR DE GB GE IE ME RS VA",
        23: "AE GI IL IQ OM SO TL",
        24: "AD CZ DZ ES MD PK RO SA SE SK TN VG",
        25: "LY PT ST",
        26: "IS TR",
        27: "BI DJ FR GR IT MC MR SM",
        28: "AL AZ BY CY DO GT HN HU LB NI PL SV",
        29: "BR EG PS QA UA",
        30: "JO KW MU YE",
        31: "MT SC",
        32: "LC",
        33: "RU",
    }.items()
    for country in countries.split()
}


def cards(text: str) -> Iterator[tuple[int, int]]:
    """Where card numbers begin and end: those with a right Luhn checksum."""
    for match in matches(CARD, text):
        written = match[0]
        for candidate in (written, re.sub(r"\D\d{3}$", "", written)):  # the second without a code at the end
            digits = re.sub(r"\D", "", candidate)
            if 12 <= len(digits) <= 19 and digits.startswith(CARD_BEGINS) and luhn(digits):
                yield match.start(), match.start() + len(candidate)
                break


def ibans(text: str) -> Iterator[tuple[int, int]]:
    """Where IBANs begin and end: those with their country's length and a right checksum."""
    for match in matches(IBAN, text):
        length = IBAN_LENGTHS.get(match["country"].upper(), 0)
        rest = IBAN_REST.match(text, match.end())
        places = [place for place in range(*rest.span()) if text[place].isalnum()] if rest else []
        if not 4 < length <= 4 + len(places):
            continue
        end = places[length - 5] + 1
        is_whole = not text[end : end + 1].isalnum()
        if is_whole and mod_97("".join(filter(str.isalnum, text[match.start() : end]))):
            yield match.start(), end


def ips(text: str) -> Iterator[tuple[int, int]]:
    """Where IP addresses of either version begin and end."""
    for pattern in (IPV4, IPV6):
        for match in matches(pattern, text):
            try:
                ipaddress.ip_address(match[0])
            except ValueError:
                continue
            yield match.span()


def luhn(digits: str) -> bool:
    """Whether the last digit is the checksum of the others (ISO/IEC 7812)."""
    values = [int(digit) for digit in reversed(digits)]
    return (sum(values[::2]) + sum(sum(divmod(2 * value, 10)) for value in values[1::2])) % 10 == 0


def mod_97(iban: str) -> bool:
    """Whether the checksum of an IBAN without spaces is right (ISO 13616)."""
    return int("".join(str(int(char, 36)) for char in iban[4:] + iban[:4])) % 97 == 1
