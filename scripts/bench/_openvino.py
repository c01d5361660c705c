"""A classifier in OpenVINO's int8, calibrated by NNCF, that stands where a network of Noria's does. Knows no rows."""

from __future__ import annotations

import importlib.util
import logging
from copy import copy
from pathlib import Path
from threading import local
from typing import Any

import torch
from torch import Tensor, nn
from transformers.modeling_outputs import SequenceClassifierOutput

LACKING = "openvino and nncf are not installed"


def installed() -> bool:
    return all(importlib.util.find_spec(name) is not None for name in ("openvino", "nncf"))


def quantize(graph: Path, goal: Path, batches: list[dict[str, Any]]) -> None:
    """Post-training quantisation with NNCF's own settings for Transformers.

    Args:
        graph: an ONNX file in fp32.
        batches: arrays by input name, on which activations are calibrated.
    """
    import nncf
    import openvino

    logging.getLogger("nncf").setLevel(logging.ERROR)
    model = openvino.convert_model(graph)
    made = nncf.quantize(model, nncf.Dataset(batches), model_type=nncf.ModelType.TRANSFORMER, subset_size=len(batches))
    openvino.save_model(made, goal)


class OpenVinoNetwork(nn.Module):
    """As `noria.model.onnx.OnnxNetwork`: quick for one call, and narrow for calls from several threads at once.

    Args:
        path: what `quantize` has written.
        config: of the network that it was made from.
    """

    tokens_at_once = 512

    def __init__(self, path: Path, config: Any) -> None:
        super().__init__()
        import openvino

        core, threads = openvino.Core(), torch.get_num_threads()
        wide = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads}
        many = {"PERFORMANCE_HINT": "THROUGHPUT", "NUM_STREAMS": threads, "INFERENCE_NUM_THREADS": threads}
        self._ways = [core.compile_model(path, "CPU", way) for way in (wide, many)]
        self._way, self._requests = self._ways[0], local()
        self.config = config

    def narrow(self) -> OpenVinoNetwork:
        made = copy(self)
        made._way, made._requests = self._ways[1], local()
        return made

    def forward(self, **inputs: Tensor) -> Any:
        if not hasattr(self._requests, "own"):
            self._requests.own = self._way.create_infer_request()
        ids = inputs["input_ids"]
        names = [one.any_name for one in self._way.inputs]
        made = self._requests.own.infer({name: inputs.get(name, torch.zeros_like(ids)).numpy() for name in names})
        return SequenceClassifierOutput(logits=torch.from_numpy(made[0].copy()))
