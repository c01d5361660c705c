"""Rules on the model and its adapter. They know no network."""

from __future__ import annotations

from typing import Any

from noria.common.hardware import Machine
from noria.config.rules.facts import at, trains
from noria.config.rules.registry import rule


@rule
def adapter_that_is_none(config: dict[str, Any], machine: Machine) -> str | None:
    """`model.peft` is something else than an adapter (`model/peft=…` chooses one) or null."""
    adapter = at(config, "model.peft")
    if adapter is None or isinstance(adapter, dict):
        return None
    way = f"model/peft={adapter}" if isinstance(adapter, str) and adapter.isidentifier() else "model/peft=…"
    return f"model.peft={adapter}: an adapter is chosen with a slash: {way}."


@rule
def freezing_under_an_adapter(config: dict[str, Any], machine: Machine) -> str | None:
    """`model.freeze` other than none with an adapter (`model/peft=…`), which freezes the whole model anyway."""
    frozen = at(config, "model.freeze")
    if not isinstance(at(config, "model.peft"), dict) or frozen in (None, "none") or not trains(config):
        return None
    return (
        f"model.freeze={frozen} says nothing beside an adapter, which freezes the whole model: set it to none, or "
        "train without the adapter (model/peft=none)."
    )
