"""F1 over entities as conlleval reads them."""

from __future__ import annotations

from typing import ClassVar

from noria.metric.entity_f1 import EntityF1


class ConllevalF1(EntityF1):
    """Entity F1 in which an entity may begin with an I tag (as conlleval has it, and seqeval by default).

    It equals `entity_f1` where all tags are valid BIO, as `task.viterbi=true` makes them.
    """

    strict: ClassVar[bool] = False
