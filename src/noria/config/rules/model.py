"""Rules on the model and its adapter. They read class attributes from source, and know no network."""

from __future__ import annotations

from typing import Any

from noria.common.hardware import Machine
from noria.config.rules.facts import at, attributes, trains
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


@rule
def shape_without_a_home(config: dict[str, Any], machine: Machine) -> str | None:
    """A new model (`model=transformer`) is built as no architecture of transformers is, so nobody could open it."""
    model = config.get("model")
    homes = attributes(model).get("homes")
    if not isinstance(homes, dict) or not isinstance(model, dict) or not trains(config):
        return None
    wrong = {
        name: [key for key, allowed in choices.items() if key in model and model[key] not in allowed]
        for name, choices in homes.items()
    }
    own = {name: keys for name, keys in wrong.items() if "architecture" not in keys}
    if not all(own.values()) or not own:
        return None
    # the architecture that takes the fewest changes
    nearest, keys = min(own.items(), key=lambda found: len(found[1]))
    change = ", ".join(f"model.{key}={_written(homes[nearest][key][0])}" for key in keys)
    chosen = ", ".join(f"model.{key}={_written(model[key])}" for key in ("architecture", *keys))
    return (
        f"{chosen}: transformers has no such architecture, so what comes out of the training could not be opened "
        f"there. The nearest is {nearest}: take {change}."
    )


def _written(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
