"""What users ask of a model, row by row of an input: read, asked, and given back with the answer. No torch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from noria.common.errors import UserError

NO_TEXT = "no text"
NO_UNICODE = "the text is no valid Unicode: half of a pair of surrogates stands in it"
NO_NUMBER = "the model's scores are not finite numbers"


class Unanswerable(UserError):
    """One request that cannot be answered, while others can; the text says why."""


@dataclass(frozen=True)
class Given:
    """Where requests come from.

    Args:
        source: a file, or `-` for standard input.
        data: the config of the data that the model learnt from, or that was typed: it names the columns.
        text: the column that is read, or the two of a pair; None: those that `data` names.
        quoted: whether cells of CSV and TSV files may stand in double quotes; None: as the file's ending says.
        chat: a plain prompt is sent as the message of a user.
    """

    source: str
    data: Mapping[str, Any]
    text: str | list[str] | None = None
    quoted: bool | None = None
    chat: bool = False


class Reading(Protocol):
    """The requests of one input.

    `taken` names the fields that an answer has: own fields of the input that are called so get another name.
    """

    @property
    def taken(self) -> tuple[str, ...]: ...

    def rows(self) -> Iterator[dict[str, Any]]:
        """The rows of the input, each with all of its fields.

        Raises:
            UserError: it cannot be read; what came before has been given.
        """

    def request(self, row: dict[str, Any]) -> Any:
        """What a row asks.

        Raises:
            Unanswerable: it asks nothing, or what cannot be read.
        """

    def line(self, row: dict[str, Any], answer: Mapping[str, Any]) -> dict[str, Any]:
        """The row's own fields and the answer to it."""


def own_fields(row: dict[str, Any], taken: Iterable[str]) -> dict[str, Any]:
    """A row's fields, those under another name that an answer has too: `error` is kept as `input_error`."""
    taken = {*taken}
    kept: dict[str, Any] = {}
    for name, value in row.items():
        new = name
        while new in taken or (new != name and new in row):
            new = f"input_{new}"
        kept[new] = value
    return kept


def refuse_texts(texts: list[str]) -> None:
    """Refuses texts that no model can read.

    Raises:
        Unanswerable: one is blank, or no valid Unicode.
    """
    if not all(text.strip() for text in texts):
        raise Unanswerable(NO_TEXT)
    refuse_surrogates(texts)


def refuse_surrogates(texts: list[str]) -> None:
    """Refuses texts that no encoding can write.

    Raises:
        Unanswerable: half of a pair of surrogates stands in one.
    """
    try:
        "".join(texts).encode()
    except UnicodeEncodeError:
        raise Unanswerable(NO_UNICODE) from None
