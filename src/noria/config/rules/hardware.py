"""Rules on what the machine can do: accelerator, devices, precision, strategy. Know no data and no model."""

from __future__ import annotations

from typing import Any

from noria.common.hardware import Machine
from noria.config.rules.facts import accelerator, at, devices, is_fsdp, is_number
from noria.config.rules.registry import rule


@rule
def fp16_on_cpu(config: dict[str, Any], machine: Machine) -> str | None:
    """fp16 (`precision=fp16`) where training runs on the CPU."""
    precision = at(config, "trainer.precision")
    if str(precision) not in ("16", "16-mixed", "16-true") or accelerator(config, machine) != "cpu":
        return None
    return f"trainer.precision={precision} needs a GPU, and this run is on the CPU: take precision=auto or fp32."


@rule
def accelerator_that_is_not_there(config: dict[str, Any], machine: Machine) -> str | None:
    """`trainer.accelerator` names a GPU (`gpu`, `cuda`, `mps`) that this machine does not have."""
    given = at(config, "trainer.accelerator")
    here = {
        "gpu": machine.gpu_count > 0 or machine.has_mps,
        "cuda": machine.gpu_count > 0,
        "mps": machine.has_mps,
    }
    if here.get(str(given), True):
        return None
    return (
        f"trainer.accelerator={given}, but no such GPU is visible here (nvidia-smi, CUDA_VISIBLE_DEVICES): "
        "take trainer.accelerator=auto or cpu."
    )


@rule
def more_devices_than_there_are(config: dict[str, Any], machine: Machine) -> str | None:
    """`trainer.devices` asks for more GPUs, or for other ones, than there are."""
    if accelerator(config, machine) != "gpu" or not machine.gpu_count:
        return None
    wanted, there = devices(config, machine), machine.gpu_count
    if isinstance(wanted, list):
        absent = [index for index in wanted if index >= there]
        if not absent:
            return None
        return (
            f"trainer.devices={wanted}: no GPU {', '.join(map(str, absent))} is here; the last is "
            f"{there - 1}. Name others, or take trainer.devices=auto."
        )
    if wanted <= there:
        return None
    return f"trainer.devices={wanted}, but the visible GPUs are {there}: take that many at most, or auto."


@rule
def fsdp_without_gpu(config: dict[str, Any], machine: Machine) -> str | None:
    """`strategy=fsdp` where training does not run on GPUs."""
    used = accelerator(config, machine)
    if not is_fsdp(config) or used == "gpu":
        return None
    return f"strategy=fsdp shards over GPUs, and this run is on {used}: take strategy=auto or strategy=ddp."


@rule
def fsdp_on_one_device(config: dict[str, Any], machine: Machine) -> str | None:
    """`strategy=fsdp` on a single device of a single node: there is nothing to shard over."""
    wanted = devices(config, machine)
    per_node = len(wanted) if isinstance(wanted, list) else wanted
    is_alone = per_node == 1 and (at(config, "trainer.num_nodes") or 1) == 1
    if not is_fsdp(config) or not is_alone or accelerator(config, machine) != "gpu":
        return None
    return "strategy=fsdp shards over devices, and this run has one: take strategy=auto, or more devices."


@rule
def fsdp_with_clipping_by_norm(config: dict[str, Any], machine: Machine) -> str | None:
    """`strategy=fsdp` with gradients clipped by their norm, which Lightning refuses at the first step."""
    value = at(config, "trainer.gradient_clip_val")
    by_norm = (at(config, "trainer.gradient_clip_algorithm") or "norm") == "norm"
    if not is_fsdp(config) or not is_number(value) or not value > 0 or not by_norm:
        return None
    return (
        f"trainer.gradient_clip_val={value} clips by norm, which Lightning cannot do under FSDP: take "
        "trainer.gradient_clip_val=null, or clip by value (+trainer.gradient_clip_algorithm=value)."
    )
