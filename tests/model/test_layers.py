"""The name of a parameter tells the block that it belongs to."""

from __future__ import annotations

import pytest

from noria.model.layers import BLOCK


@pytest.mark.parametrize(
    ("name", "block"),
    [
        ("bert.encoder.layer.11.attention.self.query.weight", 11),
        ("model.layers.0.self_attn.q_proj.weight", 0),
        ("transformer.h.3.attn.c_attn.weight", 3),
        ("encoder.block.2.layer.0.SelfAttention.q.weight", 2),  # T5: the outer number
        ("blocks.7.norm.weight", 7),
        ("layer.4.bias", 4),
        ("bert.embeddings.word_embeddings.weight", None),
        ("bert.pooler.dense.weight", None),
        ("classifier.weight", None),
        ("player.3.weight", None),  # a word that only ends like it
    ],
)
def test_the_block_of_a_name(name: str, block: int | None) -> None:
    found = BLOCK.search(name)
    assert (int(found[1]) if found else None) == block
