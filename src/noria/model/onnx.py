"""A network in ONNX's format: run by ONNX Runtime, and called like the network of transformers it was made from."""

from __future__ import annotations

import mmap
from copy import copy
from functools import cached_property
from pathlib import Path
from typing import Any

import onnxruntime
import torch
from torch import Tensor, nn
from transformers import PretrainedConfig
from transformers.modeling_outputs import BaseModelOutput, QuestionAnsweringModelOutput, SequenceClassifierOutput

from noria.common.errors import UserError

INPUTS = ("input_ids", "attention_mask", "token_type_ids")
OUTPUTS: dict[tuple[str, ...], type] = {
    ("logits",): SequenceClassifierOutput,
    ("start_logits", "end_logits"): QuestionAnsweringModelOutput,
    ("last_hidden_state",): BaseModelOutput,
}
"""What a graph may give, and as what a caller gets it."""

SLOW_FUSIONS = [
    "SkipLayerNormFusion"
]  # its kernel took a third of all time (ONNX Runtime 1.32); apart they take a tenth


class OnnxNetwork(nn.Module):
    """Tensors go in and come out, so that it stands where a network of transformers does. It has no weights to train.

    Args:
        path: the graph; only what lies in the file itself is read.
        config: of the network that it was made from.
        threads: that compute one call; None: torch's number.

    Raises:
        UserError: it cannot be opened, or takes or gives something else.
    """

    tokens_at_once = 512  # of a call: what more of them make no longer lies in a core's caches

    def __init__(self, path: Path, config: PretrainedConfig) -> None:
        super().__init__()
        try:
            with path.open("rb") as file:  # `narrow` reads this very file later, though another has taken its place
                self._graph = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            self._session = _opened(self._graph[:], torch.get_num_threads())
        except FileNotFoundError:
            raise UserError(f"{path} is not there: copy the whole folder of the artifact.") from None
        except Exception as error:  # ONNX Runtime has a class of its own for each
            said = str(error).strip().splitlines()[-1:] or [type(error).__name__]
            raise UserError(f"{path} is no ONNX file that ONNX Runtime can open: {said[0]}") from None
        self._takes = [one.name for one in self._session.get_inputs()]
        gives = tuple(one.name for one in self._session.get_outputs())
        if gives not in OUTPUTS or not {"input_ids", "attention_mask"} <= {*self._takes} <= {*INPUTS}:
            raise UserError(f"{path} takes {', '.join(self._takes)} and gives {', '.join(gives)}: Noria made no such.")
        self._gives, self._output = gives, OUTPUTS[gives]
        self.config = config

    @property
    def device(self) -> torch.device:
        return torch.device("cpu")

    def narrow(self) -> OnnxNetwork:
        """The same network, of which a call is computed by the thread that calls it: for calls from several at once."""
        made = copy(self)
        made._session = self._narrow
        return made

    @cached_property
    def _narrow(self) -> onnxruntime.InferenceSession:
        return _opened(self._graph[:], threads=1)

    def forward(self, **inputs: Tensor) -> Any:
        """As the network that it was made from.

        Args:
            inputs: int64 (rows, length): `input_ids`, `attention_mask` and maybe `token_type_ids`, by default zeros.
        """
        ids = inputs["input_ids"]
        given = {name: inputs.get(name, torch.zeros_like(ids)).cpu().numpy() for name in self._takes}
        made = self._session.run(None, given)
        return self._output(**{n: torch.from_numpy(x).to(ids.device) for n, x in zip(self._gives, made, strict=True)})


def _opened(graph: bytes, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3  # errors alone
    return onnxruntime.InferenceSession(
        graph, options, providers=["CPUExecutionProvider"], disabled_optimizers=SLOW_FUSIONS
    )
