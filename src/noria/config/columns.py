"""Which columns of its rows a config's data reads as texts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def text_columns(data: Mapping[str, Any]) -> list[str]:
    """The one column of the texts, or the two of a pair.

    Data that are made of other data (`original` of `data=feedback`) have the columns of these.
    """
    original = data.get("original")
    text = (original if isinstance(original, Mapping) else data).get("text")
    if text is None:
        return ["text"]
    return [text] if isinstance(text, str) else [str(name) for name in text]
