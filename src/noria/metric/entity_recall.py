"""The share of the entities that are there which are found."""

from __future__ import annotations

import numpy as np

from noria.metric.entities import Entities, share


class EntityRecall(Entities):
    """The share of the entities that are there which are found."""

    def of_counts(self, right: np.ndarray, found: np.ndarray, there: np.ndarray) -> np.ndarray:
        return share(right, there)
