"""Where a parameter sits in a Transformer, by its name. Knows no model family."""

from __future__ import annotations

import re

# The blocks of a Transformer by their usual names: BERT layer.3, Llama layers.3, GPT-2 h.3, T5 block.3.
# The first match counts: T5's encoder.block.3.layer.0 belongs to block 3.
BLOCK = re.compile(r"(?:^|\.)(?:layers?|h|blocks?)\.(\d+)\.")
