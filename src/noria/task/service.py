"""How people ask a served model over HTTP, what they are told, and how they correct it. No torch, no HTTP."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from noria.common.errors import UserError

Schema = dict[str, Any]
"""A JSON schema, as OpenAPI documents use it."""

SHOWN = 20  # labels that a message names
INK = r"[^\s\u0000\u001c-\u001f\u0085]"  # a character that is not blank: Python knows five more that are than \s does
TEXT = {"type": "string", "minLength": 1, "pattern": rf"^[^\u0000]*{INK}[^\u0000]*$"}

WORDS = Path(__file__).parent / "words.html"
"""Parts of a page that show a text, in which words can be chosen."""


class Service(ABC):
    """What a server and its page have to know of a form. Requests, answers and corrections are plain JSON values.

    Attributes:
        asks: the key of a request's body that holds one request, or a list of them.
        corrects: the key of feedback that says what an answer should have been.
        also: another name of the path of requests, beside `/predict`.
        places: names of the texts of a request into which answers and corrections point, by characters.
        writes: answers and corrections are texts, in which what users sent may stand: they are scrubbed and kept as
            requests are.
        pieces: files with the parts of the page that ask, show and correct (`serving.page`); those of one name stand
            one behind the other.
    """

    asks: ClassVar[str] = "text"
    corrects: ClassVar[str] = "label"
    also: ClassVar[str | None] = None
    places: ClassVar[tuple[str, ...]] = ()
    writes: ClassVar[bool] = False
    pieces: ClassVar[tuple[Path, ...]]

    def check(self) -> None:  # noqa: B027
        """Finds what keeps a model from being served.

        Raises:
            UserError: its answers could not be told apart, or could not be kept.
        """

    @abstractmethod
    def described(self) -> dict[str, Any]:
        """What a client needs to know of the model."""

    @abstractmethod
    def request_schema(self) -> Schema:
        """What `request` takes."""

    @abstractmethod
    def answer_schema(self) -> Schema:
        """What `answer` gives."""

    @abstractmethod
    def correction_schema(self, named: bool) -> Schema:
        """What `correction` takes; `named` is False for a client that may not see the names of the labels."""

    @abstractmethod
    def examples(self) -> list[Any]:
        """What may be asked, in the form that `request` takes; the first one is shown to people."""

    @abstractmethod
    def request(self, given: Any, name: str) -> dict[str, Any]:
        """A request as the model's form takes it. Every string in it is kept, and scrubbed of personal data.

        Args:
            name: what the message calls it, such as "text 3".

        Raises:
            UserError: it is none.
        """

    @abstractmethod
    def answer(self, reply: dict[str, Any]) -> dict[str, Any]:
        """What a client gets, and what the store keeps, of a reply of the form that is not an error."""

    @abstractmethod
    def correction(self, given: Any) -> Any:
        """What an answer should have been, as it is kept.

        Raises:
            UserError: no answer of this model could be that.
        """

    @abstractmethod
    def judged(
        self, request: dict[str, Any] | None, answer: dict[str, Any], correct: bool, correction: Any
    ) -> tuple[bool, Any]:
        """Whether an answer is right, and what it should have been, where that is known, of what a client says.

        Who corrects an answer to what it was says that it is right.

        Args:
            request: as it is kept; None where it is not.

        Raises:
            UserError: no answer to this request could be that.
        """

    @abstractmethod
    def text(self, request: dict[str, Any]) -> str:
        """All text of a request as one, to look at its length."""

    @abstractmethod
    def group(self, answer: dict[str, Any]) -> str:
        """To which of few groups an answer belongs: how often each of them comes is watched."""


def listed(labels: Sequence[str]) -> str:
    """Labels for a message: the first of them, where there are many."""
    more = len(labels) - SHOWN
    return ", ".join(labels[:SHOWN]) + (f" and {more:,} more, which /info names" if more > 0 else "")


def checked_text(given: Any, name: str) -> str:
    """A text that every model can read.

    Raises:
        UserError: it is none, or blank, or holds what no encoding can write.
    """
    if not isinstance(given, str):
        raise UserError(f"{name} must be a string.")
    if not given.strip():
        raise UserError(f"{name} is empty.")
    if "\0" in given:
        raise UserError(f"{name} holds a NUL character.")
    try:
        given.encode("utf-8")
    except UnicodeEncodeError:
        raise UserError(f"{name} holds half of a surrogate pair, which is no character.") from None
    return given
