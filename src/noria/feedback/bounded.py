"""Looks for patterns in a text of any length in bounded steps. Knows nothing of personal data.

Python's `re` holds the interpreter's lock for the whole of one search: a search through a long text, or a pattern that
tries very many ways from one place, would keep every other thread from running. So a text is read a window at a time,
and what is looked for is bounded: no pattern matches or looks ahead over more than REACH characters, and none has more
than some thousand ways to match from one place (tests/feedback/test_bounded.py reckons both for every pattern).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

WINDOW = 4096  # characters in which matches of one search begin
REACH = 1024  # characters that a match and what it looks ahead at may have together


def matches(pattern: re.Pattern[str], text: str) -> Iterator[re.Match[str]]:
    """What `pattern.finditer(text)` gives, for a pattern that reaches no further than REACH characters."""
    begin = 0
    while begin < len(text):
        end = next_begin = begin + WINDOW
        for match in pattern.finditer(text, begin, end + REACH):
            if match.start() >= end:
                break
            yield match
            next_begin = max(end, match.end())
        begin = next_begin
