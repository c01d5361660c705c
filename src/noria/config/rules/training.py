"""Rules on how long and by what schedule a run trains. Know neither data nor machine."""

from __future__ import annotations

from typing import Any

from noria.common.hardware import Machine
from noria.config.rules.facts import at, is_number, target_name, trains
from noria.config.rules.registry import rule


@rule
def training_without_end(config: dict[str, Any], machine: Machine) -> str | None:
    """Neither `trainer.max_epochs` nor `trainer.max_steps` is a limit (-1 and null are none)."""
    trainer = config.get("trainer")
    if not trains(config) or not isinstance(trainer, dict) or at(config, "trainer.max_time") is not None:
        return None
    if "max_epochs" not in trainer or any(trainer.get(key) not in (-1, None) for key in ("max_epochs", "max_steps")):
        return None
    return "Training would never end: give trainer.max_epochs or trainer.max_steps a number above 0."


@rule
def warmup_longer_than_training(config: dict[str, Any], machine: Machine) -> str | None:
    """`scheduler.warmup_steps`, given in steps, is not below `trainer.max_steps`."""
    warmup, steps = at(config, "scheduler.warmup_steps"), at(config, "trainer.max_steps")
    in_steps = is_number(warmup) and warmup >= 1  # below 1 it is a fraction
    if not trains(config) or not in_steps or not is_number(steps) or not 0 < steps <= warmup:
        return None
    return (
        f"scheduler.warmup_steps={warmup} is not below trainer.max_steps={steps}: the learning rate would "
        "never pass its peak. Lower the one or raise the other."
    )


@rule
def fractions_that_leave_nothing(config: dict[str, Any], machine: Machine) -> str | None:
    """`data.val_fraction` and `data.test_fraction` together are 1 or more: no row is left to train on."""
    fractions = [at(config, f"data.{split}_fraction") for split in ("val", "test")]
    if not all(is_number(fraction) for fraction in fractions) or sum(fractions) < 1:
        return None
    val, test = fractions
    return (
        f"data.val_fraction={val} and data.test_fraction={test} leave no row to train on: together they must "
        "be less than 1."
    )


@rule
def early_stopping_without_validation(config: dict[str, Any], machine: Machine) -> str | None:
    """An early stopping callback with `trainer.limit_val_batches=0`: it would never see its metric."""
    callbacks = config.get("callback")
    limit = at(config, "trainer.limit_val_batches")
    if not trains(config) or not isinstance(callbacks, dict) or not is_number(limit) or limit != 0:
        return None
    stopping = [name for name, callback in callbacks.items() if target_name(callback) == "EarlyStopping"]
    if not stopping:
        return None
    return (
        f"callback.{stopping[0]} looks at validation, and trainer.limit_val_batches=0 turns it off: "
        f"raise it, or leave the callback out (~callback.{stopping[0]})."
    )


@rule
def keys_of_what_was_not_chosen(config: dict[str, Any], machine: Machine) -> str | None:
    """`callback`, `metric` or `logger` has keys for a part that its list (`callback=[…]`) does not choose."""
    for group in ("callback", "metric", "logger"):
        entries = config.get(group)
        for name, entry in entries.items() if isinstance(entries, dict) else ():
            if isinstance(entry, dict) and "_target_" not in entry:
                keys = ", ".join(f"{group}.{name}.{key}" for key in entry) or f"{group}.{name}"
                return (
                    f"{keys}: there is no {group} '{name}' to have it. Choose it ({group}=[…,{name}]), or take it away "
                    f"(~{group}.{name})."
                )
    return None
