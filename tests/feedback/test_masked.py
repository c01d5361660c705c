"""Places in a text as it was sent are found in what is kept of it, whatever has been masked."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import pairwise

from noria.feedback.masked import kept_span, pieces_of, sent_length
from noria.feedback.scrub import Span, mask
from noria.feedback.store import Prediction, Store


def test_what_stands_outside_is_found_and_what_touches_a_piece_has_all_of_it() -> None:
    draw = random.Random(0)
    for _ in range(300):
        text = "".join(draw.choice("abc \U0001f30d") for _ in range(draw.randint(1, 40)))
        cuts = sorted(draw.sample(range(len(text) + 1), 2 * min((len(text) + 1) // 2, draw.randint(0, 3))))
        spans = [Span(a, b, draw.choice(["IP", "ADDRESS"])) for a, b in zip(cuts[::2], cuts[1::2], strict=True)]
        kept, pieces = mask(text, spans), [(one.start, one.end, len(one.placeholder)) for one in spans]
        assert sent_length(kept, pieces) == len(text)
        for start in range(len(text)):
            for end in range(start + 1, len(text) + 1):
                first, last = kept_span(start, end, pieces)
                touched = [one for one in spans if one.start < end and one.end > start]
                if not touched:
                    assert kept[first:last] == text[start:end]
                whole = min([start, *(one.start for one in touched)]), max([end, *(one.end for one in touched)])
                assert kept[first:last] == masked_part(text, spans, *whole)


def masked_part(text: str, spans: list[Span], start: int, end: int) -> str:
    inside = [Span(one.start - start, one.end - start, one.kind) for one in spans if start <= one.start < end]
    return mask(text[start:end], inside)


def test_the_store_keeps_where_it_masked_only_where_answers_point_into_the_text(tmp_path) -> None:
    store = Store(f"sqlite:///{tmp_path / 'feedback.db'}")
    text = "ada@example.org is Ada, of 10.20.30.40"
    make: Callable[..., Prediction] = lambda key, *places: Prediction(  # noqa: E731
        key, "v", "a.form", {"text": text, "other": text}, {}, 1.0, "ann", datetime.now(UTC), places
    )
    store.add_predictions([make("a", "text"), make("b")])
    kept = {one.id: one.request for one in store.predictions()}
    plain = {"text": "<EMAIL> is Ada, of <IP>", "other": "<EMAIL> is Ada, of <IP>"}
    assert kept == {"a": {**plain, "masked": {"text": [[0, 15, 7], [27, 38, 4]]}}, "b": plain}
    pieces = pieces_of(kept["a"], "text")
    assert sent_length(kept["a"]["text"], pieces) == len(text)
    start, end = kept_span(text.index("Ada"), text.index("Ada") + 3, pieces)
    assert kept["a"]["text"][start:end] == "Ada" and pieces_of(kept["b"], "text") == []
    assert all(before[1] <= after[0] for before, after in pairwise(pieces))
    store.close()
