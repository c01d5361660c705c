from __future__ import annotations

from pathlib import Path

import pytest

from noria.common.errors import UserError
from noria.model.thinned import Thinned, spread


def test_layers_are_spread_from_the_first_to_the_last() -> None:
    assert spread(12, 2) == [0, 2, 4, 7, 9, 11]  # as DistilBERT has them
    assert spread(12, 3) == [0, 4, 7, 11] and spread(6, 2) == [0, 3, 5] and spread(5, 2) == [0, 2, 4]
    assert spread(4, 9) == [0] and spread(3, 2) == [0, 2]
    for total in range(2, 40):
        for every in range(2, 9):
            found = spread(total, every)
            assert len(set(found)) == len(found) == -(-total // every) and found == sorted(found)


def test_a_network_without_a_row_of_layers(tiny_encoder_decoder: Path) -> None:
    model = Thinned(every=2, name=str(tiny_encoder_decoder), architecture="both")
    with pytest.raises(UserError, match="no row of layers"):
        model.encoder_decoder()
