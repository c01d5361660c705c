"""One version that answers requests. Knows nothing of HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from noria.artifact import bundle
from noria.common.errors import UserError
from noria.data.batch.encoded import Encoded
from noria.data.batch.tokens import length_limit
from noria.inference.runner import Runner
from noria.serving.source import Named
from noria.task.service import Service


@dataclass(frozen=True)
class Description:
    """What a client needs to know of a version.

    Args:
        form: the dotted path of what understands its requests and answers.
        service: how it is asked and corrected.
        max_length: tokens of a request that it reads at most.
    """

    form: str
    service: Service
    max_length: int


def describe(facts: Mapping[str, Any], named: Named) -> Description:
    """Reads it from what `noria.yaml` says.

    Raises:
        UserError: a model that is not served, or whose answers could not be kept.
    """
    form = bundle.open_kind(named.folder, dict(facts)).form
    try:
        service = form.service()
        service.check()
    except UserError as error:
        raise UserError(f"artifact={named.folder}: {error}") from None
    return Description(form.path(), service, int(facts["max_length"]))


class Model:
    """A version that is opened and has answered a few requests.

    Args:
        precision: a name of Lightning's.
        batch_size: how many requests at once.

    Raises:
        UserError: it cannot be opened, is not served, or answers nonsense.
    """

    def __init__(self, named: Named, precision: str, device: torch.device, batch_size: int) -> None:
        self.named = named
        self.description = describe(bundle.read_facts(named.folder), named)
        self._artifact = bundle.open_artifact(named.folder)
        self._runner = Runner(self._artifact, precision, device)
        self._batch_size = batch_size
        self._warm_up()

    def answer(self, requests: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The answer to each request as a client gets it, or an `error`.

        `truncated`: it was cut, as in evaluation, to the longest that the model reads.
        """
        encoded = self._runner.encoded(requests)
        replies = self._runner.replies(requests, encoded, self._batch_size)
        return [
            reply if "error" in reply else {**self.description.service.answer(reply), "truncated": is_cut}
            for reply, is_cut in zip(replies, self._cut(encoded, requests), strict=True)
        ]

    def _cut(self, encoded: Encoded, requests: list[dict[str, Any]]) -> list[bool]:
        """Which requests were cut. Tokens count them all together: a doubtful one is looked at alone."""
        if not encoded.tokens.truncated:  # where a long request is read in several windows none ever is
            return [False] * len(requests)
        longest = self.description.max_length
        limit = length_limit(self._artifact.tokenizer, longest) or longest
        full = (encoded.tokens.lengths >= limit).tolist()
        if encoded.tokens.truncated == sum(full):
            return list(full)
        return [
            is_full and self._runner.encoded([request]).tokens.truncated > 0
            for is_full, request in zip(full, requests, strict=True)
        ]

    def _warm_up(self) -> None:
        service = self.description.service
        requests = [service.request(example, "an example") for example in service.examples()]
        for answer in [*self.answer(requests), *self.answer(requests[:1])]:
            if "error" in answer:
                raise UserError(f"{self.named.folder}: {answer['error']}: its weights are no good.")
