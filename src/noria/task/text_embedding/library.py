"""The files by which sentence-transformers opens an artifact and gives the same vectors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from noria.task.text_embedding.form import TextEmbeddingForm

MODES = {"mean": "pooling_mode_mean_tokens", "first": "pooling_mode_cls_token", "last": "pooling_mode_lasttoken"}
MODULES = ("Transformer", "Pooling", "Normalize")  # one after the other


def write_modules(folder: Path, form: TextEmbeddingForm, width: int, max_length: int) -> None:
    """Writes them into a folder of transformers.

    Args:
        width: of a vector.
        max_length: tokens of a text at most.
    """
    paths = [f"{number}_{name}" if number else "" for number, name in enumerate(MODULES)]
    modules = [
        {"idx": number, "name": str(number), "path": path, "type": f"sentence_transformers.models.{name}"}
        for number, (path, name) in enumerate(zip(paths, MODULES, strict=True))
    ]
    prompts = {"query": form.query_prompt, "document": form.document_prompt}
    pooling = {mode: name == form.pooling for name, mode in MODES.items()}
    for path in paths[1:]:
        (folder / path).mkdir()
    _write(folder / "modules.json", modules)
    _write(folder / "sentence_bert_config.json", {"max_seq_length": max_length, "do_lower_case": False})
    _write(folder / paths[1] / "config.json", {"word_embedding_dimension": width, **pooling, "include_prompt": True})
    _write(folder / paths[2] / "config.json", {})
    settings = {"prompts": prompts, "default_prompt_name": None, "similarity_fn_name": "cosine"}
    _write(folder / "config_sentence_transformers.json", settings)


def _write(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
