"""Addresses of web pages: with a scheme or `www.`, with a path, or where a word before says that one comes.

The bare name of a site (`IMDb.com`) stays where nothing says that it is somebody's own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from noria.feedback.bounded import matches

LABEL = r"[^\W_][\w-]{0,62}+"
HOST = rf"(?:{LABEL}\.){{1,8}}"
# Of a name without a scheme: a full stop between two sentences (`film.It`) must not make one.
ENDINGS = (
    r"(?:com|net|org|info|biz|edu|gov|io|me|dev|app|blog|page|site|de|fr|es|nl|ch|ca|se|dk|pl|ru|jp|cn|br|eu|uk|au"
)
ENDINGS += r"|co|ly|gl|tv|fm|xyz|online|shop|store|club|social)\b"
URL = re.compile(
    r"(?<![\w@.-])(?i:"
    r"[a-z][a-z\d+-]{1,15}+://[^\s<>\"]{1,200}+"
    rf"|www\d?\.{LABEL}\.[^\s<>\"]{{1,200}}+"
    rf"|{HOST}{ENDINGS}(?::\d{{1,5}}+)?+(?:/|[?#](?=\w))"
    rf"|(?:{LABEL}\.){{2,8}}(?:com|net|org|io|dev|app)\b"
    r")"
)
BARE = re.compile(rf"(?<![\w@.-])(?i:{HOST}{ENDINGS})(?![\w@-])")
WORDS_BEFORE = re.compile(
    r"\b(?:web ?-?(?:site|page)|home ?page|site|blog|url|portfolio|profile|link|visit)\b[^\d\n.;!?@]{0,15}\n?$", re.I
)
MORE = re.compile(r"[^\s<>\"]{0,1000}+")  # a long one goes to its end
WORDS_BEHIND = re.compile(
    r"^,? (?:is|was) (?:my|his|her|our|their|the) (?:\w{1,12} )?(?:web ?-?(?:site|page)|site|blog)\b", re.I
)
NEAR = 40  # characters around a name in which a word may say that it is somebody's page
LEFT = ".,;:!?'\u2019\u201d*_~`"  # what ends a sentence and not an address


def urls(text: str) -> Iterator[tuple[int, int]]:
    """Where addresses of web pages begin and end."""
    reached = 0
    for match in matches(URL, text):
        start, end = match.span()
        if start >= reached:
            reached = _end(text, start, end)
            yield start, reached
    for match in matches(BARE, text):
        start, end = match.span()
        if WORDS_BEFORE.search(text[max(0, start - NEAR) : start]) or WORDS_BEHIND.search(text[end : end + NEAR]):
            yield start, end


def _end(text: str, start: int, end: int) -> int:
    """Where an address ends that goes on until there is a space, without the marks of the sentence around it."""
    while (more := MORE.match(text, end)) and more.end() > end:
        end = more.end()
    while end > start + 1:
        last = text[end - 1]
        opening = {")": "(", "]": "[", "}": "{"}.get(last)
        if last not in LEFT and (opening is None or opening in text[start:end]):
            break
        end -= 1
    return end
