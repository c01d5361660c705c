"""Phone numbers, with caution: years, prices, scores and ratings have digits too."""

from __future__ import annotations

import re
from collections.abc import Iterator

from noria.feedback.bounded import matches

# Digits are taken all at once (`{1,5}+`), and never given back one by one: a text of digits has very many partitions.
BEFORE, AFTER = r"(?<![\w./$€£¥+#-])(?<!\d[,:])", r"(?:\s?(?:x|ext\.?|extension)\s?\d{1,5}+)?(?![\w/%]|[.,:-]\d)"
GAP = r"[ \u00a0.-]"
ALONE = rf"(?<!\d{GAP})"  # not a later group of something else
GROUPS = rf"(?:\)?+{GAP}?+\(?+\d{{1,15}}+){{0,6}}\)?"  # what goes on from the digits of a country: (0)8 928 571 38
# Written as nothing but a phone number is.
SURE = re.compile(
    BEFORE
    + r"(?:"
    + rf"(?:\+\d{{1,15}}+|{ALONE}00[1-9]\d{{0,12}}+){GROUPS}"  # +46 (0)8 928 571 38
    + rf"|\(\d{{2,5}}+\)(?:{GAP}?+\d{{2,12}}+){{1,4}}"  # (898) 666-3621
    + rf"|(?:(?:001|\d{{1,2}}){GAP})?\d{{3}}(?P<nanp>[ \u00a0.-])\d{{3}}(?P=nanp)\d{{4}}"  # 905-674-3793
    + rf"|{ALONE}0[1-9]\d{{0,3}}+(?:{GAP}\d{{2,4}}+){{2,4}}"  # 0490 75 40 81
    + rf"|{ALONE}0[1-9]\d{{1,3}}+{GAP}\d{{6,8}}+"  # 0393 1144137
    + r"|\d\d(?P<pair>[.-])\d\d(?P=pair)\d\d(?P=pair)\d\d"  # 60-56-85-91
    + r")"
    + AFTER
)
# Groups of digits that are a phone number where the words around say so.
MAYBE = re.compile(rf"{BEFORE}\d{{2,11}}+(?:{GAP}\d{{2,7}}+){{0,4}}{AFTER}")
WORDS_BEFORE = re.compile(
    r"\b(?:(?:phone|telephone|tel|mobile|mob|cell|cellphone|fax|whatsapp|call|called|calling|ring|dial|text|sms"
    r"|messages?|answering|reach|(?:my|his|her|our|their|your|contact) number)\b[^\d\n.;!?]{0,25}\n?"
    r"|(?:office|desk|home|work): ?)$",
    re.IGNORECASE,
)
WORDS_AFTER = re.compile(r"^[ \t-]{1,3}\(?(?:office|fax|mobile|mob|cell|home|work|desk|phone)\b", re.IGNORECASE)
NEAR = 50  # characters around a number in which a word may say that it is one


def phones(text: str) -> Iterator[tuple[int, int]]:
    """Where phone numbers begin and end, the sure ones first; of pieces that overlap the first one counts."""
    for match in matches(SURE, text):
        if 8 <= _digits(match[0]) <= 20 and not _is_date(match[0]):
            yield match.span()
    for match in matches(MAYBE, text):
        start, end = match.span()
        if 7 <= _digits(match[0]) <= 12 and not _is_date(match[0]):
            before, after = text[max(0, start - NEAR) : start], text[end : end + NEAR]
            if WORDS_BEFORE.search(before) or WORDS_AFTER.search(after):
                yield start, end


def _digits(text: str) -> int:
    return sum(map(str.isdecimal, text))


def _is_date(text: str) -> bool:
    """A date, or years: 2015-12-22, 22.12.2015, 1998 2002."""
    groups = re.findall(r"\d+", text)
    if text.startswith(("+", "(", "0")) or len(groups) > 3:
        return False
    rest = [group for group in groups if not (len(group) == 4 and group.startswith(("18", "19", "20")))]
    return len(rest) < len(groups) and all(len(group) <= 2 for group in rest)
