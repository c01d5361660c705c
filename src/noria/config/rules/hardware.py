"""Rules on what the machine can do: accelerator, devices, precision, strategy. Know no data and no model."""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import Any

from noria.common.hardware import Machine, device_type
from noria.common.precision import number_type
from noria.config.rules.facts import accelerator, at, devices, is_fsdp, stage, target_name, trains
from noria.config.rules.registry import rule

TRAINS = ("fit", "cycle", "")  # stages that make a Trainer


@rule
def fp16_on_cpu(config: dict[str, Any], machine: Machine) -> str | None:
    """fp16 (`precision=fp16`) where training runs on the CPU."""
    precision = at(config, "trainer.precision")
    if number_type(str(precision)) != "fp16" or accelerator(config, machine) != "cpu":
        return None
    return f"trainer.precision={precision} needs a GPU, and this run is on the CPU: take precision=auto or fp32."


@rule
def accelerator_that_is_not_there(config: dict[str, Any], machine: Machine) -> str | None:
    """`trainer.accelerator` names a GPU (`gpu`, `cuda`, `mps`) that this machine does not have, or a TPU without
    `torch_xla`."""
    given = at(config, "trainer.accelerator")
    if given == "tpu" and find_spec("torch_xla") is None:
        return "trainer.accelerator=tpu needs torch_xla, which is not installed: take trainer.accelerator=auto or cpu."
    if given not in ("gpu", "cuda", "mps") or device_type(given, machine.gpu_count > 0, machine.has_mps) != "cpu":
        return None
    return (
        f"trainer.accelerator={given}, but no such GPU is visible here (nvidia-smi, CUDA_VISIBLE_DEVICES): "
        "take trainer.accelerator=auto or cpu."
    )


@rule
def devices_of_a_cpu(config: dict[str, Any], machine: Machine) -> str | None:
    """`trainer.devices` chooses among CPUs (`[0]`, `-1`), or asks for far more processes than there are threads."""
    given = at(config, "trainer.devices")
    if stage(config) not in TRAINS or accelerator(config, machine) != "cpu" or given is None:
        return None
    wanted = devices(config, machine)
    if isinstance(wanted, list) or given in (-1, "-1") or given == [-1]:
        return (
            f"trainer.devices={given} chooses among GPUs, and this run is on the CPU: there it is how many processes "
            "train (1 or more), or auto."
        )
    if wanted > (most := max(8, machine.cpu_threads)):
        return f"trainer.devices={wanted} are so many processes on {machine.cpu_threads} threads: at most {most}."
    return None


@rule
def tasks_of_slurm_that_lightning_does_not_count(config: dict[str, Any], machine: Machine) -> str | None:
    """Training under SLURM with `--ntasks` above 1 and without `--ntasks-per-node`, by which Lightning counts."""
    tasks = os.environ.get("SLURM_NTASKS", "1")
    counted = "SLURM_NTASKS_PER_NODE" in os.environ or os.environ.get("SLURM_JOB_NAME") in ("bash", "interactive")
    if stage(config) not in TRAINS or counted or tasks == "1":
        return None
    if tasks.isdecimal():
        return (
            f"SLURM_NTASKS={tasks}: Lightning takes the processes of a node from --ntasks-per-node. Start the job with "
            f"#SBATCH --ntasks-per-node={tasks} and srun; or, for one process, with --ntasks=1 (unset SLURM_NTASKS)."
        )
    return f"SLURM_NTASKS={tasks} in the environment is no number."


@rule
def more_devices_than_there_are(config: dict[str, Any], machine: Machine) -> str | None:
    """`trainer.devices` asks for more GPUs, or for other ones, than there are."""
    if accelerator(config, machine) != "cuda" or not machine.gpu_count:
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
def fsdp_on_one_device(config: dict[str, Any], machine: Machine) -> str | None:
    """`strategy=fsdp` on a single device of a single node: there is nothing to shard over."""
    wanted = devices(config, machine)
    per_node = len(wanted) if isinstance(wanted, list) else wanted
    if not is_fsdp(config) or per_node > 1 or (at(config, "trainer.num_nodes") or 1) > 1:
        return None
    return "strategy=fsdp shards over devices, and this run has one: take strategy=auto, or more devices."


@rule
def fsdp_without_checkpoints(config: dict[str, Any], machine: Machine) -> str | None:
    """`strategy=fsdp` without `callback=checkpoint`: no rank has the whole weights that the artifact is made of."""
    callbacks = config.get("callback")
    if not is_fsdp(config) or not trains(config) or not isinstance(callbacks, dict):
        return None
    if any(target_name(callback) == "checkpoints" for callback in callbacks.values()):
        return None
    return "strategy=fsdp makes the artifact from the best checkpoint: add checkpoint to callback=[…]."
