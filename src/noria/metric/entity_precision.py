"""The share of the entities that are found which are right."""

from __future__ import annotations

import numpy as np

from noria.metric.entities import Entities, share


class EntityPrecision(Entities):
    """The share of the entities that are found which are right."""

    def of_counts(self, right: np.ndarray, found: np.ndarray, there: np.ndarray) -> np.ndarray:
        return share(right, found)
