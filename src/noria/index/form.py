"""An index as an artifact: what it is asked, and what it answers. No torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pyarrow as pa
from hydra.utils import get_class

from noria.common.errors import UserError
from noria.config.trust import is_component
from noria.data.batch.encoded import Encoded
from noria.data.rows.rows import Rows
from noria.index.folder import Shape
from noria.index.lexical import check_language
from noria.index.reading import QueryReading
from noria.index.search import MODES, Mode
from noria.index.service import SearchService
from noria.metric.answers import Answers, objects
from noria.task.form import FORMS, Form, Written
from noria.task.outputs import Outputs
from noria.task.requests import Given

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

NOTHING = "an index is asked and learns nothing: train the model that made its vectors, and index anew."


class SearchForm(Form):
    """Queries in, documents out.

    Args:
        encoder: the model that makes its vectors: the dotted paths of its `kind` and `form`, and the form's `settings`.
        shape: how the index is made, as `Shape` takes it.
        mode: by which it is searched where a query does not say it.
        count: how many documents are given where a query does not say it.
        columns: by which may be filtered, and what each holds, as Arrow names it.

    Raises:
        UserError: a value that is none of these.
    """

    answers: ClassVar[dict[str, dict[str, str]]] = {"search": {"grades": "ranks", "above": "ranks", "tied": "ranks"}}
    truth: ClassVar[dict[str, str]] = {"grades": "have different relevant documents for the same queries."}
    measured: ClassVar[dict[str, str]] = {}

    def __init__(
        self,
        *,
        encoder: Mapping[str, Any] | None = None,
        shape: Mapping[str, Any] | None = None,
        mode: Mode = "hybrid",
        count: int = 10,
        columns: Mapping[str, str] | None = None,
    ) -> None:
        self.columns = dict(columns or {})
        self.encoder, self.mode, self.count = dict(encoder or {}), mode, count
        self.shape = Shape(**(shape or {}))
        check_language(self.shape.language)
        if mode not in MODES:
            raise UserError(f"its mode is '{mode}', and should be one of {', '.join(MODES)}.")

    def settings(self) -> dict[str, Any]:
        names = ("encoder", "mode", "count", "columns")
        return {**{name: getattr(self, name) for name in names}, "shape": asdict(self.shape)}

    def read(self, table: pa.Table) -> Answers:
        names = [name for name in self.contents_of() if name in table.column_names]
        return Answers({name: objects(table[name].to_pylist()) for name in names})

    def service(self) -> SearchService:
        return SearchService(self.count, self.columns)

    def reading(self, given: Given) -> QueryReading:
        return QueryReading(given)

    def encode_requests(
        self, requests: Sequence[Mapping[str, Any]], tokenizer: PreTrainedTokenizerBase, max_length: int
    ) -> Encoded:
        asked = [{"text": request["text"], "as": "query"} for request in requests]
        return self.encoder_form().encode_requests(asked, tokenizer, max_length)

    def encoder_form(self) -> Form:
        """The form of the model that makes the vectors.

        Raises:
            UserError: it is none that Noria has.
        """
        path = str(self.encoder.get("form"))
        if not is_component(path, FORMS):
            raise UserError(f"its encoder is '{path}', which is no form that Noria has.")
        form: type[Form] = get_class(path)
        return form.of(self.encoder.get("settings") or {})

    def encode(
        self, rows: Rows, tokenizer: PreTrainedTokenizerBase, max_length: int, measured: bool, written: Written
    ) -> Encoded:
        raise UserError(NOTHING)

    def contents(self, rows: Rows) -> list[Iterable[str]]:
        raise UserError(NOTHING)

    def decide(self, outputs: Outputs, encoded: Encoded, index: np.ndarray) -> pa.Table:
        raise UserError(NOTHING)

    def made_up(self, encoded: Encoded) -> Outputs:
        raise UserError(NOTHING)
