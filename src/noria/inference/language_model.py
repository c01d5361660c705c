"""Runs an artifact's decoder over encoded rows for their losses. Knows neither prompts nor where the rows come from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from noria.artifact.bundle import Artifact
from noria.data.batch.batches import epoch_batches
from noria.data.batch.encoded_text import EncodedText
from noria.inference.device import autocast, placed
from noria.model.limits import refuse_unknown_tokens
from noria.task.causal_lm.kind import row_sums, target_losses

MAX_LOGITS = 1 << 27  # numbers in the logits of one forward: 512 MB in fp32


class LanguageModel:
    """Losses of one artifact's decoder on one device.

    Args:
        artifact: the opened artifact; its network is moved to the device.
        precision: a name of Lightning's: `32-true`, `bf16-mixed`, `bf16-true`, `16-mixed`.
        device: where to run.
    """

    def __init__(self, artifact: Artifact, precision: str, device: torch.device) -> None:
        self._device = device
        self._precision = precision
        self._network: Any = placed(artifact.network, precision, device)
        self._vocabulary = int(self._network.config.get_text_config().vocab_size)
        self._tokenizer = artifact.tokenizer

    @torch.inference_mode()
    def losses(
        self, encoded: EncodedText, batch_size: int, advance: Callable[[int], Any] = lambda rows: None
    ) -> tuple[Tensor, Tensor]:
        """For each row, in order, the summed loss of its targets (rows,), fp64, and their number (rows,), int64.

        Batches are of near-equal length. A batch whose logits would take too much memory is cut into smaller ones.

        Args:
            advance: told the number of rows after each batch, for a progress bar.

        Raises:
            UserError: there are tokens for which the model has no embedding.
        """
        sums, targets, _ = self.text_losses(encoded, batch_size, advance)
        return sums, targets

    @torch.inference_mode()
    def text_losses(
        self, encoded: EncodedText, batch_size: int, advance: Callable[[int], Any] = lambda rows: None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """As `losses`, and the summed loss of those targets that are text (rows,), fp64; all, where no size is known.

        What ends a text or a turn is a target and no text.

        Raises:
            UserError: there are tokens for which the model has no embedding.
        """
        refuse_unknown_tokens(self._network, self._tokenizer, encoded.tokens.highest, "The texts")
        sums = torch.zeros(len(encoded), dtype=torch.float64)
        of_text = torch.zeros(len(encoded), dtype=torch.float64)
        targets = torch.zeros(len(encoded), dtype=torch.int64)
        for whole in epoch_batches(np.asarray(encoded.lengths), batch_size, seed=0, epoch=0, shuffle=False):
            longest = max(int(encoded.lengths[whole].max()), 1)
            step = max(MAX_LOGITS // (longest * self._vocabulary), 1)
            for start in range(0, len(whole), step):
                rows = whole[start : start + step]
                batch = {key: value.to(self._device) for key, value in encoded[list(rows)].items()}
                with autocast(self._precision, self._device):
                    logits = self._network(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
                losses, there = target_losses(logits, batch["labels"])
                place = torch.as_tensor(rows)
                sums[place], targets[place] = row_sums(losses, there).double().cpu(), there.sum(1).cpu()
                if encoded.bytes is not None:
                    losses = losses * batch["of_text"][:, 1:][there]
                of_text[place] = row_sums(losses, there).double().cpu()
            advance(len(whole))
        return sums, targets, of_text
