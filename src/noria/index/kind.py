"""An index opened as a model that answers queries."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

import numpy as np
from torch import Tensor, nn

from noria.artifact import bundle
from noria.common.errors import UserError
from noria.data.batch.encoded import Encoded, padding_id
from noria.index.folder import open_index
from noria.index.form import NOTHING, SearchForm
from noria.index.search import Searcher
from noria.inference.runner import Runner
from noria.model.pretrained import Pretrained
from noria.model.session import Session
from noria.task.kind import Answerer, Batch, Kind

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

RERANKER, READER = "reranker", "reader"  # folders of artifacts inside an index's
RERANKED = 50  # of the first documents that are ordered anew
READ = 3  # of the first documents in which an answer is looked for


class Search(Kind):
    """The network that made an index's vectors makes those of the queries; documents are found by them and by words."""

    form_path = "noria.index.form.SearchForm"
    architectures = ("encoder", "decoder")
    packed: ClassVar[bool] = True

    form: SearchForm

    def __init__(self) -> None:
        self.form = SearchForm()

    def network(self, pretrained: Pretrained, tokenizer: PreTrainedTokenizerBase) -> nn.Module:
        made: nn.Module = pretrained.backbone(padding_id(tokenizer))
        return made

    def answerer(
        self, session: Session, tokenizer: PreTrainedTokenizerBase, max_length: int, settings: Any = None
    ) -> Answerer:
        assert self.folder is not None, "an index is opened from its folder"
        encode = encoder(self.folder, session, tokenizer, self.form, max_length)
        searcher = Searcher(open_index(self.folder, self.form.shape), encode)
        beside = {
            name: Runner(bundle.open_artifact(self.folder / name), session.precision, session.device)
            for name in (RERANKER, READER)
            if (self.folder / name).is_dir()
        }
        return Asked(self.form, searcher, beside)

    def forward(self, network: nn.Module, batch: Batch) -> NoReturn:
        raise UserError(NOTHING)

    def losses(self, made: Tensor, batch: Batch) -> NoReturn:
        raise UserError(NOTHING)

    def outputs(self, made: Tensor, batch: Batch) -> NoReturn:
        raise UserError(NOTHING)

    def weights(self, encoded: Encoded) -> NoReturn:
        raise UserError(NOTHING)


def encoder(
    folder: Path, session: Session, tokenizer: PreTrainedTokenizerBase, form: SearchForm, max_length: int
) -> Callable[[list[str]], np.ndarray]:
    """Makes vectors (queries, width) of queries."""
    kind = bundle.open_kind(folder, form.encoder)
    artifact = bundle.Artifact(folder, {"max_length": max_length}, session.network, tokenizer, kind)
    runner = Runner(artifact, session.precision, session.device)
    return lambda queries: vectors(runner, queries, "query")


def vectors(
    runner: Runner, texts: Sequence[str], role: str, advance: Callable[[int], Any] = lambda rows: None
) -> np.ndarray:
    """The vectors of queries or documents, fp32 (texts, width).

    Args:
        role: `query` or `document`.
    """
    if not texts:
        return np.empty((0, 0), np.float32)
    encoded = runner.encoded([{"text": text, "as": role} for text in texts])
    return np.ascontiguousarray(np.asarray(runner.outputs(encoded, runner.kind.batch_size, advance)["vectors"])[:, 0])


class Asked:
    """Answers queries.

    Args:
        beside: artifacts that order the first documents anew (`reranker`), or find an answer in them (`reader`).
    """

    def __init__(self, form: SearchForm, searcher: Searcher, beside: dict[str, Runner]) -> None:
        self.form, self.searcher, self._beside = form, searcher, beside

    def answer(
        self, requests: Sequence[Any], batch_size: int, numbers: Sequence[int] | None = None
    ) -> list[dict[str, Any]]:
        return [self._answer(request, batch_size) for request in requests]

    def problem(self, request: Any) -> str | None:
        return None

    def _answer(self, request: dict[str, Any], batch_size: int) -> dict[str, Any]:
        query, count = request["text"], request.get("count", self.form.count)
        mode, filters = request.get("mode", self.form.mode), request.get("filters")
        wide = max(count, RERANKED) if RERANKER in self._beside else count
        try:
            [ranking] = self.searcher.search([query], mode, wide, filters)
            hits = self.searcher.hits(ranking)
            if RERANKER in self._beside:
                hits = self._reranked(query, hits, batch_size)[:count]
            found: dict[str, Any] = {"hits": hits}
            if READER in self._beside:
                found["answer"] = self._read(query, hits[:READ], batch_size)
        except UserError as error:
            return {"error": str(error)}
        return found

    def _asked(self, name: str, requests: list[dict[str, Any]], batch_size: int) -> list[dict[str, Any]]:
        """What an artifact beside the index replies.

        Raises:
            UserError: it cannot answer one of them.
        """
        replies = self._beside[name].answer(requests, batch_size)
        if wrong := next((reply["error"] for reply in replies if "error" in reply), None):
            raise UserError(f"the {name} of the index: {wrong}")
        return replies

    def _reranked(self, query: str, hits: list[dict[str, Any]], batch_size: int) -> list[dict[str, Any]]:
        """The hits by the score of a model that reads query and passage together: the number of a regression, or the
        probability of its last label."""
        pairs = [{"text": query, "text_pair": hit["passage"]} for hit in hits]
        for hit, reply in zip(hits, self._asked(RERANKER, pairs, batch_size), strict=True):
            shares = reply.get("probabilities")
            hit["score"] = float(list(shares.values())[-1] if shares else reply["prediction"])
        return sorted(hits, key=lambda hit: -hit["score"])

    def _read(self, query: str, hits: list[dict[str, Any]], batch_size: int) -> dict[str, Any] | None:
        """The likeliest answer in the first passages, with the id of its document; None where there is none."""
        hits = [hit for hit in hits if hit["passage"].strip()]
        replies = self._asked(READER, [{"text": hit["passage"], "text_pair": query} for hit in hits], batch_size)
        found = [
            {"document": hit["id"], **{name: reply[name] for name in ("answer", "start", "end", "score")}}
            for hit, reply in zip(hits, replies, strict=True)
            if reply.get("end")
        ]
        return max(found, key=lambda one: one["score"], default=None)
