"""Translation memories (TMX 1.4): units, each with a text in several languages. Knows no other format."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError, iterparse

from noria.common.errors import UserError
from noria.data.rows.pairs import Pair, lead
from noria.data.source.opening import open_bytes

LANGUAGE = ("{http://www.w3.org/XML/1998/namespace}lang", "lang")
MARKUP = ("bpt", "ept", "it", "ph", "ut")  # what stands for formatting: it is no text


def read_tmx(path: Path, source: str, target: str) -> Iterator[Pair]:
    """The units that have both languages; one that lacks one has no text there.

    A language is that of its own name, or of its first part: `en` also takes `en-US`.

    Raises:
        UserError: the file is no XML, or no unit has these languages.
    """
    languages: set[str] = set()
    found = number = 0
    try:
        with open_bytes(path) as file:
            for _, unit in iterparse(file):
                if unit.tag.rpartition("}")[2] != "tu":
                    continue
                number += 1
                texts = dict(_texts(unit))
                unit.clear()
                languages |= {*texts}
                ours, theirs = _of(texts, source), _of(texts, target)
                found += ours is not None and theirs is not None
                yield number, ours or "", [theirs or ""], [lead(ours or "")]
    except (ParseError, OSError) as error:
        raise UserError(f"'{path}' is no readable TMX file: {error}.") from None
    if not found:
        there = ", ".join(sorted(languages)) or "none"
        raise UserError(f"'{path}': no unit has both '{source}' and '{target}'. Its languages: {there}.")


def _texts(unit: Element) -> Iterator[tuple[str, str]]:
    for variant in unit:
        language = next((variant.get(name) for name in LANGUAGE if variant.get(name)), None)
        segment = next((part for part in variant if part.tag.rpartition("}")[2] == "seg"), None)
        if language and segment is not None:
            yield language.lower(), "".join(_said(segment))


def _said(part: Element) -> Iterator[str]:
    yield part.text or ""
    for inner in part:
        if inner.tag.rpartition("}")[2] not in MARKUP:
            yield from _said(inner)
        yield inner.tail or ""


def _of(texts: dict[str, str], language: str) -> str | None:
    wanted = language.lower().replace("_", "-")
    same = (text for name, text in texts.items() if name.replace("_", "-") == wanted)
    wider = (text for name, text in texts.items() if name.replace("_", "-").partition("-")[0] == wanted)
    return next(same, next(wider, None))
