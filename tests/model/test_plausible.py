"""A config that asks for a far larger network than its weights is refused before one is made."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from noria.common.errors import UserError
from noria.model.plausible import refuse_implausible


@pytest.mark.parametrize(
    ("config", "refused"),
    [
        ({"hidden_size": 4096, "num_hidden_layers": 12}, False),  # ALBERT's layers share their weights
        ({"hidden_size": 2**20, "num_hidden_layers": 900}, True),
        ({"n_embd": 2**20, "n_layer": 900}, True),
        ({"text_config": {"hidden_size": 2**20, "num_hidden_layers": 900}}, True),
        ({"hidden_size": 2**20, "other": {"num_hidden_layers": 900}}, False),  # of different parts
    ],
)
def test_sizes_that_are_small_one_by_one_and_huge_together(tmp_path: Path, config: dict, refused: bool) -> None:
    save_file({"weight": torch.zeros(4)}, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(config))
    if refused:
        with pytest.raises(UserError, match="do not belong together"):
            refuse_implausible(tmp_path, "odd")
    else:
        refuse_implausible(tmp_path, "odd")
