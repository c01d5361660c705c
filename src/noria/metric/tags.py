"""Tags of words and the entities that they make up, in whichever scheme they are written. Knows no text.

In all schemes (Ratinov and Roth 2009) O is outside of any entity. BIO: B begins an entity, I goes on. IOB1: B only
where an entity follows one of its own type at once. BILOU, IOBES: the last word is L or E, a single one U or S.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

OUTSIDE = "O"
BEGINS, LASTS = "BUS", "LEUS"  # prefixes that begin an entity, and those that end one
PREFIXES = "BILOUES"

Entity = tuple[int, int, str]
"""The first word, the one after the last, and the type."""


def split(tag: str) -> tuple[str, str]:
    """The prefix and the type of a tag; of O no type."""
    prefix, _, kind = tag.partition("-")
    return prefix, kind


def has_prefixes(tags: Iterable[str]) -> bool:
    """Whether different tags are those of a scheme: O alone, or a prefix, a hyphen and a type."""
    return all(tag == OUTSIDE or (len(tag) > 2 and tag[0] in PREFIXES and tag[1] == "-") for tag in tags)


def entities(tags: Sequence[str]) -> list[Entity]:
    """The entities of a text, as conlleval reads them: an I tag with nothing before it to continue begins an entity.

    So every scheme is read, and no tag but O is passed over.
    """
    found: list[Entity] = []
    start, before = 0, (OUTSIDE, "")
    for place, now in enumerate([*map(split, tags), (OUTSIDE, "")]):
        inside = before[0] != OUTSIDE
        if inside and (now[0] in (OUTSIDE, *BEGINS) or now[1] != before[1] or before[0] in LASTS):
            found.append((start, place, before[1]))
            inside = False
        if now[0] != OUTSIDE and not inside:
            start = place
        before = now
    return found


def strict_entities(tags: Sequence[str]) -> list[Entity]:
    """The entities that begin with a B tag. An I tag with nothing before it to continue is not counted."""
    return [entity for entity in entities(tags) if split(tags[entity[0]])[0] == "B"]


def bio(found: Iterable[Entity], words: int) -> list[str]:
    """The BIO tags of a text of so many words."""
    tags = [OUTSIDE] * words
    for start, end, kind in found:
        tags[start:end] = [f"B-{kind}", *[f"I-{kind}"] * (end - start - 1)]
    return tags


def labels_of(tags: Iterable[str]) -> list[str]:
    """The names of the classes for all different tags of a data set: BIO of each type, or the tags themselves."""
    tags = sorted(set(tags))
    if not has_prefixes(tags):
        return tags
    types = sorted({split(tag)[1] for tag in tags if tag != OUTSIDE})
    return [OUTSIDE, *(f"{prefix}-{kind}" for kind in types for prefix in "BI")]


def follows(before: str | None, tag: str) -> bool:
    """Whether a tag may stand behind another in BIO; None: at the beginning."""
    prefix, kind = split(tag)
    return prefix != "I" or (before is not None and before != OUTSIDE and split(before)[1] == kind)
