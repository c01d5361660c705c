"""Text of others on a terminal: characters that would steer it are made visible. Imports nothing heavy."""

from __future__ import annotations

import re

# Control characters (but for the tab and the line feed), marks that override the direction of what follows, and lone
# surrogates, which no terminal can be sent.
_STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def visible(text: str) -> str:
    """The text with a picture in place of each character that a terminal would obey: ESC becomes `␛`.

    A file of texts may hold anything. Sent to a terminal as it is, `ESC ] 0 ;` renames the window, and other
    sequences hide lines or move the cursor.
    """
    return _STEERING.sub(_picture, text)


def _picture(character: re.Match[str]) -> str:
    code = ord(character[0])
    return chr(0x2400 + code) if code < 0x20 else "␡" if code == 0x7F else "\ufffd"
