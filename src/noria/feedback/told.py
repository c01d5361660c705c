"""Numbers that are personal because the words before them say so: dates of birth, licences, identity papers, postcodes.

A date, or a number of five digits, says nothing by itself: reviews are full of them. So each finder looks for what may
be such a number, and takes it only where the words right before it say that it is one. The postcodes of some countries
have a form that nothing else has.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from noria.feedback.bounded import matches

NEAR = 60  # characters before a number in which a word may say what it is

MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?)"
)
DAY = r"\d{1,2}(?:st|nd|rd|th|\.|er)?"
LETTERS = r"[^\W\d_]{3,12}+"  # a month in any language
DATE = re.compile(
    r"(?<![\w/.-])(?i:"
    r"\d{1,2}+ ?[./-] ?\d{1,2}+ ?[./-] ?(?:\d{4}|'?\d{2})"  # 7/30/1964, 14. 1. 61
    r"|\d{4}[./-]\d{1,2}+[./-]\d{1,2}"  # 1964-07-30
    rf"|{DAY},? (?:(?:of|de|of the) )?{LETTERS}\.?,? (?:(?:de|del) )?\d{{4}}"  # 14 January 1961, 3 de mayo de 1970
    rf"|{LETTERS}\.? {DAY},? \d{{4}}"  # January 14th, 1961
    rf"|{DAY} (?:of )?{MONTH}\b|{MONTH}\.? {DAY}"  # May 3rd
    r")(?![\w/-]|[.,:]\d)"
)
BIRTH = re.compile(
    r"\b(?:date of birth|birth ?-?(?:date|day)|d\.?o\.?b|born|geboren|geb|geburts(?:datum|tag)|née?|naissance|nacid[oa]"
    r"|nacimiento|nat[oa]|nascita|geboortedatum)\b[^\d\n]{0,35}\n?$",
    re.IGNORECASE,
)
# Letters and digits, with a digit among the first ones; what follows after a space has digits alone.
NUMBER = re.compile(
    r"(?<![\w/.-])(?=[A-Za-z]{0,8}+-?\d)[A-Za-z0-9](?:[-*/]?+[A-Za-z0-9]){1,19}+(?: \d{2,6}+){0,4}+(?![\w/])"
)
PAPERS = re.compile(
    r"\b(?:(?:driv(?:er|ing)(?:['\u2019]?s)?['\u2019]? |medical |pilot |professional |gun |firearms )licen[cs]e"
    r"|licen[cs]e (?=number|no\b|nr|num|id|plate|#|:)|licen[cs]e(?=:)|driv(?:er|ing) permit|permis de conduire"
    r"|f\u00fchrerschein|permiso de conducir|patente di guida|rijbewijs|(?-i:DL)(?= ?(?:#|no\b|num|:))"
    r"|(?:licen[cs]e|number|registration) plate|passport|passeport|reisepass|pasaporte|identity card|ID card|ID number"
    r"|national id|personalausweis|(?-i:DNI)|national insurance|NHS number|tax (?:id|number)|tax file number"
    r"|social insurance|(?:bank )?account (?=number|no\b|nr|#|:)|sort code|routing number|medicare"
    r"|(?:member|patient|employee|student) id)"
    r"\b[^\d\n.;!?]{0,25}(?:\bno\.[ \u00a0]?)?\n?$",
    re.IGNORECASE,
)
STATES = r"A[KLRZ]|C[AOT]|D[CE]|FL|GA|HI|I[ADLN]|K[SY]|LA|M[ADEINOST]|N[CDEHJMVY]|O[HKR]|P[AR]|RI|S[CD]|T[NX]|UT"
STATES += r"|V[AT]|W[AIVY]"
# SW1A 1AA, K1A 0B1, IL 62704, 62704-1234
FORMED = re.compile(
    r"(?<![\w$\u20ac\u00a3./,-])(?:"
    r"(?:[A-PR-UWYZ][A-HK-Y]?\d[\dA-HJKPSTUW]?|GIR) \d[ABD-HJLNP-UW-Z]{2}"
    r"|[ABCEGHJ-NPRSTVXY]\d[ABCEGHJ-NPRSTV-Z] \d[ABCEGHJ-NPRSTV-Z]\d"
    rf"|(?:{STATES})[ \u00a0]{{1,2}}\d{{5}}(?:-\d{{4}})?"
    r"|\d{5}-\d{4}"
    r")(?![\w/-]|[.,]\d)"
)
POSTCODE = re.compile(
    r"(?<![\w$\u20ac\u00a3./,-])(?:(?:[A-Z]{1,2}-?)?\d{3,7}+(?:[ -]\d{2,4}+)?(?: ?[A-Z]{2})?"
    r"|[A-Za-z]{1,2}\d[\dA-Za-z]? ?\d[A-Za-z]{2}|[A-Za-z]\d[A-Za-z] ?\d[A-Za-z]\d)(?![\w/]|[.,-]\d)"
)
POST = re.compile(
    r"\b(?:(?:zip ?-?code|post ?-?code|postal code|postleitzahl|plz|code postal|c[o\u00f3]digo postal|postnummer|postnr"
    r"|pin ?code|eircode)\b[^\d\n.;!?]{0,20}\n?|(?:zip|(?-i:CAP))[:#= ]{1,3})$",
    re.IGNORECASE,
)


def births(text: str) -> Iterator[tuple[int, int]]:
    """Where dates of birth begin and end. A year alone is none."""
    return _told(text, DATE, BIRTH)


def papers(text: str) -> Iterator[tuple[int, int]]:
    """Where numbers of licences, passports, plates and accounts begin and end."""
    for start, end in _told(text, NUMBER, PAPERS):
        written = text[start:end]
        if sum(map(str.isdecimal, written)) >= 4 and sum(map(str.isalnum, written)) >= 5:  # no year
            yield start, end


def postcodes(text: str) -> Iterator[tuple[int, int]]:
    """Where postcodes begin and end that stand alone, without a street."""
    for match in matches(FORMED, text):
        yield match.span()
    yield from _told(text, POSTCODE, POST)


def _told(text: str, pattern: re.Pattern[str], before: re.Pattern[str]) -> Iterator[tuple[int, int]]:
    for match in matches(pattern, text):
        start, end = match.span()
        if before.search(text, max(0, start - NEAR), start):
            yield start, end
