"""Whether a model's folder can be what its config says, before a network of that size is made.

A config of a few bytes can ask for ten million layers, or name files elsewhere as its weights. Reads headers only.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from noria.common.errors import UserError
from noria.common.mapping_file import read_mapping

MOST_LAYERS = 1000  # more than any model has; a folder whose weights are more tensors than that may have as many
WIDTHS = ("hidden_size", "d_model", "n_embd", "dim")
MARGIN = 16  # layers may share their weights (ALBERT), and numbers be packed into bytes
LARGEST = 2**24  # of a size that no weight has, such as the positions that a rotary embedding can reach


def refuse_implausible(folder: Path, name: str) -> None:
    """Looks at a local folder with a `config.json` and weights; of those that are no safetensors only at their size.

    Raises:
        UserError: an index names a file outside the folder, or a size in the config is far beyond the weights.
    """
    for index in sorted(folder.glob("*.index.json")):
        _refuse_files_elsewhere(index, name)
    if not (folder / "config.json").is_file():
        return
    tensors, numbers = 0, 0
    for path in folder.glob("*.safetensors"):
        try:
            with safe_open(path, framework="pt") as weights:
                for key in weights.keys():  # noqa: SIM118 - a file, no mapping
                    tensors += 1
                    size = 1
                    for length in weights.get_slice(key).get_shape():
                        size *= length
                    numbers += size
        except (SafetensorError, OSError):  # opening it says better what is wrong
            return
    numbers += sum(path.stat().st_size for path in folder.glob("*.bin"))
    if not numbers:
        return
    sizes = list(_integers(read_mapping(folder / "config.json"), ""))
    for key, value in sizes:
        most = max(MOST_LAYERS, tensors) if key.endswith(("layer", "layers")) else max(LARGEST, numbers)
        if value > most:
            raise UserError(
                f"model.name={name}: config.json says {key}={_short(value)}, and the weights are "
                f"{f'{tensors:,} tensors of ' if tensors else 'at most '}{numbers:,} numbers. They do not belong "
                "together."
            )

    if (needed := _least_numbers(sizes)) > (most := MARGIN * max(LARGEST, numbers)):
        raise UserError(
            f"model.name={name}: by config.json the layers are at least {_short(needed)} numbers, and the weights are "
            f"{numbers:,}: {_short(most)} would be believed. They do not belong together."
        )


def _least_numbers(sizes: list[tuple[str, int]]) -> int:
    """Layers times width squared, of the largest network that the config describes: each layer has such a matrix."""
    widths: dict[str, int] = {}
    layers: dict[str, int] = {}
    for key, value in sizes:
        part, _, last = key.rpartition(".")
        if last in WIDTHS:
            widths[part] = max(value, widths.get(part, 0))
        elif last.endswith(("layer", "layers")):
            layers[part] = max(value, layers.get(part, 0))
    return max((count * widths.get(part, 0) ** 2 for part, count in layers.items()), default=0)


def _refuse_files_elsewhere(index: Path, name: str) -> None:
    files = read_mapping(index).get("weight_map")
    if not isinstance(files, dict):
        raise UserError(f"model.name={name}: {index.name} holds no weight_map.")
    for file in {str(file) for file in files.values()}:
        if Path(file).name != file:
            raise UserError(f"model.name={name}: {index.name} names a file outside the folder: {file}")
        if not (index.parent / file).is_file():
            raise UserError(f"model.name={name}: {index.name} names {file}, which is not there. Copy the whole folder.")


def _integers(value: Any, key: str) -> Iterator[tuple[str, int]]:
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _integers(item, f"{key}.{name}".lstrip("."))
    elif isinstance(value, list):
        for item in value:
            yield from _integers(item, key)
    elif isinstance(value, int) and not isinstance(value, bool):
        yield key, value


def _short(value: int) -> str:
    return f"{value:,}" if value < 10**15 else f"10^{len(str(value)) - 1}"
