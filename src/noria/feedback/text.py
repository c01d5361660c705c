"""Text that every database takes. Knows nothing of personal data."""

from __future__ import annotations

import re

from noria.common.errors import UserError

# PostgreSQL refuses NUL; a lone surrogate has no UTF-8 at all.
UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
NAME_LIMIT = 200  # characters of what is in an index: no database takes a key of any length there
LABEL_LIMIT = 100_000  # characters of a label, which may be a list of many names, or of a version


def storable(text: str) -> str:
    """The text with U+FFFD, the replacement character, for what a database cannot hold."""
    return UNSTORABLE.sub("\ufffd", text)


def short(what: str, value: str, limit: int = NAME_LIMIT) -> str:
    """A name, an id or a label, made storable.

    Raises:
        UserError: it is empty, or longer than `limit` characters .
    """
    if not value or len(value) > limit:
        raise UserError(f"The {what} must have 1 to {limit} characters; it has {len(value)}.")
    return storable(value)
