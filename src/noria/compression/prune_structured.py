"""Whole neurons, attention heads and layers go, those that the loss misses least."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import torch
from annotated_types import Ge, Gt, Interval
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from safetensors import SafetensorError
from torch import Tensor, nn

from noria.artifact import bundle
from noria.artifact.bundle import Artifact
from noria.common.console import get_console
from noria.common.errors import UserError
from noria.compression import units
from noria.compression.artifact import save_changed
from noria.compression.importance import Importance
from noria.compression.onnx import FAR
from noria.compression.rows import batches
from noria.compression.step import Rows, Step
from noria.compression.units import Units
from noria.data.batch.encoded import Encoded

SAMPLE = 4  # rows that what is left is asked, too


class PruneStructured(Step):
    """Every layer is left with the same width, so that a plain `from_pretrained` opens what is left.

    Args:
        neurons: the share of each layer's feed-forward neurons that goes.
        heads: of each layer's attention heads; those that share keys and values go together.
        layers: of the layers.
        rows: of the training data, drawn at random, on which it is measured what the loss would miss.
        recover_epochs: epochs of training afterwards; 0: none.
    """

    def __init__(
        self,
        *,
        neurons: Annotated[float, Interval(ge=0, lt=1)] = 0.0,
        heads: Annotated[float, Interval(ge=0, lt=1)] = 0.0,
        layers: Annotated[float, Interval(ge=0, lt=1)] = 0.0,
        rows: Annotated[int, Gt(0)] = 256,
        recover_epochs: Annotated[int, Ge(0)] = 0,
    ) -> None:
        self.neurons = neurons
        self.heads = heads
        self.layers = layers
        self.rows = rows
        self.recover_epochs = recover_epochs

    def apply(self, artifact: Artifact, folder: Path, rows: Rows, number: int = 1) -> dict[str, Any]:
        network, before = artifact.network, _size(artifact.network)
        try:
            cuts = [Cut(self.neurons, units.neurons(network), units.name_neurons)] if self.neurons else []
            cuts += [Cut(self.heads, units.heads(network), units.name_heads)] if self.heads else []
            layers: list[nn.Module] = list(units.stack(network)) if self.layers else []
        except UserError as error:
            raise UserError(f"artifact={artifact.folder}: {error}") from None
        said: dict[str, Any] = {"parameters_before": before, "parameters": before}
        if not cuts and not layers:
            save_changed(folder, artifact)
            return said
        encoded = rows()
        sample = next(batches(encoded, SAMPLE))
        found = self._importance(artifact, cuts, layers, encoded)
        for cut in cuts:
            cut.choose(found)
            cut.silence()
        if layers:
            kept = units.best(found.of_layers, self.layers)
            said["layers"] = kept.nonzero().flatten().tolist()
            units.drop_layers(network, kept)
        with torch.inference_mode():
            wanted = artifact.kind.forward(network, sample)
            left = _written(artifact, folder, cuts)
            _refuse_different(wanted, artifact.kind.forward(left, sample), artifact)
        return {**said, "parameters": _size(left)}

    def _importance(
        self, artifact: Artifact, cuts: Sequence[Cut], layers: list[nn.Module], encoded: Encoded
    ) -> Importance:
        reads = {id(each.reads): (each.reads, each.count) for cut in cuts for each in cut.units}
        found = Importance(reads, layers)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=get_console(), transient=True) as bar:
            task = bar.add_task("What the loss would miss", total=min(self.rows, len(encoded)))
            found.measure(artifact.network, artifact.kind, batches(encoded, self.rows), partial(bar.advance, task))
        return found


class Cut:
    """What goes of one sort of units in all layers.

    Args:
        share: of each layer's.
        found: those of each layer.
        named: writes into the config of a network that of so many as many are left.
    """

    def __init__(self, share: float, found: Sequence[Units], named: Callable[[nn.Module, int, int], None]) -> None:
        self.share, self.units, self._named = share, found, named
        self._kept: list[Tensor] = []

    def choose(self, found: Importance) -> None:
        """Keeps the most important ones."""
        self._kept = [units.best(found.of_units[id(each.reads)], self.share) for each in self.units]

    def silence(self) -> None:
        """Lets the network say what it will say without the others."""
        for each, kept in zip(self.units, self._kept, strict=True):
            each.silence(kept)

    def take_out(self, network: nn.Module) -> None:
        """Takes the others out, and says so in the config."""
        for each, kept in zip(self.units, self._kept, strict=True):
            each.cut(kept)
        for before, after in {(each.count, int(kept.sum())) for each, kept in zip(self.units, self._kept, strict=True)}:
            self._named(network, before, after)


def _written(artifact: Artifact, folder: Path, cuts: Sequence[Cut]) -> nn.Module:
    """What is left, as it is opened from the folder that it is written to.

    Raises:
        UserError: the config of this model cannot say it.
    """
    try:
        for cut in cuts:
            cut.take_out(artifact.network)
        save_changed(folder, artifact)
        return bundle.open_artifact(folder, [bundle.class_path(artifact.kind)]).network
    except (OSError, SafetensorError):
        raise
    except Exception as error:  # each library that checks a config has a class of its own for it
        said = str(error).strip().splitlines()[-1:] or [type(error).__name__]
        raise UserError(f"artifact={artifact.folder}: its config cannot say what is left: {said[0].strip()}") from error


def _refuse_different(wanted: Tensor, found: Tensor, artifact: Artifact) -> None:
    """Refuses what says something else than the network before with the same parts silenced."""
    apart = float((wanted - found).abs().max())
    if not apart <= FAR * max(1.0, float(wanted.abs().max())):
        raise UserError(
            f"artifact={artifact.folder}: what is left of it differs by {apart:.2g} from the model with the same parts "
            "silenced: this model's parts are built in a way that prune_structured does not know."
        )


def _size(network: nn.Module) -> int:
    return sum(weight.numel() for weight in network.parameters())
