"""Street addresses of Europe and the Americas, by their street words, boxes and flats. Knows no place by name."""

from __future__ import annotations

import re
from collections.abc import Iterator

from noria.feedback.bounded import matches

S = r"[ \u00a0]"
CAPITAL = r"[^\W\d_a-zß-öø-ÿ]"
# Words, numbers and spaces are taken whole (`{0,30}+`) where what follows cannot be a part of them: nothing else is to
# be tried.
WORD = rf"{CAPITAL}[\w.'\u2019-]{{0,30}}+"
LINK = r"(?:(?:de|du|des|del|della|delle|dei|da|do|dos|das|di|la|le|les|los|las|van|von|der|den|of|the|z|i|y|e) ){0,3}+"
FIRST = rf"{LINK}(?:[dl]['\u2019])?+{WORD}"  # the first word of a street's name
HOUSE = r"\d{1,5}+(?:[a-z]|bis|ter)?"

# 17151 Crown Street, 20 W 34th St.
ENGLISH = (
    r"Street|St|Str|Avenue|Ave|Road|Rd|Boulevard|Blvd|Lane|Ln|Drive|Dr|(?<!Supreme )(?<!District )Court|Ct|Place|Pl"
    r"|Square|Sq|Terrace|Close|Crescent|Way|Highway|Hwy|Parkway|Pkwy|Circle|Cir|Trail|Turnpike|Mews|Grove"
)
NUMBER_FIRST = rf"{HOUSE}{S}(?:(?:{WORD}|\d{{1,3}}+(?:st|nd|rd|th)){S}){{1,4}}(?:{ENGLISH})\b\.?+"
# Rue de Piétrain 371, ul. Grochowa 80
FRENCH = r"[Rr]ue|[Aa]venue|[Bb]oulevard|[Aa]llée|[Qq]uai|[Cc]hemin|[Ii]mpasse"
PREFIX = (
    rf"{FRENCH}|Via|Viale|Vicolo|Piazza|Piazzetta|Corso|Avenida|Avda\.?|Calle|Plaza|Paseo|R[uú]a|Travessa|Praça|Largo"
    r"|Quadra|[Uu]l\.|[Aa]l\.|Ulica|Rruga|Πλατεία|Λεωφόρος|Οδός"
)
NAME_AND_NUMBER = rf"(?:{PREFIX}){S}{FIRST}(?:{S}{LINK}(?:{WORD}|\d{{1,2}}+)){{0,4}},?{S}{HOUSE}\b"
# 56 rue La Boétie
NUMBER_AND_NAME = rf"{HOUSE},?{S}(?:{FRENCH}){S}{FIRST}(?:{S}{LINK}{WORD}){{0,3}}"
# Semperweg 150, Magasinsgatan 7
ENDING = (
    r"stra(?:ss|ß)e|str\.|straat|stræde|stræti|brücke|gasse|weg|platz|allee|damm|ufer|vej|gade|gatan|gata|gatu|vägen"
    r"|veien|vegen|vegur|væng(?:et)?|laan|plein|singel|gracht|dijk|katu|[aeiouy]ntie|kuja|kaari|polku|braut|ova|ská"
    r"|steig|wei|baan"
)
COMPOUND = rf"(?:{WORD}{S}){{0,2}}{CAPITAL}[\w'\u2019-]{{2,30}}(?:{ENDING}){S}{HOUSE}\b"
# Trenerys gate 232, Kálmán Imre u. 12.
LAST = (
    r"[Gg]ate|[Vv]ej|[Vv]eien|[Gg]ade|[Ss]tra(?:ss|ß)e|Str\.|[Ww]eg|[Pp]latz|[Tt]ie|u\.|út|útja|utca|tér|tee|mnt|gatan"
    r"|vägen|plein|baan"
)
TYPE_LAST = rf"{WORD}(?:{S}{WORD}){{0,2}}{S}(?:{LAST}){S}{HOUSE}\b\.?"
# P.O. Box 211; PSC 3294, Box 9168; USNS Bergman, FPO AP 93757
BOX = (
    r"(?i:P\.?\s?O\.?\s?Box|Postbox|Postbus|Postfach|Boîte postale|Apartado)\s\d{1,6}"
    r"|(?i:(?:PSC|Unit|CMR)\s\d{1,5},?\sBox)\s\d{1,5}"
)
SHIP = r"(?i:(?:USNS|USNV|USCGC|USS)\s[\w'\u2019-]{2,30}+,?\s)?"
MILITARY = rf"{SHIP}\b(?i:(?:APO|FPO|DPO),?\s(?:AA|AE|AP))\s\d{{5}}(?:-\d{{4}})?"
FLAT = r"(?:(?i:Apt|Apartment|Suite)|Ste|Flat)\b\.?+\s?+#?+\d{1,5}+[A-Z]?+\b(?!\.?\d|\*)"
# 20789 Allika 46, Suite 501: with a flat behind it, a number and a name are enough.
BREAK = r"(?>,?[\s>]{1,8}+|,)"
BEFORE_FLAT = rf"(?:\d{{1,5}}+{S}){{1,2}}{WORD}(?:{S}{WORD}){{0,3}}(?:{S}{HOUSE})?(?={BREAK}{FLAT})"

ANY_STREET = "|".join([NUMBER_FIRST, NUMBER_AND_NAME, NAME_AND_NUMBER, COMPOUND, TYPE_LAST, BEFORE_FLAT])
STREETS = re.compile(
    rf"(?<![\w$€£.,/-])(?:(?:\d{{1,5}}+{S}){{0,2}}(?:{ANY_STREET})|(?:\d{{1,5}}+{S})?(?:{BOX}|{MILITARY}|{FLAT}))"
)
# Where the words before say that an address comes, a number and a name are enough: lives at 214 Pavlou Drandaki
TOLD = re.compile(
    r"\b(?:[Aa]ddress(?:es)?(?::|\s(?:is|was|to|it\sis|for\s\w{1,40}+\sis)){0,2}"
    r"|(?:lives?|lived|living|located|reside[sd]?|meet\sme)\s(?:at|on)):?\s{1,12}+"
    rf"(?P<street>(?:\d{{1,5}}+{S}){{0,2}}(?:{WORD}{S}){{1,4}}{HOUSE}\b|(?:\d{{1,5}}+{S}){{1,2}}{WORD}(?:{S}{WORD}){{0,3}})"
)
# What goes on from a street: flats, then the place if a postcode ends it.
PLACE = rf"(?:{BREAK}\(?+(?:{WORD}|d[eou]|la|u|nad)\)?+){{0,7}}{BREAK}(?:[A-Z]{{1,2}}-)?\d{{4,6}}+(?:-\d{{3,4}}+)?\b"
REST = re.compile(rf"(?:{BREAK}{FLAT}){{0,3}}(?:{PLACE})?")


def addresses(text: str) -> Iterator[tuple[int, int]]:
    """Where street addresses begin and end."""
    reached = 0
    spans = [match.span() for match in matches(STREETS, text)]
    spans += [match.span("street") for match in matches(TOLD, text)]
    for start, end in sorted(spans):
        start = max(start, reached)
        if start < end:
            rest = REST.match(text, end)
            reached = rest.end() if rest else end
            yield start, reached
