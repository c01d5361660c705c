"""What artifacts of format 1 say, in the words of format 2. They named a kind of work by one word."""

from __future__ import annotations

from typing import Any

from noria.config.columns import text_columns

CLASSIFICATION = "noria.task.text_classification.kind.TextClassification"
KINDS = {
    **dict.fromkeys(("single_label", "multi_label", "regression"), CLASSIFICATION),
    "causal_lm": "noria.task.causal_lm.kind.CausalLM",
}


def upgraded(facts: dict[str, Any]) -> dict[str, Any]:
    """The facts of a `noria.yaml` of format 1 as those of format 2; what is wrong with them stays wrong."""
    word, labels = facts.get("kind"), facts.get("labels")
    kind = KINDS.get(word) if isinstance(word, str) else None
    settings: dict[str, Any] = {}
    if kind == CLASSIFICATION:
        config = facts.get("config")
        data = config.get("data") if isinstance(config, dict) else None
        texts = len(text_columns(data)) if isinstance(data, dict) else 1
        settings = {"kind": word, "labels": labels, "texts": texts}
    rest = {name: value for name, value in facts.items() if name not in ("format", "kind", "labels")}
    return {"format": 2, "kind": kind, "settings": settings, **rest}


def facts_of_record(record: dict[str, Any]) -> dict[str, Any]:
    """What a run's record tells that its `noria.yaml` of format 1 would say, where that is gone."""
    config = record.get("config") or {}
    task = config.get("task") or {}
    word = task.get("kind") or ("causal_lm" if str(task.get("_target_")).endswith(".CausalLM") else None)
    return {"format": 1, "kind": word, "labels": (record.get("data") or {}).get("labels") or [], "config": config}
