"""Numbers that are personal because the words around them say so: dates of birth, licences, identity papers, postcodes.

A date, or a number of five digits, says nothing by itself: reviews are full of them. So each finder looks for what may
be such a number, and takes it only where the words right before or behind it say that it is one. The postcodes of some
countries have a form that nothing else has.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from noria.feedback.bounded import matches

NEAR = 60  # characters before and behind a number in which words may say what it is
START = r"(?<![^\W_])"  # of a word, also behind an underscore
# What may stand between a number and the words behind it: 7/30/1964 is my birthday
IS = r"^[ \t]{0,2}(?:,? ?(?:is|was|as) (?:my|his|her|our|their|your|the) |[(\[] ?)"

MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?)"
)
DAY = r"\d{1,2}(?:st|nd|rd|th|\.|er)?"
LETTERS = r"[^\W\d_]{3,12}+"  # a month in any language
DATE = re.compile(
    r"(?<![\w/.-])(?i:"
    r"\d{1,2}+ ?[./-] ?\d{1,2}+ ?[./-] ?(?:\d{4}|'?\d{2})"  # 7/30/1964, 14. 1. 61
    r"|\d{4}[./-]\d{1,2}+[./-]\d{1,2}(?:T[\d:.]{2,15}+Z?)?"  # 1964-07-30
    r"|(?:19|20)\d\d(?:0\d|1[012])[0-3]\d"  # 19640730
    rf"|\d{{1,2}}[- ]?{MONTH}[- ]?\d{{2,4}}"  # 30-Jul-1964, 30JUL64
    rf"|{DAY},? (?:(?:of|de|of the) )?{LETTERS}\.?,? (?:(?:de|del) )?\d{{4}}"  # 14 January 1961, 3 de mayo de 1970
    rf"|{LETTERS}\.? {DAY},? \d{{4}}"  # January 14th, 1961
    rf"|{DAY} (?:of )?{MONTH}\b|{MONTH}\.? {DAY}"  # May 3rd
    r")(?![\w/-]|[.,:]\d)"
)
BORN = (
    r"(?:date[ _-]?of[ _-]?birth|birth[ _-]?(?:date|day)|d\.?o\.?b|born|geboren|geb|geburts(?:datum|tag)|née?|naissance"
    r"|nacid[oa]|nacimiento|nat[oa]|nascita|geboortedatum)\b"
)
BIRTH = re.compile(rf"(?:{START}{BORN}[^\d\n]{{0,35}}\n?|\bb\. ?)$", re.IGNORECASE)
BIRTH_BEHIND = re.compile(rf"{IS}{BORN}", re.IGNORECASE)
# Letters and digits, with a digit among the first ones; what follows after a space has digits alone.
NUMBER = re.compile(
    r"(?<![\w/.-])(?=[A-Za-z]{0,8}+-?\d)[A-Za-z0-9](?:[-*/]?+[A-Za-z0-9]){1,19}+(?: \d{2,6}+){0,4}+(?![\w/])"
)
YEARS = re.compile(r"\d{4}(?:s|-\d{2,4})?")
PAPER = (
    r"(?:(?:driv(?:er|ing)(?:['\u2019]?s)?['\u2019]? |medical |pilot |professional |gun |firearms )licen[cs]e"
    r"|licen[cs]e (?=number|no\b|nr|num|id|plate|#|:)|licen[cs]e(?=:)|(?:my|his|her|their) licen[cs]e is|lic\. ?no\b"
    r"|driv(?:er|ing) permit|permis\b|f\u00fchrerschein|permiso de conducir|patente di guida|rijbewijs"
    r"|(?-i:DL)(?= ?(?:#|no\b|num|:))|(?:licen[cs]e|number|registration) plate|passport|passeport|reisepass|pasaporte"
    r"|identity card|ID card|ID number|national id|personalausweis|(?-i:DNI)|national insurance|NHS number"
    r"|social security(?= (?:number|no\b|num|is\b|#)|:)|SSN\b"
    r"|tax (?:id|number)|tax file number|social insurance|(?:bank )?account (?=number|no\b|nr|#|:)|sort code"
    r"|routing number|medicare|(?:member|patient|employee|student) id)"
)
PAPERS = re.compile(rf"{START}{PAPER}[^\d\n.;!?]{{0,25}}(?:(?<=no)\.[ \u00a0]?)?\n?$", re.IGNORECASE)
PAPERS_BEHIND = re.compile(rf"{IS}{PAPER}", re.IGNORECASE)
STATES = r"A[KLRZ]|C[AOT]|D[CE]|FL|GA|HI|I[ADLN]|K[SY]|LA|M[ADEINOST]|N[CDEHJMVY]|O[HKR]|P[AR]|RI|S[CD]|T[NX]|UT"
STATES += r"|V[AT]|W[AIVY]"
STATE_NAMES = (
    r"Ala(?:bama|ska)|Arizona|Arkansas|California|Colorado|Connecticut|Delaware|Florida|Georgia|Hawaii|Idaho"
    r"|I(?:llinois|ndiana|owa)|Kansas|Kentucky|Louisiana|Ma(?:ine|ryland|ssachusetts)|Mi(?:chigan|nnesota|ss(?:issippi|ouri))"
    r"|Montana|Ne(?:braska|vada)|New (?:Hampshire|Jersey|Mexico|York)|(?:North|South) (?:Carolina|Dakota)|Ohio|Oklahoma"
    r"|Oregon|Pennsylvania|Rhode Island|Tennessee|Texas|Utah|Vermont|Virginia|Washington|Wisconsin|Wyoming"
)
UK_AREAS = (
    r"(?:A[BL]|B[ABDHLNRST]?|C[ABFHMORTVW]|D[ADEGHLNTY]|E[CHNX]?|F[KY]|G[LUY]?|H[ADGPRSUX]|I[GMPV]|JE|K[ATWY]|L[ADELNSU]?"
    r"|M[EKL]?|N[EGNPRW]?|O[LX]|P[AEHLOR]|R[GHM]|S[AEGKLMNOPRSTWY]?|T[ADFNQRSW]|UB|W[ACDFNRSV]?|YO|ZE)"
)
# SW1A 1AA, K1A 0B1, IL 62704, Texas 78701, NSW 2000, D-80331; in 80331 München
FORMED = re.compile(
    r"(?<![\w$\u20ac\u00a3./,-])(?:"
    rf"(?i:{UK_AREAS})\d[\dA-Za-z]?+ \d(?!nd|rd|st|th)(?i:[ABD-HJLNP-UW-Z]{{2}})"
    r"|[ABCEGHJ-NPRSTVXY]\d[ABCEGHJ-NPRSTV-Z] \d[ABCEGHJ-NPRSTV-Z]\d"
    rf"|(?:{STATES}|{STATE_NAMES}),?[ \u00a0]{{1,2}}\d{{5}}(?:-\d{{4}})?"
    r"|(?:NSW|QLD|VIC|TAS) \d{4}|(?:DE?|FR?|IT?|ES?)-\d{5}|(?:AT|CH|DK|NL)-\d{4}"
    r"|(?<=\bin )\d{5}(?= [A-Z][a-z\u00df-\u00ff]{2})"
    r")(?![\w/-]|[.,]\d)"
)
POSTCODE = re.compile(
    r"(?<![\w$\u20ac\u00a3./,-])(?:(?:[A-Z]{1,2}-?)?\d{3,7}+(?:[ -]\d{2,4}+)?(?: ?[A-Z]{2})?|\d{2}-\d{3}"
    r"|[A-Za-z]{1,2}\d[\dA-Za-z]? ?\d[A-Za-z]{2}|[A-Za-z]\d[A-Za-z] ?\d[A-Za-z]\d)(?![\w/]|[.,-]\d)"
)
POST_WORD = (
    r"(?:zip[ _-]?codes?|post[ _-]?code|postal[ _-]?code|postleitzahl|plz|code postal|c[o\u00f3]digo postal|postnummer"
    r"|postnr|pin ?code|eircode|kod pocztowy)\b"
)
POST = re.compile(
    rf"{START}(?:{POST_WORD}[^\d\n.;!?]{{0,20}}\n?|(?:zip(?: is| was)?|(?-i:CP|CEP|CAP|PIN))[:#= ]{{1,3}})$",
    re.IGNORECASE,
)
POST_BEHIND = re.compile(rf"{IS}{POST_WORD}", re.IGNORECASE)


def births(text: str) -> Iterator[tuple[int, int]]:
    """Where dates of birth begin and end. A year alone is none."""
    return _in_context(text, matches(DATE, text), BIRTH, BIRTH_BEHIND)


def papers(text: str) -> Iterator[tuple[int, int]]:
    """Where numbers of licences, passports, plates and accounts begin and end: four digits at least, and no years."""
    found = (match for match in matches(NUMBER, text) if sum(map(str.isdecimal, match[0])) >= 4)
    return _in_context(text, (match for match in found if not YEARS.fullmatch(match[0])), PAPERS, PAPERS_BEHIND)


def postcodes(text: str) -> Iterator[tuple[int, int]]:
    """Where postcodes begin and end that stand alone, without a street."""
    for match in matches(FORMED, text):
        yield match.span()
    yield from _in_context(text, matches(POSTCODE, text), POST, POST_BEHIND)


def _in_context(
    text: str, found: Iterator[re.Match[str]], before: re.Pattern[str], behind: re.Pattern[str]
) -> Iterator[tuple[int, int]]:
    """Those with such words right before or behind them."""
    for match in found:
        start, end = match.span()
        if before.search(text, max(0, start - NEAR), start) or behind.search(text[end : end + NEAR]):
            yield start, end
