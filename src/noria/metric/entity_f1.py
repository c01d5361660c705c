"""The harmonic mean of entity precision and recall."""

from __future__ import annotations

import numpy as np

from noria.metric.entities import Entities, share


class EntityF1(Entities):
    """The harmonic mean of entity precision and recall."""

    def of_counts(self, right: np.ndarray, found: np.ndarray, there: np.ndarray) -> np.ndarray:
        return share(2 * right, found + there)
