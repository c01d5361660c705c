"""F1 over entities as conlleval reads them."""

from __future__ import annotations

from typing import ClassVar

from noria.metric.entity_f1 import EntityF1


class ConllevalF1(EntityF1):
    """Entity F1 in which what goes on where nothing has begun begins there (conlleval, and seqeval's default).

    The same as `entity_f1` where no tag stands where it cannot.
    """

    strict: ClassVar[bool] = False
