"""Short answers as they are compared: without what makes no difference between two of them. Knows no question."""

from __future__ import annotations

import re
import string
import unicodedata
from typing import Literal

Normalization = Literal["squad", "mlqa"]

ARTICLES = {  # of the languages that MLQA's evaluation knows
    "ar": "",  # one is written with its word: see `WITH_ITS_WORD`
    "de": "ein eine einen einem eines einer der die das den dem des",
    "en": "a an the",
    "es": "un una unos unas el la los las",
    "hi": "",
    "vi": "của là cái chiếc những",
    "zh": "",
}
WITH_ITS_WORD = {"ar": re.compile("\\s\u0627\u0644^|\u0627\u0644")}
ONE_BY_ONE = re.compile(r"[\u4e00-\u9fff]")  # characters that are words of their own in Chinese


def answer_tokens(text: str, normalization: Normalization, language: str) -> list[str]:
    """The words by which an answer is compared, in lower case.

    `squad` is the official evaluation of SQuAD (Rajpurkar et al. 2016): without ASCII's punctuation and the English
    articles, whatever the language. `mlqa` is that of MLQA (Lewis et al. 2020): without all punctuation of Unicode and
    the articles of `language`; Chinese characters are words of their own.
    """
    text = text.lower()
    if normalization == "squad":
        text = "".join(letter for letter in text if letter not in string.punctuation)
        return re.sub(r"\b(a|an|the)\b", " ", text).split()
    text = "".join(letter for letter in text if not unicodedata.category(letter).startswith("P"))
    if language in WITH_ITS_WORD:
        text = WITH_ITS_WORD[language].sub(" ", text)
    if articles := ARTICLES[language].split():
        text = re.sub(rf"\b({'|'.join(articles)})\b", " ", text)
    if language == "zh":
        text = ONE_BY_ONE.sub(lambda found: f" {found[0]} ", text)
    return text.split()
